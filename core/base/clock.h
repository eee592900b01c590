// Monotonic time, in milliseconds and, for measuring, microseconds. Pure logic takes it as an argument; only net/ and
// engine read the clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace fanwire::core {

using TimeMs = std::int64_t;

inline constexpr TimeMs never = std::numeric_limits<TimeMs>::max();

inline TimeMs now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

inline std::uint64_t now_us() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count());
}

}  // namespace fanwire::core
