// When publishes are written next. A write for each of a stream of them costs more than the publish itself, here and in
// Redis, so with max_flush_delay_us set a stream is written at intervals. One that comes singly is never put off.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fanwire::core {

class FlushModeration {
   public:
    // No longer is waited for than so many take to come: their part in the cost of a write is small already.
    static constexpr std::uint64_t count_wanted = 128;
    // So many times the longest wait, at most, nothing is put off after that has been in vain: where each publish waits for
    // the outcome of the one before, none comes along.
    static constexpr std::uint64_t rest_max = 64;

    // `delay_max_us`: the longest wait; 0: none ever.
    explicit FlushModeration(std::uint32_t delay_max_us = 0) : delay_max_us_(delay_max_us) {}

    // `count` publishes have been taken to be written. In how many microseconds to take the next ones; 0: as soon as there
    // is one.
    std::uint32_t taken(std::size_t count, std::uint64_t now_us) {
        const std::uint64_t elapsed = now_us - taken_us_;
        taken_us_ = now_us;
        if (!moderating_) {
            moderating_ = now_us >= rest_until_us_ && elapsed * 2 <= delay_max_us_;  // so within the wait another two come
        } else if (count < 2) {
            moderating_ = false;
            rest_us_ = std::clamp<std::uint64_t>(rest_us_ * 2, delay_max_us_, delay_max_us_ * rest_max);
            rest_until_us_ = now_us + rest_us_;
        } else {
            rest_us_ = 0;
        }
        if (!moderating_) return 0;
        return static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(elapsed * count_wanted / std::max<std::size_t>(count, 1), 1, delay_max_us_));
    }

   private:
    std::uint64_t delay_max_us_;
    bool moderating_ = false;
    std::uint64_t taken_us_ = 0;
    std::uint64_t rest_us_ = 0, rest_until_us_ = 0;
};

}  // namespace fanwire::core
