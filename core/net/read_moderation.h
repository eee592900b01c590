// When a socket in a stream of messages is read next. Being woken for each piece costs more than the piece itself, so
// while a lot comes it is read at intervals instead, as network drivers moderate their interrupts. What comes singly or
// in short bursts is never put off.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fanwire::core {

class ReadModeration {
 public:
    // A stream: so many bytes within a millisecond begin it, it ends below half of that.
    static constexpr std::size_t bytes_per_ms = std::size_t{64} << 10;
    // What should be there to be read: no longer is waited for than that takes.
    static constexpr std::size_t bytes_wanted = std::size_t{128} << 10;
    // And no more than this part of the socket's buffer, half of which is the window that the sender may fill: if it
    // ever has to wait for us, we wait half as long the next time.
    static constexpr std::size_t buffer_part = 4;
    // Of anything that is not a stream yet: less in one turn does not count.
    static constexpr std::size_t bytes_counted = 4096;

    // `delay_max_us`: the longest wait; 0: none ever.
    explicit ReadModeration(std::uint32_t delay_max_us = 0) : delay_max_us_(delay_max_us) {}

    bool moderating() const { return moderating_; }
    // Whether next() has to be asked, which takes the time.
    bool concerns(std::size_t bytes) const { return delay_max_us_ > 0 && (moderating_ || bytes >= bytes_counted); }

    // All that was there, `bytes`, has been read, of what a buffer of `buffer` bytes holds. `began_us`: when the first
    // of it was. In how many microseconds to read on; 0: as soon as something is there. What took long to work on is
    // not put off as well.
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
    std::uint64_t since_us_ = 0;  // when the last turn began; until it is a stream: since when bytes_ came
    std::uint64_t bytes_ = 0;
};

}  // namespace fanwire::core
