// Decides when publishes are written next. A write for each publish of a stream costs more than the publish itself,
// here and in Redis, so with max_flush_delay_us set a stream is written at intervals. But a caller that waits for the
// outcomes of its publishes before it publishes again must not be held up. Such a caller shows in a delay that collects
// nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fanwire::core {

class FlushModeration {
 public:
    // A delay lasts no longer than this many publishes take to arrive: by then each bears only a small part of the cost
    // of a write.
    static constexpr std::uint64_t count_wanted = 128;
    // A delay was wasted if it collected fewer than `count_min` publishes, or if the last one arrived more than
    // `silence_max` mean gaps before it ended.
    static constexpr std::uint64_t count_min = 3, silence_max = 3;
    // One wasted delay may be chance, since streams are irregular: moderation stops after two in a row, or one that
    // collected nothing. It then rests for the longest delay, or, if it had run for less than `rest_grows_before` of
    // those, for twice as long as the last time, up to `rest_max` of them.
    static constexpr std::uint64_t rest_grows_before = 16, rest_max = 64;

    // `delay_max_us`: the longest delay; with 0 there is never one.
    explicit FlushModeration(std::uint32_t delay_max_us = 0) : delay_max_us_(delay_max_us) {}

    // `count` publishes have been taken to be written, the last of which arrived at `last_us` (only used after a
    // delay). Returns after how many microseconds the next ones are to be taken; 0 means as soon as there is one.
    std::uint32_t taken(std::size_t count, std::uint64_t last_us, std::uint64_t now_us) {
        if (delay_max_us_ == 0) return 0;
        const std::uint64_t elapsed = std::max<std::uint64_t>(now_us - taken_us_, 1);
        taken_us_ = now_us;
        if (!moderating_) {
            moderating_ = now_us >= rest_until_us_ && elapsed * count_min <= delay_max_us_;
            began_us_ = now_us;
        } else if (count >= count_min && (now_us - last_us) * (count + 1) <= elapsed * silence_max) {
            wasted_ = 0;
        } else if (++wasted_ == 2 || count == 0) {
            wasted_ = 0;
            moderating_ = false;
            const bool soon = now_us - began_us_ < delay_max_us_ * rest_grows_before;
            rest_us_ = std::clamp<std::uint64_t>(soon ? rest_us_ * 2 : 0, delay_max_us_, delay_max_us_ * rest_max);
            rest_until_us_ = now_us + rest_us_;
        }
        if (!moderating_) return 0;
        return static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(elapsed * count_wanted / std::max<std::size_t>(count, 1), 1, delay_max_us_));
    }

 private:
    std::uint64_t delay_max_us_;
    bool moderating_ = false;
    int wasted_ = 0;  // how many delays in a row were wasted
    std::uint64_t taken_us_ = 0, began_us_ = 0;
    std::uint64_t rest_us_ = 0, rest_until_us_ = 0;
};

}  // namespace fanwire::core
