// One link of the simulation and its connection to the model of Redis.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/protocol/link.h"
#include "tests/unit/simulation/model_redis.h"

namespace fanwire::core::simulation {

class Wire {
   public:
    Wire(ModelRedis& redis, Link& link) : redis_(redis), link_(link) {}

    // Bytes that have passed so far, and after which the connection breaks, once.
    std::size_t out_passed = 0, in_passed = 0, out_breaks_at = SIZE_MAX, in_breaks_at = SIZE_MAX;
    // Whether the server learns at once that a connection is closed.
    bool closes_at_once = true;

    // Does what the link wishes; `writable`: how much the connection takes.
    void pump(TimeMs now, std::size_t writable) {
        switch (link_.request()) {
            case Link::Request::open: opening_ = true; break;
            case Link::Request::close: close(); break;
            case Link::Request::none: break;
        }
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
    void client_takes(std::size_t size, TimeMs now) {
        if (!connection_) return;
        size = std::min({size, connection_->to_client.size(), in_breaks_at - in_passed});
        const std::string bytes = connection_->to_client.substr(0, size);
        connection_->to_client.erase(0, size);
        in_passed += size;
        if (size > 0) link_.received(bytes, now);
        if (in_passed < in_breaks_at) return;
        in_breaks_at = SIZE_MAX;
        break_off(now);
    }
    void break_off(TimeMs now) {
        if (!connection_) return;
        close();
        link_.closed({Status::CONNECTION_LOST, "reset"}, now);
    }
    const std::shared_ptr<ModelRedis::Connection>& connection() const { return connection_; }

   private:
    void close() {
        opening_ = false;
        if (connection_) redis_.drop(connection_, closes_at_once);
        connection_ = nullptr;
    }
    ModelRedis& redis_;
    Link& link_;
    std::shared_ptr<ModelRedis::Connection> connection_;
    bool opening_ = false;
};

}  // namespace fanwire::core::simulation
