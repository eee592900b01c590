// Who we are at a server, for all links of a node: the newest credentials, what each connection has said of them, and
// whether the server has accepted them.
//
// Credentials are told apart by their version. A connection that said AUTH with an older one has a Session that is
// outdated: its conversation says AUTH again, or leaves it as it is until they are proven, which they are when the
// server has accepted the newest on any link of the node. So a link is not risked for credentials that may be wrong.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

struct Credentials {
    std::string username, password;
    bool operator==(const Credentials&) const = default;
};

// Appends AUTH for these; nothing when both are empty.
void append_auth(std::string& out, const Credentials& credentials);
// What the error reply to an AUTH says to a person. Servers that do not know AUTH quote its arguments: not repeated. Of
// a password that was refused it is said what does not show in it: white space at its ends, a byte order mark, quotes.
Error auth_error(std::string_view reply, const std::string& password);

class Login {
 public:
    using Version = std::uint64_t;
    class Session;

    explicit Login(Credentials credentials = {}) : credentials_(std::move(credentials)) {}
    Login(const Login&) = delete;
    Login& operator=(const Login&) = delete;

    const Credentials& credentials() const { return credentials_; }
    // From the next AUTH on. The same as before are nothing new, unless the server has refused them on a connection
    // that went on. Nothing is changed if it throws std::bad_alloc.
    void set(const std::string& username, const std::string& password);
    // Whether the server has accepted the newest ones.
    bool proven() const { return proven_ == version_; }

 private:
    void accepted(Version version) {
        if (version == version_) proven_ = version;
    }
    void refused(Version version) { refused_ = refused_ || version == version_; }

    Credentials credentials_;
    Version version_ = 1, proven_ = 0;
    Version user_since_ = 1;  // when the username was last another
    bool refused_ = false;    // the newest ones; they may be set again
};

// What one link has said of the login on its present connection.
class Login::Session {
 public:
    explicit Session(Login& login) : login_(login) {}

    // Nothing has been said, for a new connection.
    void reset() noexcept;
    // Appends AUTH with the newest credentials; false if there is nothing to say. Nothing is changed if it throws
    // std::bad_alloc.
    bool say(std::string& out);
    // What say() has appended last will not be sent.
    void take_back() noexcept;
    // The answer to the oldest AUTH that has none; Error() if it was accepted.
    Error answered(const Reply& reply);
    // The server has taken the connection as it greeted.
    void greeted();

    // Whether an AUTH is not answered yet.
    bool pending() const { return !unanswered_.empty(); }
    // Whether other credentials were set since it last said AUTH.
    bool outdated() const { return said_ && *said_ != login_.version_; }
    // Whether the connection is not that of the user who is set now.
    bool of_another_user() const { return said_ && *said_ < login_.user_since_; }

 private:
    struct Sent {
        Version version;
        std::optional<Version> before;  // what had been said until then
        std::string password;
    };

    Login& login_;
    std::optional<Version> said_;
    std::deque<Sent> unanswered_;
    bool greeted_ = false;
};

}  // namespace fanwire::core
