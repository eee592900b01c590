// An engine that is opened to be looked at: what it says about itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bindings/cli/arguments.h"
#include "bindings/cli/deadline.h"
#include "bindings/cli/handles.h"
#include "bindings/cli/session.h"

namespace fanwire::cli {

// Everything at one moment.
struct Observation {
    Clock::time_point at;
    fanwire_health health;
    fanwire_engine_stats stats;
    fanwire_inbox_stats inbox;
    fanwire_latency publish, delivery;

    // Whether the health is more than that nothing is known yet.
    bool settled() const;
    bool ok() const { return health.verdict == FANWIRE_HEALTH_OK; }
    const char* verdict() const;
    std::optional<uint64_t> probe_us() const;
};

class Observed {
 public:
    // Opens it with the settings of the command line. It probes, even if they do not say so: without, nobody knows
    // whether messages come through. Subscribes to each --channel and --pattern.
    explicit Observed(Arguments& arguments);

    Session& session() { return session_; }
    Observation observe() const;

    // What waits in the inbox is taken from it.
    void drain();

    // Waits for the first attempt to connect; throws why it failed. False when a signal came or the deadline passed.
    bool connect(const Deadline& deadline) { return session_.connect(deadline); }

    // Waits until the health is settled, the deadline passed or a signal came. Observes it for the last time.
    Observation settle(const Deadline& deadline);

    // The text of one fanwire_metrics_format.
    std::string metrics(int format) const;

 private:
    Session session_;
    std::vector<Handle<fanwire_subscription>> subscriptions_;
};

// What was counted after `earlier`; its maximum is the one since the engine was opened.
fanwire_latency since(const fanwire_latency& earlier, const fanwire_latency& later);

// What `percent` of all took at most, in microseconds; nothing when there was nothing.
std::optional<uint64_t> percentile(const fanwire_latency& latency, double percent);

}  // namespace fanwire::cli
