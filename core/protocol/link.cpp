#include "core/protocol/link.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"

namespace fanwire::core {

namespace {

constexpr TimeMs held_back_look = 500;  // how often it is asked whether an answer is still held back

}  // namespace

Link::Link(LinkConfig config, Random random, Login& login, Conversation& conversation, Listener& listener)
    : config_(std::move(config)),
      conversation_(conversation),
      listener_(listener),
      heartbeat_(config_.heartbeat_interval, config_.heartbeat_timeout),
      backoff_(config_.reconnect, std::move(random)),
      session_(login),
      handshake_(config_.handshake, session_) {
    conversation_.link_ = this;
}

void Link::start(TimeMs now) {
    failed_attempts_ = 0;
    backoff_.reset();
    hurried_ = false;
    conversation_.on_start();
    open(now);
}

void Link::open(TimeMs now) {
    session_.reset();
    state_ = State::opening;
    request_ = Request::open;
    deadline_ = now + config_.connect_timeout;
}

void Link::hurry(TimeMs now) {
    if (state_ == State::waiting && !std::exchange(hurried_, true)) deadline_ = std::min(deadline_, now);
}

void Link::retry(TimeMs now) {
    if (state_ == State::waiting) deadline_ = std::min(deadline_, now);
}

void Link::needed(TimeMs now) {
    if (state_ != State::waiting) return;
    const TimeMs soonest = waits_since_ + std::max(config_.reconnect.first, needed_after);
    deadline_ = std::min(deadline_, std::max(soonest, now));
}

void Link::give_up(const Error& why, TimeMs now) {
    const bool was_ready = state_ == State::ready;
    stop();
    if (was_ready) conversation_.on_down(why, now);
    conversation_.on_exhausted(why);
}

void Link::move(const Error& why, TimeMs now) {
    switch (state_) {
        case State::opening:
        case State::greeting:
            return open(now);
        case State::ready:
            return fail(why, now, true);
        case State::waiting:
            backoff_.reset();
            deadline_ = now;
            break;
        case State::idle:
        case State::stopped:
            break;
    }
}

void Link::stop() {
    state_ = State::stopped;
    request_ = Request::close;
    deadline_ = never;
}

Link::Request Link::request() {
    return std::exchange(request_, Request::none);
}

void Link::opened(TimeMs) {
    if (state_ != State::opening) return;
    state_ = State::greeting;
    reader_.reset();
    reader_.limit(LinkConfig::greeting_max);
    first_bytes_ = true;
    held_back_since_ = never;
    words_.clear();
    words_sent_ = 0;
    handshake_.start(words_);
}

void Link::received(std::string_view bytes, TimeMs now) {
    heartbeat_.received(now);
    held_back_since_ = never;
    if (first_bytes_ && !bytes.empty()) {
        first_bytes_ = false;
        if (std::string_view("+-:$*").find(bytes.front()) == std::string_view::npos) {
            protocol_error("the server does not speak the Redis protocol: it answered " +
                               quote(bytes.substr(0, bytes.find_first_of("\r\n")), 40),
                           now);
            return;
        }
    }
    while (!bytes.empty() && (state_ == State::greeting || state_ == State::ready)) {
        if (state_ == State::ready && reader_.idle()) {
            bytes.remove_prefix(conversation_.scan(bytes, now));
            const std::string left = conversation_.scan_left();
            for (std::string_view rest = left; !rest.empty() && state_ == State::ready;)
                rest.remove_prefix(read(rest.substr(0, ReplyReader::feed_max), now));
            if (bytes.empty() || state_ != State::ready || (!left.empty() && reader_.idle())) continue;
        }
        bytes.remove_prefix(read(bytes.substr(0, ReplyReader::feed_max), now));
    }
}

// Gives the piece to the reader. Returns how many bytes of it are done with; the others begin with something for
// scan().
std::size_t Link::read(std::string_view piece, TimeMs now) {
    reader_.feed(piece);
    if (!take_replies(now) && state_ == State::ready) conversation_.on_partial(now);
    const bool scannable = state_ == State::ready && conversation_.can_scan(reader_.unread());
    const std::size_t done = piece.size() - (scannable ? reader_.drop_unread() : 0);
    reader_.trim();
    return done;
}

// Returns whether there were any. Stops in front of what scan() can take.
bool Link::take_replies(TimeMs now) {
    bool any = false;
    while (state_ == State::greeting || state_ == State::ready) {
        switch (reader_.next()) {
            case ReplyReader::Result::more:
                return any;
            case ReplyReader::Result::broken:
                protocol_error("the server does not speak the Redis protocol: " + reader_.error(), now);
                return any;
            case ReplyReader::Result::reply:
                any = true;
                break;
        }
        if (state_ == State::ready) {
            const bool unknown = reader_.reply().is(ReplyType::error) && reader_.reply().text().starts_with("NOAUTH");
            conversation_.on_reply(reader_.reply(), now);
            // It was answered like any other error; but on this connection nothing can succeed any more.
            if (unknown && state_ == State::ready)
                fail({Status::AUTH_FAILED, "the server no longer knows who is logged in"}, now);
            if (conversation_.can_scan(reader_.unread())) return any;
            continue;
        }
        switch (handshake_.reply(reader_.reply())) {
            case Handshake::Progress::more:
                break;
            case Handshake::Progress::failed:
                fail(handshake_.error(), now);
                return any;
            case Handshake::Progress::done:
                state_ = State::ready;
                reader_.limit(config_.reply_max);
                deadline_ = never;
                worked_ = false;
                heartbeat_.start(now);
                conversation_.on_ready(now);
                if (session_.outdated()) conversation_.on_credentials(now);
                if (state_ == State::ready) listener_.link_ready();
        }
    }
    return any;
}

void Link::protocol_error(std::string text, TimeMs now) {
    fail({Status::PROTOCOL_ERROR, std::move(text)}, now);
}

Error Link::reopening(Error why) {
    if (state_ != State::greeting) return why;
    state_ = State::opening;
    words_.clear();
    words_sent_ = 0;
    return why.status == Status::CONNECTION_LOST ? handshake_.closed(why) : why;
}

void Link::closed(Error why, TimeMs now) {
    closed_by_peer_ = why.status == Status::CONNECTION_LOST;
    if (closed_by_peer_ && state_ == State::greeting) why = handshake_.closed(why);
    if (state_ == State::opening || state_ == State::greeting || state_ == State::ready) fail(std::move(why), now);
    closed_by_peer_ = false;
}

void Link::fail(Error why, TimeMs now, bool retry_at_once) {
    const bool was_ready = state_ == State::ready;
    if (state_ == State::stopped) return;
    request_ = Request::close;
    if (was_ready) {
        state_ = State::waiting;
        conversation_.on_down(why, now);
        listener_.link_lost(why);
    }
    const auto attempts_max = config_.reconnect_attempts_max;
    // Credentials that came while it was greeting with others deserve an attempt of their own.
    const bool other_credentials = !was_ready && session_.outdated();
    // Whoever was connected for the first time, however shortly, has only lost a connection. What follows a failure and
    // ends before it has worked is another failure.
    const bool in_vain = !was_ready || (!worked_ && !retry_at_once && backoff_.failures() > 0);
    if (in_vain && !other_credentials) ++failed_attempts_;
    const bool retry = attempts_max == 0 || failed_attempts_ < attempts_max;
    state_ = retry ? State::waiting : State::stopped;
    deadline_ = never;
    if (!retry) conversation_.on_exhausted(why);
    if (!was_ready || !retry) listener_.link_failed(why, retry);
    if (!retry) return;
    const TimeMs backoff = backoff_.next();
    const TimeMs delay = retry_at_once || other_credentials ? 0 : backoff;
    deadline_ = now + delay;
    waits_since_ = now;
    listener_.link_retry(backoff_.failures(), delay);
}

void Link::credentials_set(TimeMs now) {
    if (state_ == State::waiting)
        deadline_ = now;
    else if (state_ == State::ready && session_.outdated())
        conversation_.on_credentials(now);
}

void Link::renew(Error why, TimeMs now) {
    if (state_ == State::ready) fail(std::move(why), now, true);
}

void Link::tick(TimeMs now) {
    tick_link(now);
    conversation_.tick(now);
}

// While writes are paused, Redis answers no publish, and nothing behind it on that connection; it answers everything
// else. A server that hangs answers nothing, and what a dead network swallows does not arrive.
bool Link::is_held_back(TimeMs now) {
    if (config_.pause_max == 0 || !delivered_ || !conversation_.may_be_held_back() || !listener_.server_answers(now))
        return false;
    if (held_back_since_ == never) held_back_since_ = now;
    return now - held_back_since_ < config_.pause_max;
}

void Link::tick_link(TimeMs now) {
    switch (state_) {
        case State::opening:
        case State::greeting:
            if (now >= deadline_)
                fail({Status::CONNECT_TIMEOUT,
                      (state_ == State::opening ? "no connection" : "connected, but no greeting") +
                          std::string(" within ") + std::to_string(config_.connect_timeout) + " ms"},
                     now);
            break;
        case State::waiting:
            if (now >= deadline_) open(now);
            break;
        case State::ready:
            switch (heartbeat_.check(now)) {
                case Heartbeat::Verdict::fine:
                    break;
                case Heartbeat::Verdict::ping:
                    conversation_.send_ping(now);
                    heartbeat_.expecting(now);
                    break;
                case Heartbeat::Verdict::dead:
                    if (is_held_back(now))
                        return heartbeat_.held_back(now, std::min(held_back_look, config_.pause_max));
                    fail({Status::CONNECTION_LOST, "no answer to " + std::string(conversation_.unanswered()) +
                                                       " within " + std::to_string(config_.heartbeat_timeout) + " ms"},
                         now);
            }
            break;
        case State::idle:
        case State::stopped:
            break;
    }
}

TimeMs Link::deadline() const {
    return std::min(state_ == State::ready ? heartbeat_.deadline() : deadline_, conversation_.deadline());
}

void Link::wrote_words(std::size_t size) {
    words_sent_ += size;
    if (words_sent_ == words_.size()) {
        words_.clear();
        words_sent_ = 0;
    }
}

}  // namespace fanwire::core
