// "Is delivery working?": a verdict from what the engine knows. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace fanwire::core {

enum class Verdict {
#define FANWIRE_HEALTH_VERDICT(upper, name, code, help) name = code,
#include "core/base/names.def"
};

const char* verdict_name(Verdict verdict);

struct HealthFacts {
    bool closed = false;
    bool has_links = true;  // memory:// has none and is always connected
    bool publish_link = false, subscribe_link = false;
    Error connection;  // why a link is down, as far as it is known
    bool gave_up = false;
    std::uint64_t desired = 0, confirmed = 0, refused = 0;
    std::uint64_t unseen = 0;  // subscriptions that the IO thread has not taken up yet
    Error refusal;             // why one was refused last
    TimeMs now = 0;
    TimeMs received_at = never;  // when anything last came in on the subscribe link
    TimeMs heartbeat_timeout = 0;
    TimeMs probe_interval = 0;    // 0: no probe
    TimeMs probe_deadline = 0;    // how long a probe may take
    bool probe_returned = false;  // on the present links
    TimeMs probe_at = never;      // when one last came back
    std::uint64_t probe_us = 0;
    Error probe_refusal;
};

struct Health {
    static constexpr std::uint64_t unknown = UINT64_MAX;

    Verdict verdict = Verdict::ok;
    Status status = Status::OK;
    bool publish_link = false, subscribe_link = false;
    std::uint64_t unconfirmed = 0, refused = 0;
    std::uint64_t silence_ms = unknown, probe_age_ms = unknown, probe_us = 0;
    std::string text;
};

Health judge(const HealthFacts& facts);

}  // namespace fanwire::core
