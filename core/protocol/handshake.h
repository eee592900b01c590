// The first words on a new connection: AUTH, SELECT, CLIENT SETNAME and a PING as the fence, pipelined.
#pragma once

#include <deque>
#include <string>

#include "core/base/error.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

struct HandshakeConfig {
    std::string username, password, client_name;
    std::int64_t db = 0;
};

class Handshake {
   public:
    enum class Progress { more, done, failed };

    explicit Handshake(HandshakeConfig config) : config_(std::move(config)) {}

    // Begins anew and appends the commands.
    void start(std::string& out);
    Progress reply(const Reply& reply);
    // Why, after `failed`.
    const Error& error() const { return error_; }

   private:
    enum class Step { auth, select, setname, ping };

    HandshakeConfig config_;
    std::deque<Step> expected_;
    Error error_;
};

}  // namespace fanwire::core
