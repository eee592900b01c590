// When a stream is read next: plain arithmetic of bytes and times.
#include "core/net/read_moderation.h"

#include <gtest/gtest.h>

namespace fanwire::core {
namespace {

constexpr std::size_t KiB = 1024;

TEST(ReadModeration, WhatComesSinglyIsReadAtOnce) {
    ReadModeration moderation(500);
    EXPECT_FALSE(moderation.concerns(200));
    for (std::uint64_t now = 5; now < 1000000; now += 1000) {
        EXPECT_EQ(moderation.next(63 * KiB, now), 0u) << now;  // a burst each millisecond, none of them a stream
        EXPECT_FALSE(moderation.moderating());
    }
}

TEST(ReadModeration, AStreamIsReadAtIntervalsUntilItEnds) {
    ReadModeration moderation(500);
    EXPECT_EQ(moderation.next(20 * KiB, 10000), 0u);
    EXPECT_EQ(moderation.next(20 * KiB, 10300), 0u);
    EXPECT_EQ(moderation.next(24 * KiB, 10600), 500u);  // 64 KiB within 600 us: what is wanted would take longer
    EXPECT_TRUE(moderation.concerns(0));
    EXPECT_EQ(moderation.next(50 * KiB, 11100), 500u);
    EXPECT_EQ(moderation.next(16 * KiB, 11600), 500u);  // half of what begins one
    EXPECT_EQ(moderation.next(15 * KiB, 12100), 0u);
    EXPECT_FALSE(moderation.moderating());
    EXPECT_EQ(moderation.next(63 * KiB, 13200), 0u);  // the beginning counts anew
    EXPECT_EQ(moderation.next(1 * KiB, 13300), 200u);  // what is wanted will be there by then
    EXPECT_EQ(moderation.next(0, 13800), 0u);
}

TEST(ReadModeration, WaitsNoLongerThanItTakesForEnoughToCome) {
    ReadModeration moderation(500);
    EXPECT_EQ(moderation.next(512 * KiB, 7000), 1u);  // in no time: there may be more already
    EXPECT_EQ(moderation.next(512 * KiB, 7400), 100u);
    EXPECT_EQ(moderation.next(128 * KiB, 7500), 100u);
    EXPECT_EQ(moderation.next(64 * KiB, 7600), 200u);
    EXPECT_EQ(moderation.next(100 * KiB, 9600), 500u);
}

TEST(ReadModeration, CanBeOffAndBeginAnew) {
    ReadModeration off;
    EXPECT_FALSE(off.concerns(100000 * KiB));
    ReadModeration moderation(500);
    EXPECT_NE(moderation.next(64 * KiB, 7000), 0u);
    moderation.reset();
    EXPECT_FALSE(moderation.moderating());
    EXPECT_EQ(moderation.next(63 * KiB, 7001), 0u);
}

}  // namespace
}  // namespace fanwire::core
