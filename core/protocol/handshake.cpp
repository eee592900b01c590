#include "core/protocol/handshake.h"

#include <charconv>
#include <system_error>

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

std::optional<std::uint64_t> field(std::string_view info, std::string_view name) {
    for (std::size_t at = info.find(name); at != info.npos; at = info.find(name, at + 1)) {
        const std::size_t value = at + name.size();
        if ((at != 0 && info[at - 1] != '\n') || value >= info.size() || info[value] != ':') continue;
        std::uint64_t number = 0;
        const auto end = std::from_chars(info.data() + value + 1, info.data() + info.size(), number);
        if (end.ec == std::errc{}) return number;
    }
    return std::nullopt;
}

}  // namespace

ServerStats ServerStats::parse(std::string_view info) {
    return {field(info, "total_connections_received"), field(info, "client_output_buffer_limit_disconnections")};
}

void append_auth(std::string& out, const std::string& username, const std::string& password) {
    if (username.empty() && password.empty()) return;
    if (username.empty())
        append_command(out, {"AUTH", password});
    else
        append_command(out, {"AUTH", username, password});
}

Error auth_error(std::string_view reply, const std::string& password) {
    if (may_quote_password(reply, password))
        return {Status::AUTH_FAILED, "AUTH: the server does not accept the command"};
    return {Status::AUTH_FAILED, error_of_reply("AUTH", reply).text};  // WRONGPASS, or ERR when none is configured
}

void Handshake::start(std::string& out) {
    expected_.clear();
    error_ = {};
    stats_ = {};
    const std::size_t before = out.size();
    append_auth(out, config_.username, config_.password);
    sent_password_ = config_.password;
    if (out.size() != before) expected_.push_back(Step::auth);
    if (config_.db != 0) {
        append_command(out, {"SELECT", std::to_string(config_.db)});
        expected_.push_back(Step::select);
    }
    if (!config_.client_name.empty()) {
        append_command(out, {"CLIENT", "SETNAME", config_.client_name});
        expected_.push_back(Step::setname);
    }
    if (config_.ask_stats) {
        append_command(out, {"INFO", "stats"});
        expected_.push_back(Step::stats);
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
            if (refused) error_ = auth_error(reply.text(), sent_password_);
            break;
        case Step::select:
            if (refused) error_ = error_of_reply("SELECT " + std::to_string(config_.db), reply.text());
            break;
        case Step::setname:
            // Only a name: servers and proxies that refuse it work all the same.
            if (refused && reply.text().starts_with("NOAUTH")) error_ = error_of_reply("CLIENT SETNAME", reply.text());
            break;
        case Step::stats:
            if (reply.is(ReplyType::string)) stats_ = ServerStats::parse(reply.text());  // else: it is not to be known
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
