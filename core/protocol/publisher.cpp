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
    const std::string_view own = Link::output(now);
    if (state() != State::ready || !own.empty()) return own;
    return held() ? std::string_view() : queue_.output();
}

void Publisher::wrote(std::size_t size, TimeMs now) {
    const bool own = !Link::output(now).empty();
    if (own) Link::wrote(size, now);
    if (state() != State::ready) return;
    if (!own) queue_.wrote(size);
    if (awaits_reply())
        heartbeat_.expecting(now);
    else if (size > 0)  // part of a large command: nothing can be answered before it is complete
        heartbeat_.received(now);
}

void Publisher::on_reply(const Reply& reply, TimeMs now) {
    // An error is the answer to what is being written: Redis refuses a command that is too large by its first bytes.
    if (reply.is(ReplyType::error) && early_.empty()) {
        const Error refusal = error_of_reply("PUBLISH", reply.text());
        if (queue_.refuse_part(refusal))
            return renew(Error::of(Status::CONNECTION_LOST, {"the server refused what was being sent: ", refusal.text}),
                         now);
    }
    if (early_.empty() ? !queue_.reply(reply) : !take_early(reply))
        protocol_error("the server sent a reply that answers nothing we asked", now);
    else
        answered(now);
    if (state() == State::ready && !reply.is(ReplyType::error)) worked();
}

std::size_t Publisher::scan(std::string_view bytes, TimeMs now) {
    const std::size_t taken = early_.empty() ? queue_.scan(bytes) : 0;
    if (taken > 0) {
        answered(now);
        worked();
    }
    return taken;
}

// The answer to what was written in front of everything in the queue.
bool Publisher::take_early(const Reply& reply) {
    const PublishRecord::Kind kind = early_.front();
    if (!PublishQueue::answers(kind, reply)) return false;
    early_.pop_front();
    if (kind != PublishRecord::Kind::ping) answered(kind, reply);
    return true;
}

void Publisher::answered(TimeMs now) {
    if (awaits_reply())
        heartbeat_.expecting(now);
    else  // the replies before this one, in the same read, left it expecting
        heartbeat_.received(now);
}

void Publisher::on_down(const Error& why, TimeMs) {
    sent_passwords_.clear();
    early_.clear();
    release();
    queue_.link_down(why);
    if (offline_ == Offline::fail) queue_.fail_unsent(Error::of(Status::NOT_CONNECTED, {"not sent: ", why.text}));
}

// From now on every publish fails, until it is started again.
void Publisher::on_given_up(const Error& why) {
    given_up_ = Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text});
    queue_.fail_unsent(given_up_);
}

void Publisher::send_ping(TimeMs) {
    if (!held() && queue_.has_unsent()) return;
    std::string command;
    append_command(command, {"PING"});
    append_own(PublishRecord::Kind::ping, command);
}

std::string_view Publisher::unanswered() const {
    switch (early_.empty() ? queue_.awaited() : early_.front()) {
        case PublishRecord::Kind::ping:
            return "PING";
        case PublishRecord::Kind::auth:
            return "AUTH";
        case PublishRecord::Kind::numsub:
            return "PUBSUB NUMSUB";
        case PublishRecord::Kind::publish:
        case PublishRecord::Kind::expired:
        case PublishRecord::Kind::probe:
            break;
    }
    return "PUBLISH";
}

// Behind what is queued, unless that is held: the link's own commands do not wait for it.
void Publisher::append_own(PublishRecord::Kind kind, std::string_view command) {
    if (!held()) return queue_.append_own(kind, command);
    out_.reserve(out_.size() + command.size());
    early_.push_back(kind);
    out_.append(command);
}

void Publisher::probe(std::string_view channel, std::string_view payload) {
    std::string command;
    append_command(command, {"PUBLISH", channel, payload});
    append_own(PublishRecord::Kind::probe, command);
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
        append_own(PublishRecord::Kind::auth, command);
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
    if (held() && now >= held_until_) release();
}

TimeMs Publisher::deadline() const {
    const TimeMs deadline = std::min(Link::deadline(), queue_.deadline());
    return held() ? std::min(deadline, held_until_) : deadline;
}

}  // namespace fanwire::core
