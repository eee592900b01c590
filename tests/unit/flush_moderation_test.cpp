// When a stream of publishes is written next: plain arithmetic of numbers and times.
#include "core/net/flush_moderation.h"

#include <gtest/gtest.h>

#include <random>

namespace fanwire::core {
namespace {

constexpr std::uint32_t delay = 500;

TEST(FlushModeration, NothingIsPutOffUnlessItIsAskedFor) {
    FlushModeration moderation(0);
    for (std::uint64_t now = 1000; now < 2000; ++now) EXPECT_EQ(moderation.taken(100, now), 0u);
}

TEST(FlushModeration, WhatComesSinglyIsWrittenAtOnce) {
    FlushModeration moderation(delay);
    for (std::uint64_t now = 1000; now < 1000000; now += delay / 2 + 1) EXPECT_EQ(moderation.taken(1, now), 0u) << now;
}

TEST(FlushModeration, AStreamIsWrittenAtIntervalsUntilItEnds) {
    FlushModeration moderation(delay);
    EXPECT_EQ(moderation.taken(1, 10000), 0u);
    EXPECT_EQ(moderation.taken(1, 10250), delay);
    EXPECT_EQ(moderation.taken(40, 10750), delay);
    EXPECT_EQ(moderation.taken(2, 11250), delay);
    EXPECT_EQ(moderation.taken(1, 11750), 0u);
    EXPECT_EQ(moderation.taken(1, 11760), 0u) << "after a wait in vain it rests";
    EXPECT_EQ(moderation.taken(1, 12249), 0u);
    EXPECT_EQ(moderation.taken(2, 12253), 4 * FlushModeration::count_wanted / 2);
}

TEST(FlushModeration, AFastStreamWaitsOnlyForEnough) {
    FlushModeration moderation(delay);
    moderation.taken(1, 10000);
    EXPECT_EQ(moderation.taken(128, 10100), 100u);
    EXPECT_EQ(moderation.taken(256, 10200), 50u);
    EXPECT_EQ(moderation.taken(64, 10250), 100u);
    EXPECT_EQ(moderation.taken(1000, 10250), 1u);
}

// Each publish waits for the outcome of the one before it: what is put off then, is so in vain.
TEST(FlushModeration, WhoWaitsForEachOutcomeLosesLittle) {
    constexpr std::uint64_t round_trip = 80, end = 10000000;
    FlushModeration moderation(delay);
    std::uint64_t now = 1000, published = 0;
    while (now < end) {
        if (const std::uint32_t put_off = moderation.taken(1, now)) {
            now += put_off;
            moderation.taken(1, now);
        }
        ++published;
        now += round_trip;
    }
    EXPECT_GT(published * 100, end / round_trip * 95);
}

// Writes for publishes that come at random times, so many within the longest wait on average.
double writes_for_each(double within_delay) {
    std::mt19937 random(1);
    std::exponential_distribution<double> gap(within_delay / delay);
    FlushModeration moderation(delay);
    double now = 1000, next = now;
    std::uint64_t writes = 0;
    constexpr int count = 100000;
    for (int taken = 0; taken < count;) {
        now = std::max(now, next);
        std::uint64_t here = 0;
        for (; next <= now; next += gap(random)) ++here;
        taken += static_cast<int>(here);
        if (here > 0) ++writes;
        if (const std::uint32_t put_off = moderation.taken(here, static_cast<std::uint64_t>(now))) {
            now += put_off;
            if (next > now) moderation.taken(0, static_cast<std::uint64_t>(now));
        }
    }
    return static_cast<double>(writes) / count;
}

TEST(FlushModeration, AnIrregularStreamIsAStreamToo) {
    EXPECT_LT(writes_for_each(50), 0.03);
    EXPECT_LT(writes_for_each(10), 0.2);
    EXPECT_LT(writes_for_each(4), 0.6);
    EXPECT_GT(writes_for_each(0.1), 0.9) << "which is none";
}

}  // namespace
}  // namespace fanwire::core
