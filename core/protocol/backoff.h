// Delays between attempts to connect: they grow by a factor, and part of each is random, so that a fleet that lost
// Redis together does not come back together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "core/base/clock.h"
#include "core/base/settings.h"

namespace fanwire::core {

// A number in [0, 1).
using Random = std::function<double()>;

class Backoff {
 public:
    struct Policy {
        TimeMs first = 100, max = 30000;
        double factor = 2;
        Jitter jitter = Jitter::equal;
    };

    Backoff(const Policy& policy, Random random) : policy_(policy), random_(std::move(random)) {}

    // Returns the delay before the next attempt. With each call it grows, up to `max`.
    TimeMs next() {
        auto delay = static_cast<double>(policy_.first);
        const auto max = static_cast<double>(policy_.max);
        // A factor of 1 would never reach the maximum.
        for (std::uint32_t i = 0; i < failures_ && delay < max && policy_.factor > 1; ++i) delay *= policy_.factor;
        ++failures_;
        last_ = jittered(static_cast<TimeMs>(std::min(delay, max)));
        return last_;
    }

    // Failures in a row so far.
    std::uint32_t failures() const { return failures_; }
    void reset() {
        failures_ = 0;
        last_ = 0;
    }

 private:
    // From `low` to `high`, both included.
    TimeMs between(TimeMs low, TimeMs high) const {
        return low + static_cast<TimeMs>(random_() * static_cast<double>(high - low + 1));
    }

    TimeMs jittered(TimeMs delay) const {
        switch (policy_.jitter) {
            case Jitter::none:
                return delay;
            case Jitter::full:
                return between(0, delay);
            case Jitter::decorrelated: {  // from the first delay to three times the last one, whatever the number of
                                          // failures
                const TimeMs first = std::min(policy_.first, policy_.max);
                return std::min(policy_.max, between(first, std::max(first, std::min(policy_.max, last_) * 3)));
            }
            case Jitter::equal:
                break;
        }
        return between(delay / 2, delay);
    }

    Policy policy_;
    Random random_;
    std::uint32_t failures_ = 0;
    TimeMs last_ = 0;
};

}  // namespace fanwire::core
