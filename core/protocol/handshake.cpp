#include "core/protocol/handshake.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

constexpr int sure = 2;  // greetings closed, each followed by one that succeeded without what is optional

// Not an answer to the command: the server does not want this connection.
bool refuses_connection(std::string_view reply) {
    return reply.starts_with("DENIED") || reply.find("max number of clients") != reply.npos;
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

// Users that may not ask it, and proxies that do not know it, are taken at the sentinels' word.
Error master_error(const Reply& role) {
    if (!role.is(ReplyType::array) || role.size() == 0) return {};
    const std::string_view kind = role[0].text();
    if (kind == "sentinel") return {Status::WRONG_SERVER, "the server is a sentinel, not a Redis server"};
    if (kind != "slave" && kind != "replica") return {};
    if (role.size() < 3) return {Status::NOT_MASTER, "the server is a replica, not the master"};
    return Error::of(Status::NOT_MASTER, {"the server is a replica of ", role[1].text(), ":",
                                          std::to_string(role[2].integer()), ", not the master"});
}

ServerStats ServerStats::parse(std::string_view info) {
    return {field(info, "total_connections_received"), field(info, "client_output_buffer_limit_disconnections")};
}

void Handshake::start(std::string& out) {
    expected_.clear();
    session_->reset();
    error_ = {};
    stats_ = {};
    bare_sent_ = bare_;
    if (session_->say(out)) expected_.push_back(Step::auth);
    if (config_.db != 0) {
        append_command(out, {"SELECT", std::to_string(config_.db)});
        expected_.push_back(Step::select);
    }
    if (config_.ask_role) {
        append_command(out, {"ROLE"});
        expected_.push_back(Step::role);
    }
    if (!config_.client_name.empty() && !bare_sent_) {
        append_command(out, {"CLIENT", "SETNAME", config_.client_name});
        expected_.push_back(Step::setname);
    }
    if (config_.ask_stats && !bare_sent_) {
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
            error_ = session_->answered(reply);
            break;
        case Step::select:
            if (refused) error_ = error_of_reply("SELECT " + std::to_string(config_.db), reply.text());
            break;
        case Step::role:
            error_ = master_error(reply);
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
    if (!expected_.empty()) return Progress::more;
    succeeded();
    return Progress::done;
}

void Handshake::succeeded() {
    full_in_vain_ = bare_sent_ ? std::min(full_in_vain_ + 1, sure) : 0;
    bare_ = full_in_vain_ >= sure;
    session_->greeted();
}

Error Handshake::closed(const Error& why) {
    const bool optional = !bare_sent_ && has_optional();
    bare_ = optional || full_in_vain_ >= sure;
    const std::string_view text = why.text;
    const std::size_t hint = std::min(text.find("; "), text.size());  // what the stream has to say of it
    return Error::of(why.status,
                     {text.substr(0, hint), " at ", expected_.empty() ? "PING" : name_of(expected_.front()),
                      optional ? "; the next greeting goes without CLIENT SETNAME and INFO (client_name= and "
                                 "server_info=false leave them out)"
                               : "",
                      text.substr(hint)});
}

const char* Handshake::name_of(Step step) {
    switch (step) {
        case Step::auth:
            return "AUTH";
        case Step::select:
            return "SELECT";
        case Step::role:
            return "ROLE";
        case Step::setname:
            return "CLIENT SETNAME";
        case Step::stats:
            return "INFO";
        case Step::ping:
            break;
    }
    return "PING";
}

}  // namespace fanwire::core
