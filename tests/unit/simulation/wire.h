// A wire of the simulation: one link's connection to the model of Redis, as the schedule wants it to be.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/net/wire.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"

namespace fanwire::core::simulation {

class SimulatedWire final : public Wire {
 public:
    SimulatedWire(ModelRedis& redis, std::mt19937& random, Coverage& coverage, Wire::Owner& owner)
        : redis_(redis), random_(random), coverage_(coverage), owner_(owner) {}

    // Bytes that have passed so far, and after which the connection breaks, once.
    std::size_t out_passed = 0, in_passed = 0, out_breaks_at = SIZE_MAX, in_breaks_at = SIZE_MAX;
    // How often it was opened.
    std::size_t attempts = 0;
    // Whether the server learns at once that a connection is closed.
    bool closes_at_once = true;
    // How many addresses the host has behind the first one. All lead to the same server.
    std::size_t others = 0;
    // Whether that may happen.
    bool memory_lacks = false;
    // Hears of what is written, taken or not.
    std::function<void(std::string_view bytes)> on_write = [](std::string_view) {};

    // ---- What the driver asks for ----

    void open(const Endpoint&) override {
        drop();
        ++attempts;
        opening_ = true;
        behind_ = others;
        moved_on_ = false;
        if (!memory_lacks || pick(100) > 0) return;
        coverage_("no memory for a connection");
        throw std::bad_alloc();
    }
    void close() override {
        if (collecting_) coverage_("given up inside a large message");
        drop();
    }
    void greeted() override {
        EXPECT_TRUE(connection_ && !greeted_);
        greeted_ = true;
        if (moved_on_) coverage_("greeted by another address");
    }
    void good() override {
        EXPECT_TRUE(connection_ && greeted_ && !good_);
        good_ = true;
    }
    void abandon() noexcept override {}
    std::size_t write(std::string_view bytes) override {
        if (!connection_) return 0;
        on_write(bytes);
        const std::size_t size = std::min(bytes.size(), takes_);
        takes_ -= size;
        connection_->to_server += bytes.substr(0, size);
        blocked_ = size < bytes.size();
        return size;
    }
    std::size_t unconfirmed() const override { return connection_ ? connection_->to_server.size() : 0; }
    const std::string& peer() const override { return peer_; }

    // ---- What the schedule wants ----

    // How many bytes it takes from now on.
    void take(std::size_t size) {
        takes_ = size;
        if (connection_ && std::exchange(blocked_, false)) owner_.wire_writable();
    }
    void connect() {
        if (!std::exchange(opening_, false)) return;
        connection_ = redis_.accept();
        owner_.wire_opened();
    }
    void refuse() {
        if (!opening_) return;
        if (behind_ > 0) return void(--behind_);
        opening_ = false;
        owner_.wire_broken({Status::CONNECT_FAILED, "refused"});
    }
    // The share of the time that this address has is over.
    void lose_patience() {
        if (!connection_ || greeted_ || behind_ == 0) return;
        coverage_("an address is silent in its greeting");
        lose({Status::CONNECT_TIMEOUT, "connected, but no greeting"});
    }
    void server_takes(std::size_t size) {
        if (!connection_ || redis_.hangs) return;
        size = std::min({size, connection_->to_server.size(), out_breaks_at - out_passed});
        redis_.take(*connection_, size);
        out_passed += size;
        if (out_passed < out_breaks_at) return;
        out_breaks_at = SIZE_MAX;
        break_off();
    }
    // Takes up to `size` of the bytes that have arrived.
    void client_takes(std::size_t size) {
        if (!connection_) return;
        size = std::min({size, arrived(), in_breaks_at - in_passed});
        while (size > 0 && connection_) size -= read(size);
        if (in_passed < in_breaks_at || !connection_) return;
        in_breaks_at = SIZE_MAX;
        break_off();
    }
    void break_off() {
        if (!connection_) return;
        if (collecting_) coverage_("broken inside a large message");
        lose({Status::CONNECTION_LOST, "reset"});
    }
    const std::shared_ptr<ModelRedis::Connection>& connection() const { return connection_; }
    // What waits for the client.
    std::size_t arrived() const { return connection_ ? connection_->arriving().size() : 0; }
    // Whether the link has part of a large message and asks for the rest to be put where it stays.
    bool collecting() const { return collecting_; }
    // Whether not all that was written was taken.
    bool blocked() const { return blocked_; }

 private:
    // As the stream reads: where the link wants it, as much as there is or less; or into a buffer of its own, because
    // the link does not care, or because the bytes were there before it did.
    std::size_t read(std::size_t size) {
        const std::span<char> room = owner_.wire_room();
        const bool ignored = !room.empty() && pick(6) == 0;
        if (room.empty() || ignored) {
            if (ignored) coverage_("room ignored");
            size = std::min(size, buffer_size(size));
            const std::string bytes(connection_->arriving().substr(0, size));
            passed(size);
            owner_.wire_received(bytes);
        } else {
            size = std::min(size, room.size());
            if (pick(3) == 0) size = 1 + pick(size);
            coverage_(size == room.size() ? "room filled" : "room used in part");
            std::memcpy(room.data(), connection_->arriving().data(), size);
            std::memset(room.data() + size, 'Z',
                        std::min<std::size_t>(room.size() - size, 64));  // nobody may look there
            passed(size);
            owner_.wire_received({room.data(), size});
        }
        // The stream asks again, and often there is nothing to read.
        collecting_ = connection_ && !owner_.wire_room().empty();
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
    // The connection ends: before it has greeted the next address has its turn.
    void lose(Error why) {
        const bool moves_on = !greeted_ && behind_ > 0;
        drop();
        if (!moves_on) return owner_.wire_broken(std::move(why));
        coverage_("moved on to another address");
        --behind_;
        moved_on_ = true;
        owner_.wire_moving_on(std::move(why));
        opening_ = true;
    }
    void drop() {
        opening_ = collecting_ = greeted_ = good_ = blocked_ = false;
        if (connection_) redis_.drop(connection_, closes_at_once);
        connection_ = nullptr;
    }
    std::size_t pick(std::size_t n) { return random_() % n; }

    ModelRedis& redis_;
    std::mt19937& random_;
    Coverage& coverage_;
    Wire::Owner& owner_;
    const std::string peer_ = "redis.test:6379";
    std::shared_ptr<ModelRedis::Connection> connection_;
    std::size_t takes_ = SIZE_MAX, behind_ = 0;
    bool opening_ = false, collecting_ = false, greeted_ = false, good_ = false, blocked_ = false, moved_on_ = false;
};

}  // namespace fanwire::core::simulation
