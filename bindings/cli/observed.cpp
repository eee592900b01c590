#include "bindings/cli/observed.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "bindings/cli/failure.h"

namespace fanwire::cli {
namespace {

constexpr char kProbe[] = "probe_interval_ms";

Arguments& with_probe(Arguments& arguments) {
    const char* source = nullptr;
    check(fanwire_options_source(arguments.options(), kProbe, &source));
    if (std::string_view(source) == "default") check(fanwire_options_set(arguments.options(), kProbe, "1000"));
    return arguments;
}

}  // namespace

bool Observation::settled() const {
    if (ok()) return true;
    if (health.verdict == FANWIRE_HEALTH_DOWN) return stats.connect_errors + stats.disconnects > 0;
    return health.status != FANWIRE_TIMEOUT;
}

const char* Observation::verdict() const {
    switch (health.verdict) {
        case FANWIRE_HEALTH_OK:
            return "ok";
        case FANWIRE_HEALTH_DEGRADED:
            return "degraded";
        default:
            return "down";
    }
}

std::optional<uint64_t> Observation::probe_us() const {
    if (health.probe_age_ms == FANWIRE_COUNT_UNKNOWN) return std::nullopt;
    return health.probe_us;
}

Observed::Observed(Arguments& arguments) : session_(with_probe(arguments)) {
    const auto add = [this](const std::string& name, decltype(&fanwire_subscribe) subscribe) {
        fanwire_subscription* subscription = nullptr;
        check(subscribe(&subscription, session_.engine(), name.data(), name.size(), session_.inbox(), nullptr));
        subscriptions_.emplace_back(subscription);
    };
    for (const std::string& channel : arguments.all("channel")) add(channel, fanwire_subscribe);
    for (const std::string& pattern : arguments.all("pattern")) add(pattern, fanwire_psubscribe);
}

Observation Observed::observe() const {
    Observation seen = {};
    seen.at = Clock::now();
    fanwire_engine* engine = session_.engine();
    check(fanwire_engine_health(engine, &seen.health, sizeof seen.health));
    check(fanwire_engine_stats_get(engine, &seen.stats, sizeof seen.stats));
    check(fanwire_inbox_stats_get(session_.inbox(), &seen.inbox, sizeof seen.inbox));
    check(fanwire_engine_latency(engine, FANWIRE_LATENCY_PUBLISH, &seen.publish, sizeof seen.publish));
    check(fanwire_engine_latency(engine, FANWIRE_LATENCY_DELIVERY, &seen.delivery, sizeof seen.delivery));
    return seen;
}

void Observed::drain() {
    // A bound, so that a channel that never rests does not keep us from looking at the clock.
    constexpr int kMostBatches = 256;
    for (int i = 0; i < kMostBatches && session_.signals().caught() == 0; ++i)
        if (!session_.drain([](const fanwire_event&) {})) return;
}

Observation Observed::settle(const Deadline& deadline) {
    // No event says that a probe came back.
    constexpr unsigned long long kLookEveryMs = 10;
    std::vector<pollfd> none;
    for (;;) {
        drain();
        const Observation seen = observe();
        if (seen.settled() || passed(deadline) || session_.signals().caught() != 0) return seen;
        const Deadline next = deadline_in(kLookEveryMs);
        session_.wait(none, deadline ? std::min(*deadline, *next) : next);
    }
}

std::string Observed::metrics(int format) const {
    std::string text(16 * 1024, '\0');
    for (;;) {  // it may grow from call to call
        size_t size = text.size();
        const int status = fanwire_engine_metrics(session_.engine(), format, text.data(), &size);
        if (status != FANWIRE_LIMIT_REACHED || size <= text.size()) {
            check(status);
            return text.c_str();
        }
        text.resize(size);
    }
}

fanwire_latency since(const fanwire_latency& earlier, const fanwire_latency& later) {
    fanwire_latency between = later;
    between.count -= earlier.count;
    between.sum_us -= earlier.sum_us;
    for (size_t i = 0; i < FANWIRE_LATENCY_BUCKETS; ++i) between.buckets[i] -= earlier.buckets[i];
    return between;
}

std::optional<uint64_t> percentile(const fanwire_latency& latency, double percent) {
    if (latency.count == 0) return std::nullopt;
    const auto wanted = static_cast<uint64_t>(std::ceil(percent / 100 * static_cast<double>(latency.count)));
    uint64_t below = 0;
    for (size_t i = 0; i + 1 < FANWIRE_LATENCY_BUCKETS; ++i) {
        below += latency.buckets[i];
        if (below >= wanted) return std::min(uint64_t{1} << i, latency.max_us);
    }
    return latency.max_us;
}

}  // namespace fanwire::cli
