// The first words on a new connection: AUTH, SELECT, perhaps ROLE, CLIENT SETNAME, perhaps INFO stats, and a PING as
// the fence, pipelined.
//
// CLIENT SETNAME and INFO are optional. Some proxies close the connection at a command that they do not know, and so
// the greeting after one that was closed goes without them. One that succeeds so has shown little: a server that is
// being restarted closes greetings, too. The next connection is greeted in full again, and only when that was closed a
// second time do all others go without.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/protocol/login.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

struct HandshakeConfig {
    std::string client_name;
    std::int64_t db = 0;
    bool ask_stats = false;  // send INFO stats
    bool ask_role = false;   // send ROLE, and take nothing but a master
};

// Why the server is not the master, by its reply to ROLE; Error() if it is, or does not say.
Error master_error(const Reply& role);

// What INFO stats tells that concerns us; nothing where the server does not say it.
struct ServerStats {
    std::optional<std::uint64_t> connections;          // received since the server was started
    std::optional<std::uint64_t> output_buffer_kills;  // clients closed by client-output-buffer-limit; not in 7.0

    static ServerStats parse(std::string_view info);
};

class Handshake {
 public:
    enum class Progress { more, done, failed };

    Handshake(HandshakeConfig config, Login::Session& session) : config_(std::move(config)), session_(&session) {}

    // Begins again and appends the commands.
    void start(std::string& out);
    Progress reply(const Reply& reply);
    // The server has closed the connection before the greeting was done. Returns `why` with the command that it did not
    // answer.
    Error closed(const Error& why);
    // Why, after `failed`.
    const Error& error() const { return error_; }
    // What the server said of itself, if it was asked and answered.
    const ServerStats& stats() const { return stats_; }

 private:
    enum class Step { auth, select, role, setname, stats, ping };

    bool has_optional() const { return !config_.client_name.empty() || config_.ask_stats; }
    void succeeded();
    static const char* name_of(Step step);

    HandshakeConfig config_;
    Login::Session* session_;
    std::deque<Step> expected_;
    bool bare_ = false;       // the next greeting goes without what is optional
    bool bare_sent_ = false;  // this one does
    int full_in_vain_ = 0;    // those with it that were closed, each followed by one without it that succeeded
    Error error_;
    ServerStats stats_;
};

}  // namespace fanwire::core
