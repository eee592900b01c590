#include "core/protocol/publishing.h"

#include <algorithm>

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"
#include "core/protocol/link.h"

namespace fanwire::core {

void Publishing::publish(PublishBatch& batch) {
    queue_.append(batch);
    if (exhausted_)
        queue_.fail_unsent(exhausted_);
    else if (offline_ == Offline::fail &&
             link().state() != Link::State::ready)  // it went down between acceptance and now
        queue_.fail_unsent(Error::of(Status::NOT_CONNECTED, {"there is no connection to Redis, and offline=fail"}));
}

void Publishing::fail_all(const Error& unsent) {
    queue_.link_down(unsent);
    queue_.fail_unsent(unsent);
}

std::string_view Publishing::output(TimeMs) {
    const std::string_view own = link().words_left();
    return held() || !own.empty() ? own : queue_.output();
}

void Publishing::wrote(std::size_t size, TimeMs now) {
    if (!link().words_left().empty())
        link().wrote_words(size);
    else
        queue_.wrote(size);
    if (awaits_reply())
        link().expecting(now);
    else if (size > 0)  // part of a large command: nothing can be answered before it is complete
        link().expecting_nothing(now);
}

void Publishing::on_reply(const Reply& reply, TimeMs now) {
    // An error is the answer to what is being written: Redis refuses a command that is too large by its first bytes.
    if (reply.is(ReplyType::error) && early_.empty()) {
        const Error refusal = error_of_reply("PUBLISH", reply.text());
        if (queue_.refuse_part(refusal))
            return link().renew(
                Error::of(Status::CONNECTION_LOST, {"the server refused what was being sent: ", refusal.text}), now);
    }
    if (early_.empty() ? !queue_.reply(reply) : !take_early(reply))
        link().protocol_error("the server sent a reply that answers nothing we asked", now);
    else
        answered(now);
    if (link().state() == Link::State::ready && !reply.is(ReplyType::error)) link().worked();
}

std::size_t Publishing::scan(std::string_view bytes, TimeMs now) {
    const std::size_t taken = early_.empty() ? queue_.scan(bytes) : 0;
    if (taken > 0) {
        answered(now);
        link().worked();
    }
    return taken;
}

// The answer to what was written in front of everything in the queue.
bool Publishing::take_early(const Reply& reply) {
    const CommandRecord::Purpose purpose = early_.front();
    if (!CommandQueue::answers(purpose, reply)) return false;
    early_.pop_front();
    if (purpose != CommandRecord::Purpose::ping) answered(purpose, reply);
    return true;
}

void Publishing::answered(TimeMs now) {
    if (awaits_reply())
        link().expecting(now);
    else  // the replies before this one, in the same read, left it expecting
        link().expecting_nothing(now);
}

void Publishing::on_down(const Error& why, TimeMs) {
    early_.clear();
    release();
    queue_.link_down(why);
    if (offline_ == Offline::fail) queue_.fail_unsent(Error::of(Status::NOT_CONNECTED, {"not sent: ", why.text}));
}

// From now on every publish fails, until it is started again.
void Publishing::on_exhausted(const Error& why) {
    exhausted_ = Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text});
    queue_.fail_unsent(exhausted_);
}

void Publishing::send_ping(TimeMs) {
    if (!held() && queue_.has_unsent()) return;
    std::string command;
    append_command(command, {"PING"});
    append_own(CommandRecord::Purpose::ping, command);
}

std::string_view Publishing::unanswered() const {
    switch (early_.empty() ? queue_.awaited() : early_.front()) {
        case CommandRecord::Purpose::ping:
            return "PING";
        case CommandRecord::Purpose::auth:
            return "AUTH";
        case CommandRecord::Purpose::numsub:
            return "PUBSUB NUMSUB";
        case CommandRecord::Purpose::role:
            return "ROLE";
        case CommandRecord::Purpose::publish:
        case CommandRecord::Purpose::expired:
        case CommandRecord::Purpose::probe:
            break;
    }
    return "PUBLISH";
}

bool Publishing::may_be_held_back() const {
    if (!early_.empty() || !queue_.awaits_reply()) return false;
    switch (queue_.awaited()) {
        case CommandRecord::Purpose::publish:
        case CommandRecord::Purpose::expired:
        case CommandRecord::Purpose::probe:
            return true;
        case CommandRecord::Purpose::ping:
        case CommandRecord::Purpose::auth:
        case CommandRecord::Purpose::numsub:
        case CommandRecord::Purpose::role:
            break;
    }
    return false;
}

// Behind what is queued, unless that is held: the link's own commands do not wait for it.
void Publishing::append_own(CommandRecord::Purpose purpose, std::string_view command) {
    if (!held()) return queue_.append_own(purpose, command);
    std::string& words = link().words();
    words.reserve(words.size() + command.size());
    early_.push_back(purpose);
    words.append(command);
}

void Publishing::probe(std::string_view channel, std::string_view payload) {
    std::string command;
    append_command(command, {"PUBLISH", channel, payload});
    append_own(CommandRecord::Purpose::probe, command);
}

void Publishing::ask_role() {
    std::string command;
    append_command(command, {"ROLE"});
    append_own(CommandRecord::Purpose::role, command);
}

void Publishing::on_credentials(TimeMs now) {
    Login::Session& session = link().session();
    std::string command;
    if (!session.say(command)) {  // nobody can be logged out
        link().renew(Error::of(Status::CONNECTION_LOST, {"connecting again, without a login"}), now);
        return;
    }
    try {
        append_own(CommandRecord::Purpose::auth, command);
    } catch (...) {
        session.take_back();
        throw;
    }
}

void Publishing::answered(CommandRecord::Purpose purpose, const Reply& reply) {
    const bool refused = reply.is(ReplyType::error);
    if (purpose == CommandRecord::Purpose::auth) {
        if (const Error why = link().session().answered(reply))
            link().login_refused(why);
        else
            link().login_accepted();
        return;
    }
    if (purpose == CommandRecord::Purpose::numsub) return listener_.numsub_answered(reply);
    if (purpose == CommandRecord::Purpose::role) return listener_.role_answered(reply);
    Outcome outcome;
    if (refused)
        outcome.error = error_of_reply("PUBLISH", reply.text());
    else
        outcome.receivers = static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer(), 0));
    listener_.probe_answered(outcome);
}

void Publishing::tick(TimeMs now) {
    queue_.tick(now);
    if (held() && now >= held_until_) release();
}

TimeMs Publishing::deadline() const {
    const TimeMs deadline = queue_.deadline();
    return held() ? std::min(deadline, held_until_) : deadline;
}

}  // namespace fanwire::core
