// Whether a link is alive: any received byte counts; an idle link is asked by PING and has a deadline to answer.
#pragma once

#include "core/base/clock.h"

namespace fanwire::core {

class Heartbeat {
 public:
    enum class Verdict { fine, ping, dead };

    // `interval`: how long a link may be idle before it is asked; `timeout`: how long it may be silent in all once
    // something is expected of it.
    Heartbeat(TimeMs interval, TimeMs timeout) : interval_(interval), timeout_(timeout) {}

    void start(TimeMs now) {
        last_received_ = now;
        expecting_since_ = never;
    }
    void received(TimeMs now) {
        last_received_ = now;
        expecting_since_ = never;
    }
    // What was sent is still on its way and moving: the answer cannot be expected before it is there.
    void moving(TimeMs now) {
        if (expecting_since_ != never) expecting_since_ = now;
    }
    // The answer is held back, for a reason: looks again in that time.
    void held_back(TimeMs now, TimeMs again) { expecting_since_ = now + again - timeout_; }
    TimeMs last_received() const { return last_received_; }
    // Something was sent that the server must answer.
    void expecting(TimeMs now) {
        if (expecting_since_ == never) expecting_since_ = now;
    }

    Verdict check(TimeMs now) const {
        if (expecting_since_ != never) return now >= expecting_since_ + timeout_ ? Verdict::dead : Verdict::fine;
        return now >= last_received_ + interval_ ? Verdict::ping : Verdict::fine;
    }
    // When check() may next say something else.
    TimeMs deadline() const {
        return expecting_since_ != never ? expecting_since_ + timeout_ : last_received_ + interval_;
    }

 private:
    TimeMs interval_, timeout_;
    TimeMs last_received_ = 0;
    TimeMs expecting_since_ = never;
};

}  // namespace fanwire::core
