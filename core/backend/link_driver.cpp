#include "core/backend/link_driver.h"

#include <new>
#include <utility>

namespace fanwire::core {

LinkDriver::LinkDriver(Network& network, const Endpoint& endpoint, Link& link, Traffic traffic,
                       std::function<void()> turn_end)
    : network_(network),
      link_(link),
      endpoint_(endpoint),
      wire_(network.make_wire(*this)),
      timer_(network.make_timer([this] { tick(); })),
      traffic_(std::move(traffic)),
      turn_end_(std::move(turn_end)) {}

void LinkDriver::start() {
    attempt([&] { link_.start(network_.now()); });
}

void LinkDriver::stop() {
    attempt([&] { link_.stop(); });
}

void LinkDriver::flush() {
    attempt([] {});
}

// Says to the wire how far this connection has come: it may have to look for another one.
void LinkDriver::note_progress() {
    if (link_.state() != Link::State::ready) return;
    if (!std::exchange(greeted_, true)) wire_->greeted();
    if (!link_.has_worked()) return;
    good_ = true;
    wire_->good();
}

void LinkDriver::pump() {
    const TimeMs now = network_.now();
    if (!good_) note_progress();
    while (true) {
        switch (link_.request()) {
            case Link::Request::open:
                wire_->open(endpoint_);
                break;
            case Link::Request::close:
                wire_->close();
                break;
            case Link::Request::none:
                break;
        }
        const std::string_view bytes = link_.output(now);
        if (bytes.empty()) break;
        const std::size_t sent = wire_->write(bytes);
        traffic_(0, sent);
        written_ += static_cast<std::int64_t>(sent);
        link_.wrote(sent, now);
        if (sent < bytes.size()) break;
    }
    // The timer is only moved earlier: most deadlines move with every received byte. One that fires early finds nothing
    // due and is set again.
    const TimeMs deadline = link_.deadline();
    if (deadline < armed_ || deadline == never) {
        armed_ = deadline;
        timer_->at(deadline);
    }
}

// Without the memory for it the link is given up and made again. That itself needs none: it only takes back.
template <class Step>
void LinkDriver::attempt(Step&& step) {
    try {
        step();
        pump();
    } catch (const std::bad_alloc&) {
        link_.closed({Status::NO_MEMORY, "out of memory"}, network_.now());
        wire_->close();
        pump();
    }
}

template <class Step>
void LinkDriver::turn(Step&& step) {
    attempt(step);
    turn_end_();
}

void LinkDriver::wire_opened() {
    written_ = arrived_ = 0;
    waited_ = greeted_ = good_ = false;
    turn([&] { link_.opened(network_.now()); });
}

void LinkDriver::wire_received(std::string_view bytes) {
    turn([&] {
        traffic_(bytes.size(), 0);
        link_.received(bytes, network_.now());
    });
}

void LinkDriver::wire_writable() {
    turn([] {});
}

void LinkDriver::wire_broken(Error why) {
    turn([&] { link_.closed(std::move(why), network_.now()); });
}

void LinkDriver::tick() {
    armed_ = never;
    turn([&] {
        const TimeMs now = network_.now();
        if (moving()) link_.moving(now);
        link_.delivered(!waited_);
        link_.tick(now);
    });
}

bool LinkDriver::moving() {
    const auto waiting = static_cast<std::int64_t>(wire_->unconfirmed());
    const std::int64_t before = std::exchange(arrived_, written_ - waiting);
    const bool waited = std::exchange(waited_, waiting > 0);
    // When all had arrived already at the last look, silence is the server's.
    return arrived_ > before && (waited || waited_);
}

}  // namespace fanwire::core
