// When a stream is read next: plain arithmetic of bytes and times.
#include "core/net/read_moderation.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace fanwire::core {
namespace {

constexpr std::size_t KiB = 1024;

TEST(ReadModeration, WhatComesSinglyIsReadAtOnce) {
    ReadModeration moderation(500);
    EXPECT_FALSE(moderation.concerns(200));
    for (std::uint64_t now = 5; now < 1000000; now += 1000) {
        EXPECT_EQ(moderation.next(63 * KiB, now, now, 1024 * KiB), 0u)
            << now;  // a burst each millisecond, none of them a stream
        EXPECT_FALSE(moderation.moderating());
    }
}

TEST(ReadModeration, AStreamIsReadAtIntervalsUntilItEnds) {
    ReadModeration moderation(500);
    EXPECT_EQ(moderation.next(20 * KiB, 10000, 10000, 1024 * KiB), 0u);
    EXPECT_EQ(moderation.next(20 * KiB, 10300, 10300, 1024 * KiB), 0u);
    EXPECT_EQ(moderation.next(24 * KiB, 10600, 10600, 1024 * KiB),
              500u);  // 64 KiB within 600 us: what is wanted would take longer
    EXPECT_TRUE(moderation.concerns(0));
    EXPECT_EQ(moderation.next(50 * KiB, 11100, 11100, 1024 * KiB), 500u);
    EXPECT_EQ(moderation.next(16 * KiB, 11600, 11600, 1024 * KiB), 500u);  // half of what begins one
    EXPECT_EQ(moderation.next(15 * KiB, 12100, 12100, 1024 * KiB), 0u);
    EXPECT_FALSE(moderation.moderating());
    EXPECT_EQ(moderation.next(63 * KiB, 13200, 13200, 1024 * KiB), 0u);   // the beginning counts anew
    EXPECT_EQ(moderation.next(1 * KiB, 13300, 13300, 1024 * KiB), 200u);  // what is wanted will be there by then
    EXPECT_EQ(moderation.next(0, 13800, 13800, 1024 * KiB), 0u);
}

TEST(ReadModeration, WaitsNoLongerThanItTakesForEnoughToCome) {
    ReadModeration moderation(500);
    EXPECT_EQ(moderation.next(512 * KiB, 7000, 7000, 1024 * KiB), 1u);  // in no time: there may be more already
    EXPECT_EQ(moderation.next(512 * KiB, 7400, 7400, 1024 * KiB), 100u);
    EXPECT_EQ(moderation.next(128 * KiB, 7500, 7500, 1024 * KiB), 100u);
    EXPECT_EQ(moderation.next(64 * KiB, 7600, 7600, 1024 * KiB), 200u);
    EXPECT_EQ(moderation.next(100 * KiB, 9600, 9600, 1024 * KiB), 500u);
}

TEST(ReadModeration, ASenderThatHasToWaitForUsDoesNotForLong) {
    ReadModeration moderation(500);
    constexpr std::size_t buffer = 128 * KiB, window = buffer / 2;
    std::uint64_t now = 1000000;
    moderation.next(64 * KiB, now, now, buffer);
    now += 500;
    std::uint32_t delay = moderation.next(window, now, now, buffer);  // no more than that fits while we wait
    for (int turn = 0; turn < 10; ++turn) {
        now += delay;
        const std::uint32_t shorter = moderation.next(window, now, now, buffer);
        EXPECT_LE(shorter, std::max(delay / 2, 1u));
        delay = shorter;
    }
    EXPECT_EQ(delay, 1u);
}

// Where we are the slow ones there is something by the time that we are done.
TEST(ReadModeration, WhatTookLongToWorkOnIsNotPutOffAsWell) {
    ReadModeration moderation(500);
    moderation.next(64 * KiB, 10000, 10000, 1024 * KiB);
    EXPECT_EQ(moderation.next(128 * KiB, 10300, 10400, 1024 * KiB), 200u);
    EXPECT_EQ(moderation.next(128 * KiB, 10600, 10899, 1024 * KiB), 1u);
    EXPECT_EQ(moderation.next(128 * KiB, 10900, 11900, 1024 * KiB), 1u);
    EXPECT_EQ(moderation.next(128 * KiB, 11900, 12100, 1024 * KiB), 300u);
}

TEST(ReadModeration, CanBeOffAndBeginAnew) {
    ReadModeration off;
    EXPECT_FALSE(off.concerns(100000 * KiB));
    ReadModeration moderation(500);
    EXPECT_NE(moderation.next(64 * KiB, 7000, 7000, 1024 * KiB), 0u);
    moderation.reset();
    EXPECT_FALSE(moderation.moderating());
    EXPECT_EQ(moderation.next(63 * KiB, 7001, 7001, 1024 * KiB), 0u);
}

}  // namespace
}  // namespace fanwire::core
