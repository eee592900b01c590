// One link of the simulation and its connection to the model of Redis.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "core/protocol/link.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"

namespace fanwire::core::simulation {

class Wire {
 public:
    Wire(ModelRedis& redis, Link& link, std::mt19937& random, Coverage& coverage)
        : redis_(redis), link_(link), random_(random), coverage_(coverage) {}

    // Bytes that have passed so far, and after which the connection breaks, once.
    std::size_t out_passed = 0, in_passed = 0, out_breaks_at = SIZE_MAX, in_breaks_at = SIZE_MAX;
    // Whether the server learns at once that a connection is closed.
    bool closes_at_once = true;

    // Does what the link wishes: due whenever it may have a new wish, since that takes the place of the one before.
    void obey() {
        switch (link_.request()) {
            case Link::Request::open:
                opening_ = true;
                break;
            case Link::Request::close:
                if (collecting_) coverage_("given up inside a large message");
                close();
                break;
            case Link::Request::none:
                break;
        }
    }
    // And writes; `writable`: how much the connection takes.
    void pump(TimeMs now, std::size_t writable) {
        obey();
        if (!connection_) return;
        const std::string_view bytes = link_.output(now).substr(0, writable);
        connection_->to_server += bytes;
        link_.wrote(bytes.size(), now);
    }
    void open(TimeMs now) {
        if (!std::exchange(opening_, false)) return;
        connection_ = redis_.accept();
        link_.opened(now);
    }
    void refuse(TimeMs now) {
        if (!std::exchange(opening_, false)) return;
        link_.closed({Status::CONNECT_FAILED, "refused"}, now);
    }
    void server_takes(std::size_t size, TimeMs now) {
        if (!connection_ || redis_.hangs) return;
        size = std::min({size, connection_->to_server.size(), out_breaks_at - out_passed});
        redis_.take(*connection_, size);
        out_passed += size;
        if (out_passed < out_breaks_at) return;
        out_breaks_at = SIZE_MAX;
        break_off(now);
    }
    // Takes up to `size` of the bytes that have arrived.
    void client_takes(std::size_t size, TimeMs now) {
        if (!connection_) return;
        for (size = std::min({size, arrived(), in_breaks_at - in_passed}); size > 0 && connection_; obey())
            size -= read(size, now);
        if (in_passed < in_breaks_at || !connection_) return;
        in_breaks_at = SIZE_MAX;
        break_off(now);
    }
    void break_off(TimeMs now) {
        if (!connection_) return;
        if (collecting_) coverage_("broken inside a large message");
        close();
        link_.closed({Status::CONNECTION_LOST, "reset"}, now);
    }
    const std::shared_ptr<ModelRedis::Connection>& connection() const { return connection_; }
    // What waits for the client.
    std::size_t arrived() const { return connection_ ? connection_->arriving().size() : 0; }
    // Whether the link has part of a large message and asks for the rest to be put where it stays.
    bool collecting() const { return collecting_; }

 private:
    // As the transport reads: where the link wants it, as much as there is or less; or into a buffer of its own,
    // because the link does not care, or because the bytes were there before it did.
    std::size_t read(std::size_t size, TimeMs now) {
        const std::span<char> room = link_.room();
        const bool ignored = !room.empty() && pick(6) == 0;
        if (room.empty() || ignored) {
            if (ignored) coverage_("room ignored");
            size = std::min(size, buffer_size(size));
            const std::string bytes(connection_->arriving().substr(0, size));
            passed(size);
            link_.received(bytes, now);
        } else {
            size = std::min(size, room.size());
            if (pick(3) == 0) size = 1 + pick(size);
            coverage_(size == room.size() ? "room filled" : "room used in part");
            std::memcpy(room.data(), connection_->arriving().data(), size);
            std::memset(room.data() + size, 'Z',
                        std::min<std::size_t>(room.size() - size, 64));  // nobody may look there
            passed(size);
            link_.received({room.data(), size}, now);
        }
        collecting_ = !link_.room().empty();  // the transport asks again, and often there is nothing to read
        return size;
    }
    // What comes in small parts anyway is not divided further.
    std::size_t buffer_size(std::size_t size) {
        if (size <= 4096) return size;
        switch (pick(4)) {
            case 0:
                return SIZE_MAX;
            case 1:
                return std::size_t{64} << 10;
            case 2:
                return std::size_t{16} << 10;
            default:
                return 1 + pick(4096);
        }
    }
    void passed(std::size_t size) {
        connection_->arrived(size);
        in_passed += size;
    }
    void close() {
        opening_ = collecting_ = false;
        if (connection_) redis_.drop(connection_, closes_at_once);
        connection_ = nullptr;
    }
    std::size_t pick(std::size_t n) { return random_() % n; }

    ModelRedis& redis_;
    Link& link_;
    std::mt19937& random_;
    Coverage& coverage_;
    std::shared_ptr<ModelRedis::Connection> connection_;
    bool opening_ = false, collecting_ = false;
};

}  // namespace fanwire::core::simulation
