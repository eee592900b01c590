// Liveness and backoff: plain arithmetic of times.
#include "core/protocol/heartbeat.h"

#include <gtest/gtest.h>

#include "core/protocol/backoff.h"

namespace fanwire::core {
namespace {

using Verdict = Heartbeat::Verdict;

TEST(Heartbeat, AsksAnIdleLinkAndGivesUpWhenNothingComes) {
    Heartbeat heartbeat(1000, 4000);
    heartbeat.start(0);
    EXPECT_EQ(heartbeat.deadline(), 1000);
    EXPECT_EQ(heartbeat.check(999), Verdict::fine);
    EXPECT_EQ(heartbeat.check(1000), Verdict::ping);
    heartbeat.expecting(1000);
    EXPECT_EQ(heartbeat.deadline(), 5000);
    EXPECT_EQ(heartbeat.check(4999), Verdict::fine);
    EXPECT_EQ(heartbeat.check(5000), Verdict::dead);
}

TEST(Heartbeat, AnyByteCounts) {
    Heartbeat heartbeat(1000, 4000);
    heartbeat.start(0);
    heartbeat.expecting(1000);
    heartbeat.received(4000);
    EXPECT_EQ(heartbeat.check(4999), Verdict::fine);
    EXPECT_EQ(heartbeat.check(5000), Verdict::ping);
}

TEST(Heartbeat, TheFirstUnansweredThingSetsTheDeadline) {
    Heartbeat heartbeat(1000, 4000);
    heartbeat.start(0);
    heartbeat.expecting(100);
    heartbeat.expecting(3000);
    EXPECT_EQ(heartbeat.check(4099), Verdict::fine);
    EXPECT_EQ(heartbeat.check(4100), Verdict::dead);
}

TEST(Heartbeat, WhatIsStillGoingOutCannotBeAnswered) {
    Heartbeat heartbeat(1000, 4000);
    heartbeat.start(0);
    heartbeat.moving(500);  // nothing is expected: an idle link is still asked in time
    EXPECT_EQ(heartbeat.check(1000), Verdict::ping);
    heartbeat.expecting(1000);
    heartbeat.moving(4999);
    EXPECT_EQ(heartbeat.check(5000), Verdict::fine);
    EXPECT_EQ(heartbeat.check(8998), Verdict::fine);
    EXPECT_EQ(heartbeat.check(8999), Verdict::dead);
}

TEST(Backoff, DoublesUpToTheMaximumAndStartsAgain) {
    for (const double chance : {0.0, 0.5, 0.999999}) {
        Backoff backoff({100, 30000, 2, Jitter::equal}, [=] { return chance; });
        TimeMs ceiling = 100;
        for (int attempt = 1; attempt <= 40; ++attempt) {
            const TimeMs delay = backoff.next();
            EXPECT_GE(delay, ceiling / 2);
            EXPECT_LE(delay, ceiling);
            EXPECT_EQ(backoff.failures(), static_cast<std::uint32_t>(attempt));
            ceiling = std::min<TimeMs>(ceiling * 2, 30000);
        }
        backoff.reset();
        EXPECT_EQ(backoff.failures(), 0u);
        EXPECT_LE(backoff.next(), 100);
    }
}

std::vector<TimeMs> delays(const Backoff::Policy& policy, double chance, int count) {
    Backoff backoff(policy, [=] { return chance; });
    std::vector<TimeMs> found;
    while (count-- > 0) found.push_back(backoff.next());
    return found;
}

using Delays = std::vector<TimeMs>;
constexpr double low = 0, high = 0.999999;

TEST(Backoff, GrowsByItsFactor) {
    EXPECT_EQ(delays({100, 1000, 2, Jitter::none}, 0.5, 5), (Delays{100, 200, 400, 800, 1000}));
    EXPECT_EQ(delays({100, 1000, 1.5, Jitter::none}, 0.5, 4), (Delays{100, 150, 225, 337}));
    EXPECT_EQ(delays({100, 1000, 1, Jitter::none}, 0.5, 3), (Delays{100, 100, 100}));
    EXPECT_EQ(delays({100, 1000, 10, Jitter::none}, 0.5, 3), (Delays{100, 1000, 1000}));
    EXPECT_EQ(delays({1000, 10, 2, Jitter::none}, 0.5, 2), (Delays{10, 10}));  // the maximum wins
}

TEST(Backoff, JitterIsHalfOfADelayOrAllOfIt) {
    EXPECT_EQ(delays({100, 1000, 2, Jitter::equal}, low, 3), (Delays{50, 100, 200}));
    EXPECT_EQ(delays({100, 1000, 2, Jitter::equal}, high, 3), (Delays{100, 200, 400}));
    EXPECT_EQ(delays({100, 1000, 2, Jitter::full}, low, 3), (Delays{0, 0, 0}));
    EXPECT_EQ(delays({100, 1000, 2, Jitter::full}, high, 3), (Delays{100, 200, 400}));
}

TEST(Backoff, DecorrelatedJitterGoesByTheLastDelay) {
    EXPECT_EQ(delays({100, 1000, 2, Jitter::decorrelated}, low, 3), (Delays{100, 100, 100}));
    EXPECT_EQ(delays({100, 1000, 2, Jitter::decorrelated}, high, 4), (Delays{100, 300, 900, 1000}));
    Backoff backoff({100, 1000, 2, Jitter::decorrelated}, [] { return high; });
    backoff.next();
    backoff.next();
    backoff.reset();
    EXPECT_EQ(backoff.next(), 100);
}

TEST(Backoff, ManyFailuresAreNoOverflow) {
    for (const Jitter jitter : {Jitter::equal, Jitter::full, Jitter::none, Jitter::decorrelated}) {
        Backoff backoff({3600000, 3600000, 10, jitter}, [] { return high; });
        for (int i = 0; i < 100000; ++i) ASSERT_LE(backoff.next(), 3600000);
    }
}

}  // namespace
}  // namespace fanwire::core
