#include "core/protocol/probe.h"

namespace fanwire::core {

void Probe::begin(TimeMs now) {
    if (!enabled()) return;
    state_ = State::waiting;
    deadline_ = now;
}

void Probe::end() {
    state_ = State::off;
    deadline_ = never;
}

Probe::Verdict Probe::check(TimeMs now) const {
    if (state_ == State::off || now < deadline_) return Verdict::fine;
    return state_ == State::waiting ? Verdict::send : Verdict::failed;
}

TimeMs Probe::deadline() const {
    return deadline_;
}

void Probe::sent(std::uint64_t now_us) {
    state_ = State::awaited;
    deadline_ = never;
    sent_us_ = now_us;
    answered_ = unheard_ = false;
    ++number_;
    ++unanswered_;
}

// Whether this answer is about the probe that is awaited, and not about one before it.
bool Probe::answers_the_last() {
    if (unanswered_ > 0) --unanswered_;
    return unanswered_ == 0 && state_ == State::awaited;
}

void Probe::published(std::uint64_t receivers, TimeMs now) {
    if (!answers_the_last()) return;
    answered_ = true;
    unheard_ = receivers == 0;
    deadline_ = now + timeout_;
}

void Probe::refused(TimeMs now) {
    if (!answers_the_last()) return;
    state_ = State::waiting;
    deadline_ = now + interval_;
}

void Probe::delivered(TimeMs now) {
    if (state_ == State::awaited && answered_ && !unheard_) deadline_ = now + timeout_;
}

bool Probe::returned(std::string_view payload, TimeMs now, std::uint64_t now_us, std::uint64_t& round_trip_us) {
    if (state_ != State::awaited || payload != std::to_string(number_)) return false;
    round_trip_us = now_us - sent_us_;
    state_ = State::waiting;
    deadline_ = now + interval_;
    return true;
}

}  // namespace fanwire::core
