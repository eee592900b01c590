#include "core/protocol/login.h"

#include <utility>

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

// Servers that do not know AUTH quote its arguments in their answer: such words are not for anybody's eyes.
bool may_quote_password(std::string_view reply, const std::string& password) {
    return reply.starts_with("ERR unknown") || (!password.empty() && reply.find(password) != reply.npos);
}

// What people do not see of a password that they read from a file or a variable.
const char* unseen_in(std::string_view password) {
    constexpr std::string_view white = " \t\r\n\v\f";
    if (password.empty()) return "";
    if (password.back() == '\n') return "; the password ends in white space, a newline";
    if (white.find(password.back()) != white.npos) return "; the password ends in white space";
    if (white.find(password.front()) != white.npos) return "; the password begins with white space";
    if (password.starts_with("\xEF\xBB\xBF")) return "; the password begins with a byte order mark";
    const bool quoted = password.size() > 1 && password.front() == password.back();
    if (quoted && (password.front() == '"' || password.front() == '\'')) return "; the password stands in quotes";
    return "";
}

}  // namespace

void append_auth(std::string& out, const Credentials& credentials) {
    if (credentials == Credentials{}) return;
    if (credentials.username.empty())
        append_command(out, {"AUTH", credentials.password});
    else
        append_command(out, {"AUTH", credentials.username, credentials.password});
}

Error auth_error(std::string_view reply, const std::string& password) {
    if (may_quote_password(reply, password))
        return {Status::AUTH_FAILED, "AUTH: the server does not accept the command"};
    // WRONGPASS, or ERR when none is configured
    return {Status::AUTH_FAILED, error_of_reply("AUTH", reply).text + unseen_in(password)};
}

void Login::set(const std::string& username, const std::string& password) {
    Credentials newest{username, password};
    if (newest == credentials_ && !refused_) return;
    ++version_;
    if (newest.username != credentials_.username) user_since_ = version_;
    credentials_ = std::move(newest);
    refused_ = false;
}

void Login::Session::reset() noexcept {
    said_.reset();
    unanswered_.clear();
    greeted_ = false;
}

bool Login::Session::say(std::string& out) {
    const bool any = login_.credentials_ != Credentials{};
    if (any) {
        unanswered_.push_back({login_.version_, said_, login_.credentials_.password});
        try {
            append_auth(out, login_.credentials_);
        } catch (...) {
            unanswered_.pop_back();
            throw;
        }
    }
    said_ = login_.version_;
    return any;
}

void Login::Session::take_back() noexcept {
    said_ = unanswered_.back().before;
    unanswered_.pop_back();
}

Error Login::Session::answered(const Reply& reply) {
    const Sent sent = std::move(unanswered_.front());
    unanswered_.pop_front();
    if (reply.is(ReplyType::error)) {
        if (greeted_) login_.refused(sent.version);  // else the connection ends, and the next one says the newest
        return auth_error(reply.text(), sent.password);
    }
    if (greeted_) login_.accepted(sent.version);
    return {};
}

void Login::Session::greeted() {
    greeted_ = true;
    if (said_) login_.accepted(*said_);
}

}  // namespace fanwire::core
