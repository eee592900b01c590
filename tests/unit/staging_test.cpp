// What a turn collects for many inboxes: nothing is given early, nothing is left behind, and little is kept.
#include "core/fanout/staging.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/net/event_fd.h"
#include "tests/support/drained.h"

namespace fanwire::core {
namespace {

struct StagingTest : testing::Test {
    void open(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            inboxes.push_back(std::make_shared<Inbox>(InboxLimits{}, make_event_fd));
            subscriptions.push_back(SubscriptionRef::adopt(
                new Subscription(topic, OutletRef::adopt(new Outlet(inboxes.back(), share)), nullptr)));
        }
    }
    void add(std::size_t which, const std::string& text) {
        staging.add(*subscriptions[which], Message::make({"a", {}}, text).detach());
    }
    static std::string drained(Inbox& inbox) {
        std::string text;
        for (const Event& event : Drained(inbox).events)
            text += event.kind == EventKind::message ? std::string(event.message->payload()) + " " : "? ";
        return text;
    }
    ~StagingTest() override { staging.commit(); }

    const std::shared_ptr<EngineShare> share = std::make_shared<EngineShare>();
    const TopicRef topic = Topic::make(TargetKind::channel, "a", 0);
    std::vector<std::shared_ptr<Inbox>> inboxes;
    std::vector<SubscriptionRef> subscriptions;
    Staging staging;
};

TEST_F(StagingTest, GivesNoInboxAnythingBeforeTheTurnEndsHoweverManyThereAre) {
    open(2000);
    std::string expected;
    for (std::size_t i = 0; i < Stage::few; ++i) {
        const std::string text = std::to_string(i);
        for (std::size_t which = 0; which < inboxes.size(); ++which) add(which, text);
        expected += text + " ";
    }
    for (const auto& inbox : inboxes) ASSERT_EQ(inbox->stats().queued, 0u);
    staging.commit();
    for (const auto& inbox : inboxes) ASSERT_EQ(drained(*inbox), expected);
}

TEST_F(StagingTest, AnInboxHasRoomForManyAndThenIsGivenThem) {
    open(1);
    std::string expected;
    for (std::size_t i = 0; i <= Stage::many; ++i) {
        ASSERT_EQ(inboxes[0]->stats().queued, 0u) << i;
        add(0, std::to_string(i));
        expected += std::to_string(i) + " ";
    }
    EXPECT_EQ(inboxes[0]->stats().queued, Stage::many);
    staging.commit();
    EXPECT_EQ(drained(*inboxes[0]), expected);
    // The next turn has that room from the beginning.
    for (std::size_t i = 0; i < Stage::many; ++i) add(0, "x");
    EXPECT_EQ(inboxes[0]->stats().queued, 0u);
}

TEST_F(StagingTest, WhatFollowsInOneInboxConcernsNoOther) {
    open(500);
    for (std::size_t round = 0; round < 2; ++round) {  // the second one with stages that were used before
        for (std::size_t which = 0; which < inboxes.size(); ++which) add(which, "1");
        for (std::size_t which = 0; which < inboxes.size(); which += 2) staging.flush(*inboxes[which]);
        for (std::size_t which = 0; which < inboxes.size(); ++which)
            ASSERT_EQ(inboxes[which]->stats().queued, which % 2 == 0 ? 1u : 0u) << which;
        for (std::size_t which = 0; which < inboxes.size(); ++which) add(which, "2");
        staging.flush(subscriptions[1]->outlet());
        EXPECT_EQ(inboxes[1]->stats().queued, 2u);
        EXPECT_EQ(inboxes[3]->stats().queued, 0u);
        staging.commit();
        for (const auto& inbox : inboxes) ASSERT_EQ(drained(*inbox), "1 2 ");
    }
}

TEST_F(StagingTest, WakesEachConsumerOnceAndWhenTheTurnEnds) {
    open(100);
    std::size_t wakes = 0;
    for (const auto& inbox : inboxes) inbox->set_wake([&] { ++wakes; });
    for (std::size_t i = 0; i < 3 * Stage::few; ++i)
        for (std::size_t which = 0; which < inboxes.size(); ++which) add(which, "x");
    EXPECT_EQ(wakes, 0u);
    staging.commit();
    EXPECT_EQ(wakes, inboxes.size());
    for (const auto& inbox : inboxes) inbox->set_wake(nullptr);
}

TEST_F(StagingTest, KeepsFewStagesAndNoInbox) {
    open(2 * Staging::spares_max);
    for (std::size_t which = 0; which < inboxes.size(); ++which) add(which, "x");
    EXPECT_EQ(staging.spares(), 0u);
    staging.commit();
    EXPECT_EQ(staging.spares(), Staging::spares_max);
    for (const auto& inbox : inboxes) {
        EXPECT_EQ(drained(*inbox), "x ");
    }
    subscriptions.clear();
    for (const auto& inbox : inboxes) ASSERT_EQ(inbox.use_count(), 1);
}

// A consumer may drain ENDED, and let go of everything, before the turn has ended.
TEST_F(StagingTest, AnOutletMayLoseItsLastSubscriptionDuringATurn) {
    open(1);
    add(0, "x");
    staging.flush(subscriptions[0]->outlet());
    std::ignore = inboxes[0]->push(*subscriptions[0], Event::of(EventKind::ended));
    subscriptions.clear();
    EXPECT_EQ(drained(*inboxes[0]), "x ? ");
    inboxes.clear();
    staging.commit();
    open(1);
    add(0, "y");
    staging.commit();
    EXPECT_EQ(drained(*inboxes[0]), "y ");
}

}  // namespace
}  // namespace fanwire::core
