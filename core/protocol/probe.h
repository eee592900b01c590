// Does what we publish come back? A message to ourselves, through the publish link and the subscribe link, finds what
// no PING can: a server that answers and delivers nothing. Pure: the backend sends what is due and reports what came.
//
// A probe is failed when it has not come back `timeout` after Redis has answered its PUBLISH (until then it is the
// publish link's heartbeat that watches). Messages that come in meanwhile prove that the subscribe
// link delivers, so they put that off (a backlog may be in front of the probe), unless Redis counted no receiver.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace fanwire::core {

class Probe {
 public:
    enum class Verdict { fine, send, failed };

    // interval 0: none is ever due.
    Probe(TimeMs interval, TimeMs timeout) : interval_(interval), timeout_(timeout) {}

    bool enabled() const { return interval_ > 0; }
    // Both links are ready and the probe's channel is confirmed; no longer so.
    void begin(TimeMs now);
    void end();
    bool running() const { return state_ != State::off; }

    Verdict check(TimeMs now) const;
    TimeMs deadline() const;

    // The payload of the probe that is due; it is sent now; there was no memory for it.
    std::string next() const { return std::to_string(number_ + 1); }
    void sent(std::uint64_t now_us);
    void later(TimeMs now) { deadline_ = now + interval_; }
    // Redis has counted the probe's receivers; has refused it.
    void published(std::uint64_t receivers, TimeMs now);
    void refused(TimeMs now);
    // The publish link broke: what it was asked will not be answered.
    void forget_answers() { unanswered_ = 0; }
    // Another message came in.
    void delivered(TimeMs now);
    // A message came in on the probe's channel. True when it is the one that is awaited; `round_trip_us` is set then.
    bool returned(std::string_view payload, TimeMs now, std::uint64_t now_us, std::uint64_t& round_trip_us);

 private:
    enum class State { off, waiting, awaited };

    bool answers_the_last();

    TimeMs interval_, timeout_;
    State state_ = State::off;
    TimeMs deadline_ = never;       // of the next one, or of the one that is awaited
    std::uint32_t unanswered_ = 0;  // probes sent on the publish link; answers come in order
    bool answered_ = false;
    std::uint64_t number_ = 0;
    std::uint64_t sent_us_ = 0;
    bool unheard_ = false;
};

}  // namespace fanwire::core
