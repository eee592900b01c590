// Delays between attempts to connect: exponential with "equal jitter" (half fixed, half random), so that a fleet that
// lost Redis together does not come back together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "core/base/clock.h"

namespace fanwire::core {

// A number in [0, 1).
using Random = std::function<double()>;

class Backoff {
   public:
    Backoff(TimeMs first, TimeMs max, Random random) : first_(first), max_(max), random_(std::move(random)) {}

    // The delay before the next attempt; doubles up to max with each call.
    TimeMs next() {
        TimeMs delay = first_;
        for (std::uint32_t i = 0; i < failures_ && delay < max_; ++i) delay *= 2;
        ++failures_;
        delay = std::min(delay, max_);
        return delay / 2 + static_cast<TimeMs>(random_() * static_cast<double>(delay - delay / 2 + 1));
    }

    // Failures in a row so far.
    std::uint32_t failures() const { return failures_; }
    void reset() { failures_ = 0; }

   private:
    TimeMs first_, max_;
    Random random_;
    std::uint32_t failures_ = 0;
};

}  // namespace fanwire::core
