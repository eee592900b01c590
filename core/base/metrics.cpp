#include "core/base/metrics.h"

#include <algorithm>
#include <cmath>

namespace fanwire::core {

LatencySnapshot Latency::snapshot() const {
    LatencySnapshot out;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        out.buckets[i] = buckets_[i].get();
        out.count += out.buckets[i];  // so that they agree while others go on adding
    }
    out.sum_us = sum_us_.get();
    out.max_us = max_us_.get();
    return out;
}

std::uint64_t LatencySnapshot::quantile(double fraction) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count)));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i + 1 < buckets.size(); ++i) {
        below += buckets[i];
        if (below >= wanted && below > 0) return std::min(std::uint64_t{1} << i, max_us);
    }
    return max_us;
}

}  // namespace fanwire::core
