// An inbox without memory: what it is told waits in its subscriptions and in the slots of the outcomes.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "core/fanout/fanout.h"
#include "core/net/event_fd.h"
#include "tests/malloc/failing_malloc.h"
#include "tests/support/drained.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

class InboxWithoutMemory : public testing::Test {
 protected:
    SubscriptionRef subscribe(const std::string& channel) {
        auto subscription = make_subscription(TargetKind::channel, channel, inbox, nullptr, share);
        fanout.add(subscription);
        fanout.active(*subscription->topic());
        return subscription;
    }
    void message(const std::string& channel, const std::string& payload) {
        const malloc_test::InCall scope;
        if (Topic* const topic = topics.find(TargetKind::channel, channel))
            fanout.message(*topic, channel, payload, 0, nullptr);
        fanout.commit();
    }
    // "message 1", "gap 2", ... of what waits.
    std::vector<std::string> drain() {
        static const char* names[] = {"",    "message", "active", "lost",      "resumed",
                                      "gap", "failed",  "ended",  "published", "connected"};
        const Drained drained(*inbox);
        std::vector<std::string> said;
        for (const Event& event : drained.events) {
            std::string text = names[static_cast<int>(event.kind)];
            if (event.kind == EventKind::message) text += " " + std::string(event.message->payload());
            if (event.kind == EventKind::gap)
                text += " " + (event.count == count_unknown ? "?" : std::to_string(event.count));
            if (event.kind == EventKind::published) text += " " + std::to_string(event.count);
            said.push_back(text);
        }
        return said;
    }
    // From here on nothing can be had, until memory_is_back().
    void no_memory() { malloc_test::arm(1, SIZE_MAX / 2); }
    void memory_is_back() { EXPECT_GT(malloc_test::disarm(), 0u); }

    using Said = std::vector<std::string>;
    const std::shared_ptr<EngineShare> share = std::make_shared<EngineShare>();
    const std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>(InboxLimits{}, make_event_fd);
    Topics topics;
    Fanout fanout{topics, share->metrics, 0};
    const std::string long_payload = std::string(100, 'x');
};

TEST_F(InboxWithoutMemory, MessagesBecomeAGapWithTheirCount) {
    const auto a = subscribe("a"), b = subscribe("b");
    message("a", "1");
    no_memory();
    for (int i = 0; i < 3; ++i) message("a", long_payload);
    message("b", long_payload);
    memory_is_back();
    message("a", "5");
    EXPECT_EQ(drain(), (Said{"active", "active", "message 1", "gap 3", "gap 1", "message 5"}));
    EXPECT_EQ(share->metrics.dropped.get(), 4u);
    fanout.remove_all({Status::CLOSED, "closed"});
    EXPECT_EQ(drain(), (Said{"ended", "ended"}));
}

// More than a deque's block of them, so that entries themselves find no memory.
TEST_F(InboxWithoutMemory, StatesAndTheEndAreKept) {
    std::vector<SubscriptionRef> all;
    for (int i = 0; i < 100; ++i) all.push_back(subscribe(std::to_string(i)));
    drain();
    no_memory();
    {
        const malloc_test::InCall scope;
        const Error why{Status::CONNECTION_LOST, "gone"};
        lose_all(fanout, topics, why);
        for (int i = 0; i < 50; ++i) fanout.remove(*all[static_cast<std::size_t>(i)], why);
        for (int i = 50; i < 100; ++i) fanout.active(*all[static_cast<std::size_t>(i)]->topic());
    }
    memory_is_back();
    EXPECT_GE(inbox->stats().queued, 100u);
    const Drained drained(*inbox);
    const std::vector<Event>& events = drained.events;
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::vector<EventKind> seen;
        for (std::size_t e = 0; e < events.size(); ++e)
            if (drained.owners[e] == all[i].get()) seen.push_back(events[e].kind);
        ASSERT_FALSE(seen.empty()) << i;
        EXPECT_EQ(seen.back(), i < 50 ? EventKind::ended : EventKind::resumed) << i;
        if (i >= 50) {
            EXPECT_EQ(seen[seen.size() - 2], EventKind::gap) << i;
        }
    }
    EXPECT_EQ(inbox->stats().queued, 0u);
    fanout.remove_all({Status::CLOSED, "closed"});
    EXPECT_EQ(drain().size(), 50u);
}

// What was folded before stands in front of it, and what is dropped later does not count there.
TEST_F(InboxWithoutMemory, WhatIsDroppedBehindABreakIsNotCountedBeforeIt) {
    const MessageRef payload = Message::make({"a", {}}, long_payload);
    const auto full = std::make_shared<Inbox>(InboxLimits{100, payload->cost(), Overflow::drop_newest}, make_event_fd);
    const auto a = make_subscription(TargetKind::channel, "a", full, nullptr, share);
    const auto b = make_subscription(TargetKind::channel, "b", full, nullptr, share);
    const auto push = [&](Subscription& to, EventKind kind) {
        Event event = Event::of(kind);
        if (kind == EventKind::message) event.message = payload;
        if (kind == EventKind::gap) event.reason = GapReason::reconnect, event.count = count_unknown;
        [[maybe_unused]] const bool wake = full->push(to, std::move(event));
    };
    for (int i = 0; i < 15; ++i) push(*b, EventKind::active);  // with the GAP they fill a block
    push(*a, EventKind::message);
    push(*a, EventKind::message);
    no_memory();
    {
        const malloc_test::InCall scope;
        for (const EventKind kind : {EventKind::lost, EventKind::gap, EventKind::resumed}) push(*a, kind);
    }
    memory_is_back();
    push(*a, EventKind::message);
    const Drained drained(*full);
    std::vector<std::pair<EventKind, std::uint64_t>> seen;
    for (std::size_t i = 0; i < drained.events.size(); ++i)
        if (drained.owners[i] == a.get()) seen.emplace_back(drained.events[i].kind, drained.events[i].count);
    EXPECT_EQ(seen, (std::vector<std::pair<EventKind, std::uint64_t>>{{EventKind::message, 0},
                                                                      {EventKind::gap, 1},
                                                                      {EventKind::gap, count_unknown},
                                                                      {EventKind::resumed, 0},
                                                                      {EventKind::gap, 1}}));
    full->close();
}

TEST_F(InboxWithoutMemory, EveryOutcomeHasItsSlot) {
    constexpr int count = 300;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < count; ++i) ASSERT_TRUE(inbox->reserve_outcome());
        no_memory();
        {
            const malloc_test::InCall scope;
            for (int i = 0; i < count; ++i) {
                const bool wake = inbox->settle(nullptr, {{}, static_cast<std::uint64_t>(i)});
                EXPECT_EQ(wake, i == 0);
            }
        }
        memory_is_back();
        EXPECT_EQ(Drained(*inbox, 10).events.size(), 10u);
        Said expected, rest = drain();
        for (int i = 10; i < count; ++i) expected.push_back("published " + std::to_string(i));
        EXPECT_EQ(rest, expected);
    }
}

TEST_F(InboxWithoutMemory, AnOutcomeStaysBehindThoseThatFoundNoMemory) {
    constexpr int count = 100;
    for (int i = 0; i <= count; ++i) ASSERT_TRUE(inbox->reserve_outcome());
    const auto settle = [&](int i) {
        const malloc_test::InCall scope;
        std::ignore = inbox->settle(nullptr, {{}, static_cast<std::uint64_t>(i)});
    };
    no_memory();
    for (int i = 0; i < count; ++i) settle(i);
    memory_is_back();
    settle(count);
    Said expected;
    for (int i = 0; i <= count; ++i) expected.push_back("published " + std::to_string(i));
    EXPECT_EQ(drain(), expected);
}

// Whether there is memory for the record of what stands behind a message depends on how many others there are.
TEST_F(InboxWithoutMemory, ADeferredBreakIsNotMovedOverByConflation) {
    for (int others = 0; others < 40; ++others) {
        const auto full = std::make_shared<Inbox>(InboxLimits{1, SIZE_MAX, Overflow::conflate}, make_event_fd);
        const auto make = [&] { return make_subscription(TargetKind::channel, "a", full, nullptr, share); };
        const auto push = [&](Subscription& to, Event event) {
            const malloc_test::InCall scope;
            std::ignore = full->push(to, std::move(event));
        };
        const auto message = [](const char* payload) {
            Event event = Event::of(EventKind::message);
            event.message = Message::make({"a", {}}, payload);
            return event;
        };
        std::vector<SubscriptionRef> before;
        for (int i = 0; i < others; ++i) {
            before.push_back(make());
            push(*before.back(), Event::of(EventKind::active));
        }
        const auto a = make();
        push(*a, message("1"));
        no_memory();
        push(*a, Event::of(EventKind::lost));
        push(*a, Event::of(EventKind::resumed));
        malloc_test::disarm();
        push(*a, message("2"));
        const Drained drained(*full);
        ASSERT_FALSE(drained.events.empty());
        EXPECT_EQ(drained.events.back().kind, EventKind::message) << others << " others";
        std::size_t resumed = 0;
        for (const Event& event : drained.events) resumed += event.kind == EventKind::resumed ? 1 : 0;
        EXPECT_EQ(resumed, 1u);
        full->close();
    }
}

// The end of a request keeps its numbers; the numbers of a NUMSUB cannot be kept, and it says so.
TEST_F(InboxWithoutMemory, TheEndsOfQuestionsHaveTheirSlots) {
    constexpr int count = 100;
    for (int i = 0; i < 2 * count; ++i) ASSERT_TRUE(inbox->reserve_outcome());
    int tag = 0;
    no_memory();
    {
        const malloc_test::InCall scope;
        for (int i = 0; i < count; ++i) {
            Event done = Event::of(EventKind::request_done);
            done.user_data = &tag;
            done.status = Status::TIMEOUT;
            done.count = 3;
            done.delay_ms = 4;  // missing
            std::ignore = inbox->push(std::move(done));
            Event numbers = Event::of(EventKind::numsub);
            numbers.count = 5;
            std::ignore = inbox->push(std::move(numbers));
        }
    }
    memory_is_back();
    const Drained drained(*inbox);
    ASSERT_EQ(drained.events.size(), 2u * count);
    int ends = 0, without_numbers = 0;
    for (const Event& event : drained.events) {
        if (event.kind == EventKind::request_done) {
            ++ends;
            EXPECT_EQ(event.status, Status::TIMEOUT);
            EXPECT_EQ(event.user_data, &tag);
            EXPECT_EQ(event.count, 3u);
            EXPECT_EQ(event.delay_ms, 4u);
        } else {
            EXPECT_EQ(event.kind, EventKind::numsub);
            EXPECT_EQ(event.count, 5u);
            EXPECT_TRUE(event.status == Status::OK || event.status == Status::NO_MEMORY);
            without_numbers += event.status == Status::NO_MEMORY ? 1 : 0;
        }
    }
    EXPECT_EQ(ends, count);
    EXPECT_GT(without_numbers, 0);
    for (int i = 0; i < 2 * count; ++i) ASSERT_TRUE(inbox->reserve_outcome()) << "each slot was given back";
}

TEST_F(InboxWithoutMemory, OutcomesThatFailAlikeGoWithoutTheirText) {
    constexpr std::size_t count = 300;
    std::vector<Settled> publishes(count);
    for (std::size_t i = 0; i < count; ++i) {
        publishes[i].user_data = &publishes[i];
        ASSERT_TRUE(inbox->reserve_outcome());
    }
    const Error why{Status::TIMEOUT, "not sent within publish_timeout_ms"};
    no_memory();
    {
        const malloc_test::InCall scope;
        EXPECT_TRUE(inbox->settle(publishes, why));
    }
    memory_is_back();
    const Drained drained(*inbox);
    ASSERT_EQ(drained.events.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(drained.events[i].status, Status::TIMEOUT);
        EXPECT_EQ(drained.events[i].user_data, &publishes[i]);
        EXPECT_FALSE(drained.events[i].message);
    }
}

TEST_F(InboxWithoutMemory, DrainingTakesNothingThatItCannotGive) {
    const auto a = subscribe("a");
    message("a", "1");
    struct Nothing {
        void message(Subscription&, Message*) { ADD_FAILURE(); }
        void event(Subscription*, Event&&) { ADD_FAILURE(); }
    };
    Inbox::Batch batch;
    malloc_test::arm(1, 1);
    {
        const malloc_test::InCall scope;
        EXPECT_THROW(inbox->drain(batch, SIZE_MAX, Nothing()), std::bad_alloc);
    }
    memory_is_back();
    EXPECT_EQ(drain(), (Said{"active", "message 1"}));
    fanout.remove_all({Status::CLOSED, "closed"});
    drain();
}

}  // namespace
}  // namespace fanwire::core
