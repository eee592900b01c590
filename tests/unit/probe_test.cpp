// The end-to-end probe: when it is due, what proves delivery and what disproves it.
#include "core/protocol/probe.h"

#include <gtest/gtest.h>

namespace fanwire::core {
namespace {

using Verdict = Probe::Verdict;

struct ProbeTest : testing::Test {
    bool returned(const std::string& payload, TimeMs now) {
        return probe.returned(payload, now, static_cast<std::uint64_t>(now) * 1000, round_trip_us);
    }
    std::string send(TimeMs now) {
        EXPECT_EQ(probe.check(now), Verdict::send);
        const std::string payload = probe.next();
        probe.sent(static_cast<std::uint64_t>(now) * 1000);
        return payload;
    }
    Probe probe{1000, 400};
    std::uint64_t round_trip_us = 0;
};

TEST_F(ProbeTest, IsSentAtOnceAndThenEachInterval) {
    EXPECT_EQ(probe.deadline(), never);
    probe.begin(100);
    const std::string payload = send(100);
    probe.published(1, 101);
    EXPECT_TRUE(returned(payload, 103));
    EXPECT_EQ(round_trip_us, 3000u);
    EXPECT_EQ(probe.deadline(), 1103);
    EXPECT_EQ(probe.check(1102), Verdict::fine);
    EXPECT_NE(send(1103), payload);
}

TEST_F(ProbeTest, MayComeBackBeforeItsPublishIsAnswered) {
    probe.begin(0);
    EXPECT_TRUE(returned(send(0), 2));
    probe.published(1, 3);
    EXPECT_EQ(probe.deadline(), 1002);
}

TEST_F(ProbeTest, IsFailedWhenNothingComesAfterItsPublishWasAnswered) {
    probe.begin(0);
    send(0);
    EXPECT_EQ(probe.check(100000), Verdict::fine);  // the publish link's heartbeat watches that
    probe.published(1, 50);
    EXPECT_EQ(probe.check(449), Verdict::fine);
    EXPECT_EQ(probe.check(450), Verdict::failed);
}

TEST_F(ProbeTest, OtherMessagesProveThatTheLinkDelivers) {
    probe.begin(0);
    const std::string payload = send(0);
    probe.published(1, 0);
    for (TimeMs now = 300; now < 3000; now += 300) {
        EXPECT_EQ(probe.check(now), Verdict::fine);
        probe.delivered(now);
    }
    EXPECT_TRUE(returned(payload, 3000));
}

TEST_F(ProbeTest, OtherMessagesProveNothingWhenRedisCountedNoReceiver) {
    probe.begin(0);
    send(0);
    probe.published(0, 0);
    probe.delivered(300);
    EXPECT_EQ(probe.check(400), Verdict::failed);
}

TEST_F(ProbeTest, OldAndForeignPayloadsAreNotTheOne) {
    probe.begin(0);
    const std::string first = send(0);
    probe.end();
    EXPECT_FALSE(returned(first, 1));
    probe.begin(2);
    const std::string second = send(2);
    EXPECT_FALSE(returned(first, 3));
    EXPECT_FALSE(returned("", 3));
    EXPECT_TRUE(returned(second, 3));
    EXPECT_FALSE(returned(second, 4));
}

TEST_F(ProbeTest, ARefusedOneIsTriedAgainLater) {
    probe.begin(0);
    send(0);
    probe.refused(10);
    EXPECT_EQ(probe.deadline(), 1010);
    send(1010);
}

// The subscribe link came back while the publish link stayed: the answer to the probe before is no answer to this one.
TEST_F(ProbeTest, AnAnswerIsThatOfTheOldestThatHasNone) {
    probe.begin(0);
    send(0);
    probe.end();
    probe.begin(10);
    send(10);
    probe.published(1, 20);
    EXPECT_EQ(probe.deadline(), never);
    probe.published(1, 30);
    EXPECT_EQ(probe.deadline(), 430);
    probe.end();

    probe.begin(40);
    send(40);
    probe.forget_answers();  // the publish link broke
    probe.end();
    probe.begin(50);
    send(50);
    probe.refused(60);
    EXPECT_EQ(probe.deadline(), 1060);
}

TEST_F(ProbeTest, WithoutMemoryItIsLater) {
    probe.begin(0);
    EXPECT_EQ(probe.check(0), Verdict::send);
    probe.later(0);
    EXPECT_EQ(probe.deadline(), 1000);
    send(1000);
}

TEST(Probe, IsOffWithoutAnInterval) {
    Probe probe(0, 400);
    probe.begin(0);
    EXPECT_FALSE(probe.running());
    EXPECT_EQ(probe.deadline(), never);
}

}  // namespace
}  // namespace fanwire::core
