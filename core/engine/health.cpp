#include "core/engine/health.h"

namespace fanwire::core {

namespace {

std::uint64_t age(TimeMs now, TimeMs at) {
    if (at == never) return Health::unknown;
    return now > at ? static_cast<std::uint64_t>(now - at) : 0;
}

void set(Health& health, Verdict verdict, Status status, std::string text) {
    health.verdict = verdict;
    health.status = status;
    health.text = std::move(text);
}

std::string because(const Error& why) {
    return why ? ": " + why.text : "";
}

}  // namespace

const char* verdict_name(Verdict verdict) {
    switch (verdict) {
#define FANWIRE_HEALTH_VERDICT(upper, name, code, help) \
    case Verdict::name:                                 \
        return #name;
#include "core/base/names.def"
    }
    return "down";
}

// The verdict is that of the gravest reason.
Health judge(const HealthFacts& facts) {
    Health health;
    health.publish_link = facts.publish_link;
    health.subscribe_link = facts.subscribe_link;
    health.unconfirmed = facts.unseen + (facts.desired > facts.confirmed ? facts.desired - facts.confirmed : 0);
    health.refused = facts.refused;
    health.silence_ms = age(facts.now, facts.received_at);
    health.probe_age_ms = age(facts.now, facts.probe_at);
    health.probe_us = facts.probe_us;

    if (facts.closed) {
        set(health, Verdict::down, Status::CLOSED, "the engine is closed");
        return health;
    }
    if (!facts.publish_link || !facts.subscribe_link) {
        const std::string which = facts.gave_up          ? "gave up connecting"
                                  : facts.publish_link   ? "the subscribe link is down"
                                  : facts.subscribe_link ? "the publish link is down"
                                                         : "not connected";
        set(health, Verdict::down, facts.connection ? facts.connection.status : Status::NOT_CONNECTED,
            which + because(facts.connection));
        return health;
    }
    // A link that is silent for heartbeat_timeout is broken; one that is silent for twice that was not looked at.
    if (facts.has_links && health.silence_ms != Health::unknown &&
        health.silence_ms > 2 * static_cast<std::uint64_t>(facts.heartbeat_timeout)) {
        set(health, Verdict::down, Status::SYSTEM_ERROR,
            "nothing was received for " + std::to_string(health.silence_ms) +
                " ms and the IO thread has not noticed: it is held up, perhaps by a wake or log function");
        return health;
    }
    if (facts.refused > 0) {
        set(health, Verdict::degraded, facts.refusal ? facts.refusal.status : Status::REDIS_ERROR,
            std::to_string(facts.refused) + " of " + std::to_string(facts.desired) +
                " channels and patterns are refused by Redis" + because(facts.refusal));
        return health;
    }
    if (facts.has_links && facts.probe_interval > 0) {
        if (facts.probe_refusal) {
            set(health, Verdict::degraded, facts.probe_refusal.status,
                "the probe is not possible: " + facts.probe_refusal.text);
            return health;
        }
        const auto most = static_cast<std::uint64_t>(facts.probe_interval + 2 * facts.probe_deadline);
        if (!facts.probe_returned || health.probe_age_ms > most) {
            set(health, Verdict::degraded, Status::TIMEOUT,
                facts.probe_returned ? "no probe has come back for " + std::to_string(health.probe_age_ms) + " ms"
                                     : "no probe has come back on these links yet");
            return health;
        }
    }
    if (health.unconfirmed > 0) {
        set(health, Verdict::degraded, Status::TIMEOUT,
            std::to_string(health.unconfirmed) + " of " + std::to_string(facts.desired + facts.unseen) +
                " channels and patterns are not confirmed by Redis yet");
        return health;
    }
    set(health, Verdict::ok, Status::OK,
        facts.has_links && facts.probe_interval > 0
            ? "connected, everything confirmed, the last probe took " + std::to_string(facts.probe_us) + " us"
            : "connected, everything confirmed");
    return health;
}

}  // namespace fanwire::core
