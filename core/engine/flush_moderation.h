// When publishes are written next. A write for each of a stream of them costs more than the publish itself, here and in
// Redis, so with max_flush_delay_us set a stream is written at intervals. But whoever publishes when he has the
// outcomes of what went before is not kept waiting: that shows in that nothing more comes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fanwire::core {

class FlushModeration {
 public:
    // No longer is waited for than so many take to come: their part in the cost of a write is small already.
    static constexpr std::uint64_t count_wanted = 128;
    // A wait was in vain when fewer came, or when at its end none had come for so many times as long as it should take
    // one.
    static constexpr std::uint64_t count_min = 3, silence_max = 3;
    // Irregular streams have that too, so the stream ends with the second such wait in a row, or when nothing came at
    // all. Then nothing is put off for as long as the longest wait, or, if that had gone well for less than so many of
    // them, for twice as long as the last time, up to so many of them.
    static constexpr std::uint64_t rest_grows_before = 16, rest_max = 64;

    // `delay_max_us`: the longest wait; 0: none ever.
    explicit FlushModeration(std::uint32_t delay_max_us = 0) : delay_max_us_(delay_max_us) {}

    // `count` publishes have been taken to be written. `last_us`: when the last of them came; only looked at after a
    // wait. In how many microseconds to take the next ones; 0: as soon as there is one.
    std::uint32_t taken(std::size_t count, std::uint64_t last_us, std::uint64_t now_us) {
        if (delay_max_us_ == 0) return 0;
        const std::uint64_t elapsed = std::max<std::uint64_t>(now_us - taken_us_, 1);
        taken_us_ = now_us;
        if (!moderating_) {
            moderating_ = now_us >= rest_until_us_ && elapsed * count_min <= delay_max_us_;
            began_us_ = now_us;
        } else if (count >= count_min && (now_us - last_us) * (count + 1) <= elapsed * silence_max) {
            in_vain_ = 0;
        } else if (++in_vain_ == 2 || count == 0) {
            in_vain_ = 0;
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
    int in_vain_ = 0;  // waits in a row
    std::uint64_t taken_us_ = 0, began_us_ = 0;
    std::uint64_t rest_us_ = 0, rest_until_us_ = 0;
};

}  // namespace fanwire::core
