#include "core/protocol/handshake.h"

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

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

    switch (step) {
        case Step::auth:
            if (refused) {  // whatever Redis's words: WRONGPASS, or ERR when no password is configured
                error_ = error_of_reply("AUTH", reply.text());
                if (error_.status == Status::REDIS_ERROR) error_.status = Status::AUTH_FAILED;
            }
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
