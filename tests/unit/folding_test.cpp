// Folding by itself: events are given to it as an inbox without any room would, and read from the queues.
#include "core/fanout/folding.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/fanout/gap.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

using End = Folding::End;

struct FoldingTest : testing::TestWithParam<End> {
    EventQueue& queue() { return GetParam() == End::front ? front : back; }
    SubscriptionRef make(const char* name) {
        return make_subscription(TargetKind::channel, name, nullptr, nullptr, share);
    }
    void state(Subscription& of, EventKind kind) {
        Event event = Event::of(kind);
        if (kind == EventKind::gap) event.reason = GapReason::reconnect, event.count = count_unknown;
        folding.reserve(of);
        if (folding.fold(GetParam(), of, event)) return;
        folding.began(GetParam(), of, kind, queue().push_back({event, &of}));
    }
    void message(Subscription& of) {
        folding.reserve(of);
        if (folding.fold_message(GetParam(), of)) return;
        folding.began(GetParam(), of, EventKind::gap, queue().push_back({overflow_gap(nullptr, 1), &of}));
    }
    // One event, as the consumer takes it: "gap(3)", "lost", ...
    std::string take() {
        const QueuedEvent taken = queue().pop_front();
        folding.forget(*taken.subscription, 1);
        switch (taken.event.kind) {
            case EventKind::gap:
                return "gap(" + (taken.event.count == count_unknown ? "?" : std::to_string(taken.event.count)) + ")";
            case EventKind::lost:
                return "lost";
            case EventKind::resumed:
                return "resumed";
            default:
                return "?";
        }
    }
    std::string take_all() {
        std::string all;
        while (!queue().empty()) all += (all.empty() ? "" : " ") + take();
        return all;
    }
    void break_and_resume(Subscription& of) {
        for (const EventKind kind : {EventKind::lost, EventKind::gap, EventKind::resumed}) state(of, kind);
    }

    const std::shared_ptr<EngineShare> share = std::make_shared<EngineShare>();
    SubscriptionRef a = make("a"), b = make("b");
    EventQueue front, back;
    Folding folding{front, back};
};

INSTANTIATE_TEST_SUITE_P(Both, FoldingTest, testing::Values(End::front, End::back),
                         [](const auto& end) { return end.param == End::front ? "Front" : "Back"; });

TEST_P(FoldingTest, MessagesAreOneGapWithTheirCount) {
    for (int i = 0; i < 3; ++i) message(*a);
    message(*b);
    EXPECT_EQ(take_all(), "gap(3) gap(1)");
}

TEST_P(FoldingTest, ABreakIsItsGapAndThenResumed) {
    break_and_resume(*a);
    EXPECT_EQ(take_all(), "gap(?) resumed");
    for (int i = 0; i < 3; ++i) break_and_resume(*a);
    state(*a, EventKind::lost);
    EXPECT_EQ(take_all(), "gap(?) lost");
}

TEST_P(FoldingTest, MessagesBeforeAndAfterABreakAreInItsGap) {
    message(*a);
    break_and_resume(*a);
    message(*a);
    EXPECT_EQ(queue().front().event.reason, GapReason::reconnect);
    EXPECT_EQ(take_all(), "gap(?) resumed");
}

TEST_P(FoldingTest, WhatWasTakenIsNotFoldedInto) {
    message(*a);
    EXPECT_EQ(take(), "gap(1)");
    message(*a);
    message(*a);
    state(*a, EventKind::lost);
    EXPECT_EQ(take(), "gap(2)");
    state(*a, EventKind::resumed);
    message(*a);
    EXPECT_EQ(take_all(), "resumed gap(1)");
}

// A state change that comes after its GAP was taken stands where the former one did.
TEST_P(FoldingTest, ANewerStateReplacesTheOlderInItsPlace) {
    state(*a, EventKind::lost);
    message(*b);
    state(*a, EventKind::resumed);
    EXPECT_EQ(take_all(), "resumed gap(1)");
}

TEST_P(FoldingTest, TwoGapsThatBecomeOneAreCountedOnce) {
    share->metrics.gaps.add(2);
    message(*a);
    state(*a, EventKind::gap);
    EXPECT_EQ(share->metrics.gaps.get(), 1u);
    EXPECT_EQ(take_all(), "gap(?)");
}

TEST_P(FoldingTest, RecordsLastAsLongAsWhatTheyRemember) {
    std::vector<SubscriptionRef> all;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 100; ++i) {
            all.push_back(make("x"));
            message(*all.back());
        }
        for (int i = 0; i < 50; ++i) take();
        EXPECT_TRUE(folding.in_use());
        for (const SubscriptionRef& one : all) message(*one);  // those that were taken begin again
        take_all();
        EXPECT_FALSE(folding.in_use());
        for (const SubscriptionRef& one : all) ASSERT_EQ(one->fold_record, 0u);
    }
}

struct FoldingAtTheBack : FoldingTest {};
INSTANTIATE_TEST_SUITE_P(One, FoldingAtTheBack, testing::Values(End::back));

TEST_P(FoldingAtTheBack, NothingIsFoldedInFrontOfWhatCameLater) {
    message(*a);
    message(*b);
    folding.seal(*a);
    message(*a);
    message(*b);
    EXPECT_EQ(take_all(), "gap(1) gap(2) gap(1)");
}

TEST_P(FoldingAtTheBack, TheEndsAreFoldedApart) {
    message(*a);
    EXPECT_FALSE(folding.fold_message(End::front, *a));
    folding.began(End::front, *a, EventKind::gap, front.push_back({overflow_gap(nullptr, 5), a.get()}));
    EXPECT_TRUE(folding.fold_message(End::front, *a));
    EXPECT_EQ(front.pop_front().event.count, 6u);
    EXPECT_EQ(take_all(), "gap(1)");
}

TEST_P(FoldingAtTheBack, KnowsWhichMessagesHaveAnEventBehindThem) {
    EXPECT_FALSE(folding.event_before(*a, 7)) << "there is no record";
    folding.reserve(*a);
    EXPECT_FALSE(folding.has_event_behind(1, *a));
    EXPECT_TRUE(folding.event_before(*a, 7));
    EXPECT_TRUE(folding.has_event_behind(5, *a));
    EXPECT_FALSE(folding.has_event_behind(7, *a));
    EXPECT_FALSE(folding.has_event_behind(5, *b));
    folding.forget(*a, 6);
    EXPECT_TRUE(folding.has_event_behind(5, *a)) << "the event still waits";
    folding.forget(*a, 7);
    EXPECT_FALSE(folding.in_use());
}

}  // namespace
}  // namespace fanwire::core
