// When a stream of publishes is written next: plain arithmetic of numbers and times.
#include "core/engine/flush_moderation.h"

#include <gtest/gtest.h>

#include <queue>
#include <random>
#include <vector>

namespace fanwire::core {
namespace {

constexpr std::uint32_t delay = 500;

TEST(FlushModeration, NothingIsPutOffUnlessItIsAskedFor) {
    FlushModeration moderation(0);
    for (std::uint64_t now = 1000; now < 2000; ++now) {
        EXPECT_EQ(moderation.taken(100, now, now), 0u);
        EXPECT_EQ(moderation.taken(0, now, now), 0u);
    }
}

TEST(FlushModeration, WhatComesSinglyIsWrittenAtOnce) {
    FlushModeration moderation(delay);
    for (std::uint64_t now = 1000; now < 1000000; now += delay / 3 + 1)
        EXPECT_EQ(moderation.taken(1, now, now), 0u) << now;
}

TEST(FlushModeration, AStreamIsWrittenAtIntervalsUntilItEnds) {
    FlushModeration moderation(delay);
    EXPECT_EQ(moderation.taken(1, 10000, 10000), 0u);
    EXPECT_EQ(moderation.taken(1, 10150, 10150), delay);
    EXPECT_EQ(moderation.taken(40, 10640, 10650), delay);
    EXPECT_EQ(moderation.taken(3, 11000, 11150), delay);
    EXPECT_EQ(moderation.taken(2, 11600, 11650), delay) << "one wait that brings little may be chance";
    EXPECT_EQ(moderation.taken(3, 12100, 12150), delay);
    EXPECT_EQ(moderation.taken(2, 12600, 12650), delay);
    EXPECT_EQ(moderation.taken(2, 13100, 13150), 0u);
    EXPECT_EQ(moderation.taken(1, 13160, 13160), 0u) << "after waits in vain it rests";
    EXPECT_EQ(moderation.taken(1, 13649, 13649), 0u);
    EXPECT_EQ(moderation.taken(1, 13653, 13653), delay);
    EXPECT_EQ(moderation.taken(0, 13653, 14153), 0u) << "nothing came: it is over";
}

TEST(FlushModeration, AFastStreamWaitsOnlyForEnough) {
    FlushModeration moderation(delay);
    moderation.taken(1, 10000, 10000);
    EXPECT_EQ(moderation.taken(128, 10100, 10100), 100u);
    EXPECT_EQ(moderation.taken(256, 10200, 10200), 50u);
    EXPECT_EQ(moderation.taken(64, 10250, 10250), 100u);
    EXPECT_EQ(moderation.taken(1000, 10250, 10250), 1u);
}

// What the moderation is used for: who comes when, and how often it is written.
class Writing {
 public:
    explicit Writing(std::uint32_t longest) : moderation_(longest) {}
    std::uint64_t writes = 0, written = 0;

    void come(double at) { coming_.push(at); }

    // The next write with anything in it: how much, or 0 when nothing comes any more. `now` is its time then.
    std::uint64_t write(double& now) {
        while (!coming_.empty()) {
            now = at_ > 0 ? at_ : std::max(now, coming_.top());
            double last = now;
            std::uint64_t count = 0;
            for (; !coming_.empty() && coming_.top() <= now; coming_.pop(), ++count) last = coming_.top();
            const std::uint32_t wait =
                moderation_.taken(count, static_cast<std::uint64_t>(last), static_cast<std::uint64_t>(now));
            at_ = wait ? now + wait : 0;
            if (count == 0) continue;
            ++writes;
            written += count;
            return count;
        }
        return 0;
    }

 private:
    FlushModeration moderation_;
    std::priority_queue<double, std::vector<double>, std::greater<>> coming_;
    double at_ = 0;  // when it is looked again, if it is put off
};

// The rate of somebody who has always so many publishes under way, as a part of what it is when nothing is put off.
double rate_of_who_waits(int under_way, std::uint32_t longest) {
    const auto rate = [&](std::uint32_t wait) {
        constexpr double round_trip = 80, each = 0.6, span = 2000000;
        Writing writing(wait);
        double now = 1000000;
        for (int i = 0; i < under_way; ++i) writing.come(now);
        while (now < 1000000 + span) {
            const std::uint64_t count = writing.write(now);
            for (std::uint64_t i = 1; i <= count; ++i) writing.come(now + round_trip + each * static_cast<double>(i));
        }
        return static_cast<double>(writing.written);
    };
    return rate(longest) / rate(0);
}

TEST(FlushModeration, WhoWaitsForOutcomesLosesLittle) {
    for (const std::uint32_t longest : {500u, 4000u}) {
        for (const int under_way : {1, 2, 3, 4, 10, 30, 200})
            EXPECT_GT(rate_of_who_waits(under_way, longest), 0.93) << under_way << " of " << longest;
    }
}

// Writes for each publish when they come at random times, so many within the longest wait on average.
double writes_for_each(double within_delay) {
    std::mt19937 random(1);
    std::exponential_distribution<double> gap(within_delay / delay);
    Writing writing(delay);
    double at = 1000000, now = 0;
    for (int i = 0; i < 100000; ++i) writing.come(at += gap(random));
    while (writing.write(now) > 0) continue;
    return static_cast<double>(writing.writes) / static_cast<double>(writing.written);
}

TEST(FlushModeration, AnIrregularStreamIsAStreamToo) {
    EXPECT_LT(writes_for_each(50), 0.03);
    EXPECT_LT(writes_for_each(10), 0.13);
    EXPECT_LT(writes_for_each(6), 0.25);
    EXPECT_GT(writes_for_each(0.1), 0.99) << "which is none";
}

TEST(FlushModeration, AStreamOfPublishesIsWrittenSeldom) {
    const auto writes = [](std::uint32_t longest) {
        constexpr int publishes = 20000;
        constexpr double each = 10;
        Writing writing(longest);
        double now = 0;
        for (int i = 0; i < publishes; ++i) writing.come(1000000 + i * each);
        while (writing.write(now) > 0) continue;
        EXPECT_EQ(writing.written, static_cast<std::uint64_t>(publishes));
        return writing.writes;
    };
    EXPECT_EQ(writes(0), 20000u);
    EXPECT_LT(writes(4000), 20000u / 50);
}

}  // namespace
}  // namespace fanwire::core
