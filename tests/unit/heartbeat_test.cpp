// Liveness and backoff: plain arithmetic of times.
#include <gtest/gtest.h>

#include "core/protocol/backoff.h"
#include "core/protocol/heartbeat.h"

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
        Backoff backoff(100, 30000, [=] { return chance; });
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

}  // namespace
}  // namespace fanwire::core
