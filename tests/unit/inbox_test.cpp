// The inbox: order, limits, the one GAP of each episode, waking, and what is never dropped.
#include "core/fanout/inbox.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <sstream>
#include <string>
#include <tuple>

#include "core/base/clock.h"
#include "core/net/event_fd.h"
#include "tests/support/drained.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

struct InboxTest : testing::Test {
    void open(std::size_t count, Overflow overflow, std::size_t bytes = SIZE_MAX) {
        inbox = std::make_shared<Inbox>(InboxLimits{count, bytes, overflow}, make_event_fd);
        a = make("a");
        b = make("b");
    }
    SubscriptionRef make(const char* name) {
        return make_subscription(TargetKind::channel, name, inbox, nullptr, std::make_shared<EngineShare>());
    }
    bool message(Subscription& to, const std::string& text) {
        Event event = Event::of(EventKind::message);
        event.message = Message::make({to.topic()->user_view(), {}}, text);
        return inbox->push(to, event);
    }
    bool state(Subscription& to, EventKind kind) {
        Event event = Event::of(kind);
        event.user_data = &to;
        if (kind == EventKind::gap) {
            event.reason = GapReason::reconnect;
            event.count = count_unknown;
        }
        return inbox->push(to, event);
    }
    // "a:text", "b:gap(3)", ...
    std::string drain(std::size_t capacity = 1000) {
        const Drained drained(*inbox, capacity);
        std::string text;
        for (std::size_t i = 0; i < drained.events.size(); ++i) {
            const Event& event = drained.events[i];
            if (!text.empty()) text += ' ';
            if (drained.owners[i]) text += drained.owners[i] == a.get() ? "a:" : "b:";
            switch (event.kind) {
                case EventKind::message:
                    text += event.message->payload();
                    break;
                case EventKind::gap:
                    text += "gap(" + (event.count == count_unknown ? "?" : std::to_string(event.count)) + ")";
                    break;
                case EventKind::active:
                    text += "active";
                    break;
                case EventKind::lost:
                    text += "lost";
                    break;
                case EventKind::resumed:
                    text += "resumed";
                    break;
                case EventKind::ended:
                    text += "ended";
                    break;
                case EventKind::published:
                    text += "published";
                    break;
                default:
                    text += "?";
                    break;
            }
        }
        return text;
    }
    std::shared_ptr<Inbox> inbox;
    SubscriptionRef a, b;
};

TEST_F(InboxTest, GivesEventsInOrderAndInBatches) {
    open(100, Overflow::drop_oldest);
    state(*a, EventKind::active);
    message(*a, "1");
    message(*b, "2");
    message(*a, "");
    EXPECT_EQ(drain(2), "a:active a:1");
    EXPECT_EQ(drain(2), "b:2 a:");
    EXPECT_EQ(drain(2), "");
    EXPECT_EQ(inbox->stats().drained, 4u);
}

TEST_F(InboxTest, DropOldestPutsOneGapBeforeWhatIsLeft) {
    open(3, Overflow::drop_oldest);
    for (const char* text : {"1", "2", "3", "4", "5"}) message(*a, text);
    EXPECT_EQ(a->metrics().delivered.get(), 3u);
    EXPECT_EQ(a->metrics().dropped.get(), 2u);
    EXPECT_EQ(a->metrics().gaps.get(), 1u);
    EXPECT_EQ(drain(), "a:gap(2) a:3 a:4 a:5");
    for (const char* text : {"6", "7", "8", "9"}) message(*a, text);
    EXPECT_EQ(drain(1), "a:gap(1)");  // a new episode has a GAP of its own
    message(*a, "10");
    EXPECT_EQ(drain(), "a:gap(1) a:8 a:9 a:10");
}

TEST_F(InboxTest, DropOldestCountsEachSubscriptionApart) {
    open(2, Overflow::drop_oldest);
    message(*a, "1");
    message(*b, "2");
    message(*a, "3");
    message(*b, "4");
    message(*b, "5");
    EXPECT_EQ(drain(), "a:gap(2) b:gap(1) b:4 b:5");
    EXPECT_EQ(inbox->stats().dropped, 3u);
}

TEST_F(InboxTest, DropNewestPutsOneGapBehindWhatIsKept) {
    open(3, Overflow::drop_newest);
    for (const char* text : {"1", "2", "3", "4", "5"}) message(*a, text);
    message(*b, "6");
    EXPECT_EQ(drain(1), "a:1");
    EXPECT_EQ(drain(), "a:2 a:3 a:gap(2) b:gap(1)");
    message(*a, "7");
    EXPECT_EQ(drain(), "a:7");
}

TEST_F(InboxTest, DropNewestBeginsANewGapAfterAKeptMessage) {
    open(2, Overflow::drop_newest);
    for (const char* text : {"1", "2", "3"}) message(*a, text);
    EXPECT_EQ(drain(2), "a:1 a:2");
    message(*a, "4");
    message(*a, "5");
    message(*a, "6");
    EXPECT_EQ(drain(), "a:gap(1) a:4 a:5 a:gap(1)");
}

TEST_F(InboxTest, TheLimitOfBytesCountsToo) {
    open(1000, Overflow::drop_oldest, 10000);
    message(*a, std::string(4000, 'x'));
    message(*a, std::string(4000, 'y'));
    message(*a, std::string(4000, 'z'));
    EXPECT_EQ(a->metrics().dropped.get(), 1u);
    EXPECT_EQ(drain(), "a:gap(1) a:" + std::string(4000, 'y') + " a:" + std::string(4000, 'z'));
    message(*a, "small");
    message(*a, std::string(20000, 'w'));  // can never fit: it is the one to go
    EXPECT_EQ(drain(), "a:small a:gap(1)");
    EXPECT_EQ(inbox->stats().queued_bytes, 0u);
}

TEST_F(InboxTest, OnlyMessagesCountAgainstTheLimitOfMessages) {
    for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest}) {
        open(2, overflow);
        state(*a, EventKind::active);
        message(*a, "1");
        for (int i = 0; i < 10; ++i) {
            ASSERT_TRUE(inbox->reserve_outcome());
            std::ignore = inbox->settle(nullptr, {});
        }
        state(*a, EventKind::lost);
        message(*a, "2");
        std::string outcomes;
        for (int i = 0; i < 10; ++i) outcomes += "published ";
        EXPECT_EQ(drain(), "a:active a:1 " + outcomes + "a:lost a:2");
    }
}

TEST_F(InboxTest, StateChangesSurviveAsTheirNewest) {
    open(2, Overflow::drop_oldest);
    state(*a, EventKind::active);
    message(*a, "1");
    message(*a, "2");
    state(*a, EventKind::lost);
    state(*a, EventKind::gap);
    state(*a, EventKind::resumed);
    state(*a, EventKind::lost);
    state(*a, EventKind::gap);
    state(*a, EventKind::resumed);
    message(*a, "3");
    message(*a, "4");
    // More than two state changes wait: the second break is folded into the first. No message had to go for them.
    EXPECT_EQ(drain(), "a:active a:gap(2) a:lost a:gap(?) a:resumed a:3 a:4");
}

TEST_F(InboxTest, AFoldedBreakIsAGapAndThenResumed) {
    open(1, Overflow::drop_oldest);
    state(*b, EventKind::active);
    for (const EventKind kind : {EventKind::lost, EventKind::gap, EventKind::resumed}) state(*a, kind);
    EXPECT_EQ(drain(), "b:active a:gap(?) a:resumed");
}

TEST_F(InboxTest, AFoldedBreakIsAGapAndThenResumedAlsoInFrontOfTheQueue) {
    open(3, Overflow::drop_oldest);
    for (const EventKind kind : {EventKind::lost, EventKind::gap, EventKind::resumed}) state(*a, kind);
    for (int i = 0; i < 4; ++i) message(*a, std::to_string(i));
    EXPECT_EQ(drain(), "a:gap(?) a:resumed a:1 a:2 a:3");
}

TEST_F(InboxTest, FoldedBreaksAreOneGapAndThenTheNewestState) {
    const auto breaks = [&] {
        for (int i = 0; i < 3; ++i)
            for (const EventKind kind : {EventKind::lost, EventKind::gap, EventKind::resumed}) state(*a, kind);
        state(*a, EventKind::lost);
    };
    open(1, Overflow::drop_oldest);
    state(*b, EventKind::active);
    breaks();
    EXPECT_EQ(drain(), "b:active a:gap(?) a:lost");
    open(20, Overflow::drop_oldest);
    breaks();
    for (int i = 0; i < 21; ++i) message(*b, "");
    EXPECT_EQ(drain(2), "a:gap(?) a:lost");
}

TEST_F(InboxTest, AGapOfBothIsThatOfTheBreak) {
    open(1, Overflow::drop_newest);
    state(*a, EventKind::active);
    message(*a, "1");
    message(*a, "dropped");
    for (const EventKind kind : {EventKind::lost, EventKind::gap, EventKind::resumed}) state(*a, kind);
    const Drained drained(*inbox);
    ASSERT_EQ(drained.events.size(), 4u);
    EXPECT_EQ(drained.events[2].kind, EventKind::gap);
    EXPECT_EQ(drained.events[2].reason, GapReason::reconnect);
    EXPECT_EQ(drained.events[2].count, count_unknown);
    EXPECT_EQ(drained.events[3].kind, EventKind::resumed);
}

TEST_F(InboxTest, AGapThatWasDroppedIsSaidBeforeTheStateThatFollowsIt) {
    open(1, Overflow::drop_newest);
    state(*b, EventKind::active);
    message(*b, "1");
    state(*a, EventKind::active);
    message(*a, "dropped");
    state(*a, EventKind::lost);
    EXPECT_EQ(drain(), "b:active b:1 a:gap(1) a:lost");
}

// Whatever happens in whatever order, and whenever something of it is drained: a program that is stale from LOST,
// FAILED and the GAP of a break on and fetches at ACTIVE and RESUMED (and at each other GAP) has all that was sent,
// when it is fresh.
struct InboxOrders : InboxTest {
    enum Step { break_off, refuse, confirm, send, drain_one, drain_two, steps };

    void begin(std::size_t count, Overflow overflow) {
        inbox = std::make_shared<Inbox>(InboxLimits{count, SIZE_MAX, overflow}, make_event_fd);
        a = make_subscription(TargetKind::channel, "a", inbox, nullptr, share);
        active = fresh = was_active = false;
        sent = known = 0;
        confirmed();
    }
    void confirmed() {
        if (was_active) state(*a, EventKind::gap);
        state(*a, was_active ? EventKind::resumed : EventKind::active);
        active = was_active = true;
    }
    // False: it cannot happen now.
    bool take(int step) {
        switch (step) {
            case break_off:
                if (!active) return false;
                state(*a, EventKind::lost);
                active = false;
                ++sent;  // what comes now is missed
                return true;
            case refuse:
                if (active) return false;
                state(*a, EventKind::failed);
                return true;
            case confirm:
                if (active) return false;
                confirmed();
                return true;
            case send:
                if (!active) return false;
                message(*a, std::to_string(++sent));
                return true;
            default:
                see(step == drain_one ? 1 : 2);
                return !HasFailure();
        }
    }
    void see(std::size_t capacity) {
        const Drained drained(*inbox, capacity);
        for (const Event& event : drained.events) {
            switch (event.kind) {
                case EventKind::active:
                case EventKind::resumed:
                    fresh = true;
                    known = sent;
                    break;
                case EventKind::gap:
                    if (event.reason == GapReason::reconnect) fresh = false;
                    if (fresh) known = sent;
                    break;
                case EventKind::message: {
                    const int number = std::stoi(std::string(event.message->payload()));
                    EXPECT_TRUE(fresh) << number << " follows a GAP without RESUMED";
                    EXPECT_LE(number, known + 1) << "missing, and nothing says so";
                    known = std::max(known, number);
                    break;
                }
                default:
                    fresh = false;
            }
        }
    }
    void end() {
        see(SIZE_MAX);
        EXPECT_EQ(fresh, active);
        if (active) {
            EXPECT_EQ(known, sent);
        }
    }
    const std::shared_ptr<EngineShare> share = std::make_shared<EngineShare>();
    bool active = false, fresh = false, was_active = false;
    int sent = 0, known = 0;
};

TEST_F(InboxOrders, AProgramThatFetchesAtResumedEndsFresh) {
    constexpr int length = 7;
    int all = 1;
    for (int i = 0; i < length; ++i) all *= steps;
    for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest, Overflow::conflate}) {
        for (const std::size_t count : {1u, 2u}) {
            for (int order = 0, same = 1; order < all && !HasFailure(); order += same) {
                begin(count, overflow);
                std::string taken;
                bool possible = true;
                // Those that begin with the same impossible steps are passed over.
                for (same = all; same > 1 && possible;) {
                    same /= steps;
                    const int step = order / same % steps;
                    taken += static_cast<char>('0' + step);
                    possible = take(step);
                }
                if (possible) end();
                if (HasFailure())
                    ADD_FAILURE() << "steps " << taken << ", " << count << ", " << static_cast<int>(overflow);
            }
        }
    }
}

TEST_F(InboxTest, AStuckConsumerCostsBoundedMemoryHoweverOftenTheLinkBreaks) {
    for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest}) {
        open(10, overflow);
        for (int i = 0; i < 10000; ++i) {
            message(*a, "x");
            state(*a, EventKind::lost);
            state(*a, EventKind::gap);
            state(*a, EventKind::resumed);
        }
        EXPECT_LE(inbox->stats().queued, 50u);
        EXPECT_NE(drain().find("a:gap(?)"), std::string::npos);
    }
}

TEST_F(InboxTest, OutcomesAndEndsAreNeverDropped) {
    for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest}) {
        open(2, overflow);
        for (int i = 0; i < 5; ++i) {
            ASSERT_TRUE(inbox->reserve_outcome());
            std::ignore = inbox->settle(nullptr, {});
        }
        state(*b, EventKind::ended);
        for (int i = 0; i < 5; ++i) message(*a, std::to_string(i));
        EXPECT_EQ(drain().substr(0, 57), "published published published published published b:ended");
    }
}

TEST_F(InboxTest, WhatWasGivenUpIsPassedOver) {
    open(100, Overflow::drop_oldest);
    message(*a, "1");
    message(*b, "2");
    message(*a, "3");
    a->abandon();
    state(*a, EventKind::ended);
    EXPECT_EQ(drain(), "b:2 a:ended");
}

TEST_F(InboxTest, EndedKeepsTheSubscriptionAlive) {
    open(100, Overflow::drop_oldest);
    message(*a, "1");
    state(*a, EventKind::ended);
    Subscription* kept = a.get();
    a = nullptr;
    EXPECT_EQ(kept->state(), SubscriptionState::pending);  // the sanitizer would object
    EXPECT_EQ(Drained(*inbox, 10).events.size(), 2u);
}

TEST_F(InboxTest, WakesOnceForEmptyToNonEmpty) {
    open(100, Overflow::drop_oldest);
    int wakes = 0;
    inbox->set_wake([&] { ++wakes; });
    const auto push = [&] {
        if (message(*a, "x")) inbox->signal();
    };
    push();
    push();
    EXPECT_EQ(wakes, 1);
    drain(1);
    push();
    EXPECT_EQ(wakes, 1);
    drain();
    push();
    EXPECT_EQ(wakes, 2);
    inbox->set_wake([&] { wakes += 10; });  // something waits: the new one is called at once
    EXPECT_EQ(wakes, 12);
}

TEST_F(InboxTest, RefusesOutcomesBeyondTheLimit) {
    open(100, Overflow::drop_oldest);
    for (std::size_t i = 0; i < Inbox::outcomes_max; ++i) ASSERT_TRUE(inbox->reserve_outcome());
    EXPECT_FALSE(inbox->reserve_outcome());
    std::ignore = inbox->settle(nullptr, {});
    EXPECT_FALSE(inbox->reserve_outcome());  // settled, but not drained
    drain();
    EXPECT_TRUE(inbox->reserve_outcome());
}

// What is being drained still counts, but when nothing else is queued it keeps nothing out that fits by itself.
TEST_F(InboxTest, AMessageThatComesDuringADrainHasRoomOfItsOwn) {
    const std::size_t limit = 4 * Message::make({"a", {}}, "")->cost();
    open(100, Overflow::drop_newest, limit);
    message(*a, std::string(limit / 8, '1'));
    struct Sink {
        InboxTest& test;
        std::size_t size;
        void message(Subscription& subscription, Message* message) {
            test.message(subscription, std::string(size, '2'));
            message->release();
        }
        void event(Subscription*, Event&&) {}
    };
    const std::size_t own = Message::make({"a", {}}, "")->cost();
    Inbox::Batch batch;
    EXPECT_EQ(inbox->drain(batch, 1, Sink{*this, limit - own}), 1u);
    batch.release();
    EXPECT_EQ(inbox->stats().dropped, 0u);
    EXPECT_EQ(drain(), "a:" + std::string(limit - own, '2'));
}

TEST_F(InboxTest, ACancelledOutcomeGivesItsSlotBack) {
    open(100, Overflow::drop_oldest);
    for (std::size_t i = 0; i <= Inbox::outcomes_max; ++i) {
        ASSERT_TRUE(inbox->reserve_outcome());
        inbox->cancel_outcome();
    }
}

// Replies have the limits of messages, and count apart from them, until they are drained.
TEST_F(InboxTest, RepliesAreLimitedInCountAndBytes) {
    const auto reply = [&](const std::string& payload) {
        Event event = Event::of(EventKind::reply);
        event.message = Message::make({}, payload);
        bool kept = false;
        std::ignore = inbox->push_reply(std::move(event), kept);
        return kept;
    };
    open(3, Overflow::drop_oldest);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3; ++i) message(*a, "m");
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(reply("r")) << round;
        EXPECT_FALSE(reply("r")) << round;
        EXPECT_EQ(inbox->stats().queued, 6u) << "no message went for them";
        drain(10);
    }
    open(100, Overflow::drop_newest, 3 * Message::make({}, "r")->cost());
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(reply("r")) << round;
        EXPECT_FALSE(reply("r")) << round;
        drain(10);
    }
    inbox->close();
    EXPECT_FALSE(reply("r"));
}

TEST_F(InboxTest, EventsOfAnEngineAreLimitedUntilTheyAreDrained) {
    open(1, Overflow::drop_oldest);
    for (int round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < 2 * Inbox::engine_events_max; ++i)
            std::ignore = inbox->push(Event::of(EventKind::connected));
        EXPECT_EQ(inbox->stats().queued, Inbox::engine_events_max) << round;
        drain(10);
        std::ignore = inbox->push(Event::of(EventKind::connected));
        EXPECT_EQ(inbox->stats().queued, Inbox::engine_events_max - 9) << "there is room for those that follow";
        drain(2 * Inbox::engine_events_max);
    }
}

TEST_F(InboxTest, WhatFailsAlikeSharesOneText) {
    open(10, Overflow::drop_oldest);
    std::vector<Settled> publishes;
    for (std::uintptr_t i = 1; i <= 100; ++i) {
        ASSERT_TRUE(inbox->reserve_outcome());
        publishes.push_back({reinterpret_cast<void*>(i), 0});
    }
    EXPECT_TRUE(inbox->settle(publishes, {Status::TIMEOUT, "too late"}));
    const Drained drained(*inbox);
    ASSERT_EQ(drained.events.size(), publishes.size());
    for (std::size_t i = 0; i < publishes.size(); ++i) {
        const Event& event = drained.events[i];
        EXPECT_EQ(event.kind, EventKind::published);
        EXPECT_EQ(event.status, Status::TIMEOUT);
        EXPECT_EQ(event.user_data, publishes[i].user_data);
        ASSERT_TRUE(event.message);
        EXPECT_EQ(event.message->payload(), "too late");
        EXPECT_EQ(event.message.get(), drained.events[0].message.get());
    }
    EXPECT_TRUE(inbox->reserve_outcome());
    inbox->close();
    EXPECT_FALSE(inbox->settle({publishes.data(), 1}, {Status::TIMEOUT, "too late"}));
}

TEST_F(InboxTest, ClosedTakesNothing) {
    open(100, Overflow::drop_oldest);
    state(*a, EventKind::ended);
    inbox->close();
    EXPECT_FALSE(message(*b, "1"));
    EXPECT_EQ(drain(), "");
    EXPECT_FALSE(inbox->wait());
}

// Whatever happens: for each subscription the messages drained plus the counts of its GAPs are the messages pushed, and
// each GAP stands where they are missing.
TEST_F(InboxTest, NothingIsMissingWithoutAGap) {
    for (std::uint32_t seed = 0; seed < 2000; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        open(1 + random() % 8, random() % 2 ? Overflow::drop_oldest : Overflow::drop_newest,
             random() % 3 ? SIZE_MAX : 400 + random() % 2000);
        std::map<void*, std::uint64_t> pushed, expected;
        const auto check = [&](std::size_t capacity) {
            const Drained drained(*inbox, capacity);
            for (std::size_t i = 0; i < drained.events.size(); ++i) {
                const Event& event = drained.events[i];
                std::uint64_t& next = expected[drained.owners[i]];
                if (event.kind == EventKind::gap) {
                    next += event.count;
                } else {
                    ASSERT_EQ(std::string(event.message->payload()), std::to_string(next));
                    ++next;
                }
            }
        };
        for (int step = 0; step < 100; ++step) {
            if (random() % 4 == 0) {
                check(random() % 6);
            } else {
                Subscription& to = random() % 2 ? *a : *b;
                message(to, std::to_string(pushed[&to]++));
            }
            if (HasFatalFailure()) return;
        }
        check(1000);
        ASSERT_EQ(expected, pushed);
    }
}

TEST_F(InboxTest, ConflateKeepsTheLastOfAChannelAndCountsTheOthersBeforeIt) {
    open(3, Overflow::conflate);
    state(*a, EventKind::active);
    message(*a, "1");
    message(*b, "2");
    message(*a, "3");
    for (const char* text : {"4", "5"}) message(*a, text);  // in the place of 3
    message(*b, "6");                                       // in the place of 2
    EXPECT_EQ(inbox->stats().queued, 4u + 2u);
    EXPECT_EQ(a->metrics().dropped.get(), 2u);
    EXPECT_EQ(a->metrics().delivered.get(), 2u);
    EXPECT_EQ(a->metrics().gaps.get(), 1u);
    EXPECT_EQ(drain(3), "a:active a:1 b:gap(1)");
    EXPECT_EQ(drain(), "b:6 a:gap(2) a:5");
    EXPECT_EQ(inbox->stats().queued, 0u);
    message(*a, "7");
    EXPECT_EQ(drain(), "a:7");
}

TEST_F(InboxTest, ConflateWithoutAnEarlierOneOfTheChannelDropsTheOldest) {
    open(2, Overflow::conflate);
    message(*a, "1");
    message(*a, "2");
    message(*a, "3");  // in the place of 2
    message(*b, "4");  // pushes out 1
    EXPECT_EQ(drain(), "a:gap(2) a:3 b:4");
    message(*a, "5");
    message(*a, "6");
    message(*a, "7");
    message(*b, "8");
    message(*b, "9");  // in the place of 8
    EXPECT_EQ(drain(), "a:gap(2) a:7 b:gap(1) b:9");
}

// A row that is drained from the front on: what is newer than that keeps its place.
TEST_F(InboxTest, ConflateKnowsTheLastOfAChannelAfterAnEarlierOneWasDrained) {
    open(2, Overflow::conflate);
    message(*a, "1");
    message(*a, "2");
    EXPECT_EQ(drain(1), "a:1");
    message(*b, "3");
    message(*a, "4");  // in the place of 2
    EXPECT_EQ(drain(), "a:gap(1) a:4 b:3");
}

TEST_F(InboxTest, ConflateDoesNotMoveAMessageOverAStateChange) {
    open(2, Overflow::conflate);
    message(*a, "1");
    message(*a, "2");
    state(*a, EventKind::lost);
    state(*a, EventKind::gap);
    state(*a, EventKind::resumed);  // folded: two state entries is the most
    message(*a, "3");
    message(*a, "4");
    const std::string all = drain();
    EXPECT_NE(all.find("a:4"), all.npos) << all;
    EXPECT_LT(all.find("resumed"), all.find("a:4")) << all;
    EXPECT_EQ(a->metrics().dropped.get(), 2u) << all;
}

TEST_F(InboxTest, ConflateHoldsToTheLimitOfBytes) {
    const std::size_t one = Message::make({"a", {}}, std::string(100, 'x'))->cost();
    open(100, Overflow::conflate, 3 * one);
    message(*b, std::string(100, '1'));
    message(*a, std::string(100, '2'));
    message(*a, std::string(100, '3'));
    message(*a, std::string(100, '4'));        // in the place of 3
    message(*a, std::string(100 + one, '5'));  // too large for that place: the oldest make room
    EXPECT_LE(inbox->stats().queued_bytes, 3 * one);
    EXPECT_EQ(
        drain(),
        "b:gap(1) a:gap(2) "
        "a:4444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444 a:" +
            std::string(100 + one, '5'));
    message(*a, std::string(100, '6'));
    message(*a, std::string(4 * one, '7'));  // larger than the limit itself
    EXPECT_EQ(drain(), "a:" + std::string(100, '6') + " a:gap(1)");
}

TEST_F(InboxTest, ConflateKeepsTheLastHoweverLarge) {
    const std::size_t one = Message::make({"a", {}}, std::string(100, 'x'))->cost();
    open(100, Overflow::conflate, 3 * one);
    message(*a, std::string(50, '1'));
    message(*b, std::string(100 + one, '2'));
    message(*a, std::string(100 + one / 2, '3'));  // would push itself out of the first place
    EXPECT_EQ(drain(), "a:gap(1) b:gap(1) a:" + std::string(100 + one / 2, '3'));
    EXPECT_EQ(a->metrics().gaps.get(), 1u);
    EXPECT_EQ(a->metrics().delivered.get(), 1u);
}

TEST_F(InboxTest, GapsThatBecomeOneAreCountedOnce) {
    open(2, Overflow::conflate);
    message(*a, "1");
    message(*a, "2");
    message(*a, "3");  // in the place of 2
    message(*b, "4");  // pushes out 1
    EXPECT_EQ(drain(), "a:gap(2) a:3 b:4");
    EXPECT_EQ(a->metrics().gaps.get(), 1u);
}

// Whatever is dropped, each subscription finds its messages in order, the last of a burst among them, and every missing
// one counted in a GAP at its place.
TEST_F(InboxTest, ConflateAccountsForEveryMessage) {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        open(1 + random() % 6, Overflow::conflate);
        std::map<char, int> next{{'a', 0}, {'b', 0}}, seen{{'a', 0}, {'b', 0}};
        const auto check = [&] {
            std::istringstream words(drain(1 + random() % 8));
            for (std::string word; words >> word;) {
                const char who = word[0];
                if (word.substr(2, 4) == "gap(")
                    seen[who] += std::stoi(word.substr(6));
                else
                    EXPECT_EQ(std::stoi(word.substr(2)), ++seen[who]);
            }
        };
        for (int i = 0; i < 40; ++i) {
            Subscription& to = random() % 3 ? *a : *b;
            message(to, std::to_string(++next[&to == a.get() ? 'a' : 'b']));
            if (random() % 7 == 0) check();
        }
        while (inbox->stats().queued > 0) check();
        EXPECT_EQ(seen, next);
    }
}

TEST_F(InboxTest, MeasuresTheTimeFromReadingToDraining) {
    open(10, Overflow::drop_oldest);
    Event event = Event::of(EventKind::message);
    event.message = Message::make({"a", {}}, "x", now_us() - 5000);
    ASSERT_TRUE(inbox->push(*a, event));
    inbox->signal();
    message(*a, "not read from anywhere");
    EXPECT_EQ(drain(), "a:x a:not read from anywhere");
    const LatencySnapshot latency = a->metrics().delivery_latency.snapshot();
    EXPECT_EQ(latency.count, 2u);
    EXPECT_GE(latency.max_us, 5000u);
}

}  // namespace
}  // namespace fanwire::core
