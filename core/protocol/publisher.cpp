#include "core/protocol/publisher.h"

#include <algorithm>

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

void Publisher::publish(PublishBatch& batch) {
    queue_.append(batch);
    if (given_up_)
        queue_.fail_unsent(given_up_);
    else if (offline_ == Offline::fail && state() != State::ready)  // it went down between acceptance and now
        queue_.fail_unsent(Error::of(Status::NOT_CONNECTED, {"there is no connection to Redis, and offline=fail"}));
}

void Publisher::fail_all(const Error& unsent) {
    queue_.link_down(unsent);
    queue_.fail_unsent(unsent);
}

std::string_view Publisher::output(TimeMs now) {
    if (state() != State::ready) return Link::output(now);
    return queue_.output();
}

void Publisher::wrote(std::size_t size, TimeMs now) {
    if (state() != State::ready) {
        Link::wrote(size, now);
        return;
    }
    queue_.wrote(size);
    if (queue_.awaits_reply())
        heartbeat_.expecting(now);
    else if (size > 0)  // part of a large command: nothing can be answered before it is complete
        heartbeat_.received(now);
}

void Publisher::on_reply(const Reply& reply, TimeMs now) {
    if (!queue_.reply(reply))
        protocol_error("the server sent a reply that answers nothing we asked", now);
    else
        answered(now);
    if (state() == State::ready && !reply.is(ReplyType::error)) worked();
}

std::size_t Publisher::scan(std::string_view bytes, TimeMs now) {
    const std::size_t taken = queue_.scan(bytes);
    if (taken > 0) {
        answered(now);
        worked();
    }
    return taken;
}

void Publisher::answered(TimeMs now) {
    if (queue_.awaits_reply())
        heartbeat_.expecting(now);
    else  // the replies before this one, in the same read, left it expecting
        heartbeat_.received(now);
}

void Publisher::on_down(const Error& why, TimeMs) {
    sent_passwords_.clear();
    queue_.link_down(why);
    if (offline_ == Offline::fail) queue_.fail_unsent(Error::of(Status::NOT_CONNECTED, {"not sent: ", why.text}));
}

void Publisher::on_given_up(const Error& why) { give_up(why); }

void Publisher::give_up(const Error& why) {
    queue_.link_down(why);
    given_up_ = Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text});
    queue_.fail_unsent(given_up_);
}

void Publisher::send_ping(TimeMs) {
    if (queue_.has_unsent()) return;
    std::string command;
    append_command(command, {"PING"});
    queue_.append_own(PublishRecord::Kind::ping, command);
}

void Publisher::probe(std::string_view channel, std::string_view payload) {
    std::string command;
    append_command(command, {"PUBLISH", channel, payload});
    queue_.append_own(PublishRecord::Kind::probe, command);
}

void Publisher::on_credentials(bool, TimeMs now) {
    std::string command;
    append_auth(command, login().username, login().password);
    if (command.empty()) {  // nobody can be logged out
        renew(Error::of(Status::CONNECTION_LOST, {"connecting anew, without a login"}), now);
        return;
    }
    sent_passwords_.push_back(login().password);
    try {
        queue_.append_own(PublishRecord::Kind::auth, command);
    } catch (...) {
        sent_passwords_.pop_back();
        throw;
    }
}

void Publisher::answered(PublishRecord::Kind kind, const Reply& reply) {
    const bool refused = reply.is(ReplyType::error);
    if (kind == PublishRecord::Kind::auth) {
        const std::string password = std::move(sent_passwords_.front());
        sent_passwords_.pop_front();
        if (refused)
            login_refused(auth_error(reply.text(), password));
        else
            login_accepted();
        return;
    }
    if (kind == PublishRecord::Kind::numsub) return listener_.numsub_answered(reply);
    Outcome outcome;
    if (refused)
        outcome.error = error_of_reply("PUBLISH", reply.text());
    else
        outcome.receivers = static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer(), 0));
    listener_.probe_answered(outcome);
}

void Publisher::tick(TimeMs now) {
    Link::tick(now);
    queue_.tick(now);
}

TimeMs Publisher::deadline() const { return std::min(Link::deadline(), queue_.deadline()); }

}  // namespace fanwire::core
