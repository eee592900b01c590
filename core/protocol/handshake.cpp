#include "core/protocol/handshake.h"

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

// Not an answer to the command: the server does not want this connection.
bool refuses_connection(std::string_view reply) {
    return reply.starts_with("DENIED") || reply.find("max number of clients") != reply.npos;
}

// Servers that do not know AUTH quote its arguments in their answer: such words are not for anybody's eyes.
bool may_quote_password(std::string_view reply, const std::string& password) {
    return reply.starts_with("ERR unknown") || (!password.empty() && reply.find(password) != reply.npos);
}

}  // namespace

void Handshake::start(std::string& out) {
    expected_.clear();
    error_ = {};
    if (!config_.username.empty() || !config_.password.empty()) {
        if (config_.username.empty())
            append_command(out, {"AUTH", config_.password});
        else
            append_command(out, {"AUTH", config_.username, config_.password});
        expected_.push_back(Step::auth);
    }
    if (config_.db != 0) {
        append_command(out, {"SELECT", std::to_string(config_.db)});
        expected_.push_back(Step::select);
    }
    if (!config_.client_name.empty()) {
        append_command(out, {"CLIENT", "SETNAME", config_.client_name});
        expected_.push_back(Step::setname);
    }
    append_command(out, {"PING"});
    expected_.push_back(Step::ping);
}

Handshake::Progress Handshake::reply(const Reply& reply) {
    const Step step = expected_.front();
    expected_.pop_front();
    const bool refused = reply.is(ReplyType::error);
    if (refused && refuses_connection(reply.text())) {
        error_ = error_of_reply("the server refused the connection", reply.text());
        return Progress::failed;
    }

    switch (step) {
        case Step::auth:
            if (refused && may_quote_password(reply.text(), config_.password))
                error_ = {Status::AUTH_FAILED, "AUTH: the server does not accept the command"};
            else if (refused)  // WRONGPASS, or ERR when no password is configured
                error_ = {Status::AUTH_FAILED, error_of_reply("AUTH", reply.text()).text};
            break;
        case Step::select:
            if (refused) error_ = error_of_reply("SELECT " + std::to_string(config_.db), reply.text());
            break;
        case Step::setname:
            // Only a name: servers and proxies that refuse it work all the same.
            if (refused && reply.text().starts_with("NOAUTH")) error_ = error_of_reply("CLIENT SETNAME", reply.text());
            break;
        case Step::ping:
            if (refused) {
                error_ = error_of_reply("PING", reply.text());
                if (error_.status == Status::NO_PERMISSION) error_ = {};  // it is a Redis, and it knows us
            } else if (reply.text() != "PONG") {
                error_ = {Status::PROTOCOL_ERROR, "PING was not answered by PONG"};
            }
            break;
    }
    if (error_) return Progress::failed;
    return expected_.empty() ? Progress::done : Progress::more;
}

}  // namespace fanwire::core
