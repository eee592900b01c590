#include "core/backend/connection.h"

#include <new>
#include <utility>

namespace fanwire::core {

Connection::Connection(Loop& loop, Resolver& resolver, const Endpoint& endpoint, Link& link, Traffic traffic,
                       Loop::Callback turn_end)
    : link_(link),
      endpoint_(endpoint),
      wire_(loop, resolver, *this),
      timer_(loop, [this] { tick(); }),
      traffic_(std::move(traffic)),
      turn_end_(std::move(turn_end)) {}

void Connection::start() {
    attempt([&] { link_.start(now_ms()); });
}

void Connection::stop() {
    attempt([&] { link_.stop(); });
}

void Connection::flush() {
    attempt([] {});
}

// Says to the wire how far this connection has come: it may have to look for another one.
void Connection::note_progress() {
    if (link_.state() != Link::State::ready) return;
    if (!std::exchange(greeted_, true)) wire_.greeted();
    if (!link_.has_worked()) return;
    good_ = true;
    wire_.good();
}

void Connection::pump() {
    const TimeMs now = now_ms();
    if (!good_) note_progress();
    while (true) {
        switch (link_.request()) {
            case Link::Request::open:
                wire_.open(endpoint_);
                break;
            case Link::Request::close:
                wire_.close();
                break;
            case Link::Request::none:
                break;
        }
        const std::string_view bytes = link_.output(now);
        if (bytes.empty()) break;
        const std::size_t sent = wire_.write(bytes);
        traffic_(0, sent);
        written_ += static_cast<std::int64_t>(sent);
        link_.wrote(sent, now);
        if (sent < bytes.size()) break;
    }
    // A deadline that moved away is met when the timer fires early; most of them move with every received byte.
    const TimeMs deadline = link_.deadline();
    if (deadline < armed_ || deadline == never) {
        armed_ = deadline;
        timer_.at(deadline);
    }
}

// Without the memory for it the link is given up and made anew. That itself needs none: it only takes back.
template <class Step>
void Connection::attempt(Step&& step) {
    try {
        step();
        pump();
    } catch (const std::bad_alloc&) {
        link_.closed({Status::NO_MEMORY, "out of memory"}, now_ms());
        wire_.close();
        pump();
    }
}

template <class Step>
void Connection::turn(Step&& step) {
    attempt(step);
    turn_end_();
}

void Connection::wire_opened() {
    written_ = arrived_ = 0;
    waited_ = greeted_ = good_ = false;
    turn([&] { link_.opened(now_ms()); });
}

void Connection::wire_received(std::string_view bytes) {
    turn([&] {
        traffic_(bytes.size(), 0);
        link_.received(bytes, now_ms());
    });
}

void Connection::wire_writable() {
    turn([] {});
}

void Connection::wire_broken(Error why) {
    turn([&] { link_.closed(std::move(why), now_ms()); });
}

void Connection::tick() {
    armed_ = never;
    turn([&] {
        const TimeMs now = now_ms();
        if (moving()) link_.moving(now);
        link_.tick(now);
    });
}

bool Connection::moving() {
    const auto waiting = static_cast<std::int64_t>(wire_.unconfirmed());
    const std::int64_t before = std::exchange(arrived_, written_ - waiting);
    const bool waited = std::exchange(waited_, waiting > 0);
    // When all had arrived already at the last look, silence is the server's.
    return arrived_ > before && (waited || waited_);
}

}  // namespace fanwire::core
