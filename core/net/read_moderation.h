// Decides when a socket that receives a stream of messages is read next. A wakeup for each piece costs more than the
// piece itself, so while a lot arrives the socket is read at intervals, as network drivers moderate their interrupts.
// Single messages and short bursts are never delayed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fanwire::core {

class ReadModeration {
 public:
    // A stream begins when this many bytes arrive within a millisecond, and ends when the rate falls below half of
    // that.
    static constexpr std::size_t bytes_per_ms = std::size_t{64} << 10;
    // A delay lasts no longer than this many bytes take to arrive.
    static constexpr std::size_t bytes_wanted = std::size_t{128} << 10;
    // Nor longer than it takes to fill this part of the socket's buffer. Half of the buffer is the window that the
    // sender may fill. If it ever does, it has to wait for us: then the next delay is half as long.
    static constexpr std::size_t buffer_part = 4;
    // Outside of a stream, a turn that reads less than this does not count, and costs no look at the clock.
    static constexpr std::size_t bytes_counted = 4096;

    // `delay_max_us`: the longest delay; with 0 there is never one.
    explicit ReadModeration(std::uint32_t delay_max_us = 0) : delay_max_us_(delay_max_us) {}

    bool moderating() const { return moderating_; }
    // Returns whether next() has to be called after reading this many bytes; it needs the time, which costs a call.
    bool concerns(std::size_t bytes) const { return delay_max_us_ > 0 && (moderating_ || bytes >= bytes_counted); }

    // `bytes` have been read since `began_us`, which was all that a socket buffer of `buffer` bytes held. Returns after
    // how many microseconds to read again; 0 means as soon as something arrives. The time that handling them took, up
    // to `now_us`, is part of the delay.
    std::uint32_t next(std::uint64_t bytes, std::uint64_t began_us, std::uint64_t now_us, std::size_t buffer) {
        if (!moderating_ && began_us - since_us_ >= 1000) {
            since_us_ = began_us;
            bytes_ = 0;
        }
        bytes_ = moderating_ ? bytes : bytes_ + bytes;
        const std::uint64_t elapsed = std::max<std::uint64_t>(began_us - since_us_, 1);
        moderating_ = moderating_ ? bytes_ * 1000 >= bytes_per_ms / 2 * elapsed : bytes_ >= bytes_per_ms;
        if (!moderating_) return 0;
        since_us_ = began_us;
        const std::size_t wanted = std::min(bytes_wanted, buffer / buffer_part);
        const std::uint64_t interval = std::min<std::uint64_t>(elapsed * wanted / bytes_, delay_max_us_);
        const std::uint64_t worked = now_us - began_us;
        return interval > worked ? static_cast<std::uint32_t>(interval - worked) : 1;
    }

    void reset() {
        moderating_ = false;
        since_us_ = 0;
        bytes_ = 0;
    }

 private:
    std::uint32_t delay_max_us_;
    bool moderating_ = false;
    std::uint64_t since_us_ = 0;  // in a stream, when the last turn began; before it, since when bytes_ have arrived
    std::uint64_t bytes_ = 0;
};

}  // namespace fanwire::core
