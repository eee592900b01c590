// The fan-out gives an inbox its messages many at a time: nothing else may come to stand before or behind them that was
// said after or before.
#include "core/fanout/fanout.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/message/frame.h"
#include "core/net/event_fd.h"
#include "tests/support/drained.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

struct FanoutTest : testing::Test {
    std::shared_ptr<Inbox> make_inbox(std::size_t count = SIZE_MAX, std::size_t bytes = SIZE_MAX) {
        inboxes.push_back(std::make_shared<Inbox>(InboxLimits{count, bytes, Overflow::drop_oldest}, make_event_fd));
        return inboxes.back();
    }
    // As an engine has it: one for each inbox.
    OutletRef outlet_of(const std::shared_ptr<Inbox>& inbox) {
        OutletRef& outlet = outlets[inbox.get()];
        if (!outlet) outlet = OutletRef::adopt(new Outlet(inbox, share));
        return outlet;
    }
    SubscriptionRef subscribe(const std::string& name, const std::shared_ptr<Inbox>& inbox,
                              TargetKind kind = TargetKind::channel) {
        auto made =
            SubscriptionRef::adopt(new Subscription(Topic::make(kind, "ws:" + name, 3), outlet_of(inbox), nullptr));
        fanout.add(made);
        fanout.active(*made->topic());
        return made;
    }
    void message(const std::string& channel, const std::string& payload) {
        Topic* const topic = topics.find(TargetKind::channel, "ws:" + channel);
        if (topic) fanout.message(*topic, "ws:" + channel, payload, 0, nullptr);
    }
    static std::string said(const Drained& drained) {
        std::string text;
        for (const Event& event : drained.events)
            text += event.kind == EventKind::message ? "m" + std::string(event.message->payload()) + " "
                                                     : std::to_string(static_cast<int>(event.kind)) + " ";
        return text;
    }
    ~FanoutTest() override {
        fanout.remove_all({Status::CLOSED, "closed"});
        for (const auto& inbox : inboxes) inbox->close();
    }

    std::vector<std::shared_ptr<Inbox>> inboxes;
    std::map<const Inbox*, OutletRef> outlets;
    const std::shared_ptr<EngineShare> share = std::make_shared<EngineShare>();
    Topics topics;
    Fanout fanout{topics, share->metrics, 3};
};

// What one link refused the next one may allow: a subscription that comes in between waits for it.
TEST_F(FanoutTest, ThatANameIsRefusedEndsWithItsLink) {
    const auto inbox = make_inbox();
    const auto add = [&] {
        auto made = SubscriptionRef::adopt(
            new Subscription(Topic::make(TargetKind::channel, "ws:a", 3), outlet_of(inbox), nullptr));
        fanout.add(made);
        return made;
    };
    const auto first = add();
    fanout.failed(*first->topic(), {Status::NO_PERMISSION, "NOPERM"});
    const auto second = add();
    EXPECT_EQ(second->state(), SubscriptionState::failed);
    EXPECT_EQ(second->why().status, Status::NO_PERMISSION);
    EXPECT_EQ(share->metrics.subscriptions_refused.get(), 1u);
    lose_all(fanout, topics, {Status::CONNECTION_LOST, "lost"});
    EXPECT_EQ(share->metrics.subscriptions_refused.get(), 0u);
    const auto third = add();
    EXPECT_EQ(third->state(), SubscriptionState::pending);
    fanout.commit();
    EXPECT_EQ(said(Drained(*inbox)), "6 6 ");
}

// What begins like a frame is a request, something that a user's payload is in, or simply the payload.
TEST_F(FanoutTest, TakesTheHeadOffARequest) {
    const auto inbox = make_inbox();
    const auto exact = subscribe("a", inbox), pattern = subscribe("*", inbox, TargetKind::pattern);
    const frame::Address address{{9}, 7, 3};
    const std::string user("\0fwr\1\1 no frame", 15), too_far = frame::request({{}, 1, 100}, "x"),
                                                      reply = frame::reply(1, "x");
    struct Case {
        std::string wire, payload;
        bool request;
    };
    for (const Case& one : {Case{frame::request(address, "q"), "q", true}, Case{frame::request(address, ""), "", true},
                            Case{frame::request(address, user), user, true}, Case{frame::plain(user), user, false},
                            Case{frame::plain(frame::plain("x")), frame::plain("x"), false}, Case{user, user, false},
                            Case{too_far, too_far, false}, Case{reply, reply, false}}) {
        // As Redis has it: a payload for each, copied or lying in what was received.
        Topic* const a = topics.find(TargetKind::channel, "ws:a");
        Topic* const all = topics.find(TargetKind::pattern, "ws:*");
        fanout.message(*a, "ws:a", one.wire, 0, nullptr);
        MessageRef storage = Message::make_space(one.wire.size() + 10);
        std::memcpy(storage->space() + 9, one.wire.data(), one.wire.size());
        storage->space()[9 + one.wire.size()] = '\0';
        fanout.message(*all, "ws:a", storage->payload().substr(9, one.wire.size()), 0, &storage);
        // As memory:// has it: what was made of it first is shared.
        MessageRef shared;
        fanout.message(*a, "ws:a", one.wire, 0, &shared);
        fanout.message(*all, "ws:a", shared->payload(), 0, &shared);
        fanout.commit();
        Drained drained(*inbox);
        int messages = 0;
        for (const Event& event : drained.events) {
            if (event.kind != EventKind::message) continue;
            ++messages;
            EXPECT_EQ(event.message->payload(), one.payload);
            EXPECT_EQ(event.message->payload().data()[one.payload.size()], '\0');
            EXPECT_EQ(event.message->is_request(), one.request);
            EXPECT_EQ(event.message->channel(), "a");
            EXPECT_TRUE(event.message->has_tag());
            if (one.request) {
                EXPECT_EQ(frame::address_of(event.message->head(frame::request_size)).number, 7u);
            }
        }
        EXPECT_EQ(messages, 4);
    }
}

TEST_F(FanoutTest, WhatAllHaveReleasedIsUsedAgain) {
    const auto one = make_inbox(), two = make_inbox();
    const auto a = subscribe("a", one), b = subscribe("a", two), c = subscribe("a", two);
    message("a", "1");
    fanout.commit();
    EXPECT_EQ(said(Drained(*one)), "2 m1 ");
    EXPECT_EQ(fanout.pool().kept(), 0u) << "others still have it";
    EXPECT_EQ(said(Drained(*two)), "2 2 m1 m1 ");
    EXPECT_GT(fanout.pool().kept(), 0u);
}

TEST_F(FanoutTest, KeepsTheOrderOfMessagesAndEverythingElse) {
    const auto inbox = make_inbox();
    const auto a = subscribe("a", inbox);
    ASSERT_TRUE(inbox->reserve_outcome());
    message("a", "1");
    message("a", "2");
    const Settled settled[] = {{nullptr, 1}};
    fanout.settle(inbox, settled, {});
    message("a", "3");
    fanout.queue_event(inbox, Event::of(EventKind::connected));
    message("a", "4");
    lose_all(fanout, topics, {Status::CONNECTION_LOST, "lost"});
    fanout.active(*a->topic());
    message("a", "5");
    fanout.remove(*a, {Status::UNSUBSCRIBED, "unsubscribed"});
    fanout.commit();
    EXPECT_EQ(said(Drained(*inbox)), "2 m1 m2 8 m3 9 m4 3 5 4 m5 7 ");
}

TEST_F(FanoutTest, WakesAtTheEndOfATurnAndOnce) {
    const auto inbox = make_inbox();
    const auto a = subscribe("a", inbox);
    fanout.commit();
    Drained{*inbox};
    int wakes = 0;
    inbox->set_wake([&] { ++wakes; });
    for (int i = 0; i < 1000; ++i) message("a", "x");
    EXPECT_EQ(wakes, 0);
    fanout.commit();
    EXPECT_EQ(wakes, 1);
    EXPECT_EQ(Drained(*inbox).events.size(), 1000u);
    inbox->set_wake(nullptr);
}

// Many inboxes, in any order.
TEST_F(FanoutTest, GivesEachInboxItsOwnInOrder) {
    std::vector<SubscriptionRef> subscriptions;
    std::vector<std::vector<std::string>> expected(50), seen(50);
    for (std::size_t i = 0; i < 50; ++i) {
        make_inbox();
        subscriptions.push_back(subscribe(std::to_string(i), inboxes[i]));
        subscriptions.push_back(subscribe("all", inboxes[i]));
    }
    std::mt19937 random(3);
    for (int i = 0; i < 5000; ++i) {
        const std::string payload = std::to_string(i);
        if (const std::size_t which = random() % 60; which < 50) {
            message(std::to_string(which), payload);
            expected[which].push_back(payload);
        } else {
            message("all", payload);
            for (auto& all : expected) all.push_back(payload);
        }
        if (random() % 500 == 0) fanout.commit();
    }
    fanout.commit();
    for (std::size_t i = 0; i < 50; ++i) {
        const Drained drained(*inboxes[i]);
        for (const Event& event : drained.events)
            if (event.kind == EventKind::message) seen[i].emplace_back(event.message->payload());
    }
    EXPECT_EQ(seen, expected);
}

TEST_F(FanoutTest, CountsWhatOverflowsInABlock) {
    const auto inbox = make_inbox(100);
    const auto a = subscribe("a", inbox);
    for (int i = 0; i < 1000; ++i) message("a", std::to_string(i));
    fanout.commit();
    const Drained drained(*inbox);
    std::uint64_t messages = 0, missing = 0;
    for (const Event& event : drained.events) {
        messages += event.kind == EventKind::message ? 1 : 0;
        missing += event.kind == EventKind::gap ? event.count : 0;
    }
    EXPECT_EQ(messages, 100u);
    EXPECT_EQ(missing, 900u);
    EXPECT_EQ(share->metrics.delivered.get(), 100u);
    EXPECT_EQ(share->metrics.dropped.get(), 900u);
    EXPECT_EQ(inbox->stats().queued_bytes, 0u);
}

TEST_F(FanoutTest, ALostLinkIsToldToEachBehindItsMessages) {
    constexpr std::size_t channels = 1000;
    const std::array three{make_inbox(), make_inbox(), make_inbox()};
    std::vector<SubscriptionRef> all;
    for (std::size_t i = 0; i < channels; ++i) {
        const std::string name = "channel" + std::to_string(i);
        auto made = SubscriptionRef::adopt(new Subscription(Topic::make(TargetKind::channel, "ws:" + name, 3),
                                                            outlet_of(three[i % 7 % 3]), reinterpret_cast<void*>(i)));
        fanout.add(made);
        if (i % 10 != 0) fanout.active(*made->topic());  // who is not subscribed yet has nothing to lose
        all.push_back(std::move(made));
    }
    for (std::size_t i = 0; i < channels; ++i) message("channel" + std::to_string(i), std::to_string(i));
    lose_all(fanout, topics, {Status::CONNECTION_LOST, "why"});
    fanout.commit();
    std::vector<std::string> seen(channels);
    for (const auto& inbox : three) {
        const Drained drained(*inbox);
        for (std::size_t i = 0; i < drained.events.size(); ++i) {
            const Event& event = drained.events[i];
            const auto index = reinterpret_cast<std::size_t>(event.user_data);
            EXPECT_EQ(all[index]->inbox(), inbox);
            if (event.kind == EventKind::lost) {
                EXPECT_EQ(event.status, Status::CONNECTION_LOST);
                EXPECT_EQ(event.message->payload(), "why");
            }
            seen[index] += event.kind == EventKind::active    ? 'a'
                           : event.kind == EventKind::message ? 'm'
                           : event.kind == EventKind::lost    ? 'l'
                                                              : '?';
        }
    }
    for (std::size_t i = 0; i < channels; ++i) {
        EXPECT_EQ(seen[i], i % 10 != 0 ? "aml" : "") << i;
        EXPECT_EQ(all[i]->state(), i % 10 != 0 ? SubscriptionState::lost : SubscriptionState::pending);
    }
}

// Two servers may be away at the same time, each for its own reason, while a third goes on.
TEST_F(FanoutTest, ALossConcernsItsTopicsAndNoOther) {
    const auto inbox = make_inbox();
    const auto a = subscribe("a", inbox), b = subscribe("b", inbox), c = subscribe("c", inbox);
    const auto reasons_of = [&](const SubscriptionRef& one) {
        fanout.commit();
        std::string text;
        const Drained drained(*inbox);
        for (std::size_t i = 0; i < drained.events.size(); ++i)
            if (drained.events[i].kind == EventKind::gap && drained.owners[i] == one.get())
                text += std::to_string(static_cast<int>(drained.events[i].reason)) + " ";
        return text;
    };
    const auto lose = [&](const SubscriptionRef& one, GapReason reason) {
        Topic* const topics_lost[] = {one->topic().get()};
        fanout.lost(topics_lost, {Status::CONNECTION_LOST, "lost"}, reason);
    };
    const std::string overflow = std::to_string(static_cast<int>(GapReason::overflow)) + " ",
                      output_buffer = std::to_string(static_cast<int>(GapReason::output_buffer)) + " ",
                      reconnect = std::to_string(static_cast<int>(GapReason::reconnect)) + " ";
    lose(a, GapReason::overflow);
    lose(b, GapReason::reconnect);
    EXPECT_EQ(a->state(), SubscriptionState::lost);
    EXPECT_EQ(b->state(), SubscriptionState::lost);
    EXPECT_EQ(c->state(), SubscriptionState::active);
    lose(a, GapReason::reconnect);  // it has nothing more to lose, and keeps its reason
    fanout.active(*b->topic(), GapReason::output_buffer);
    EXPECT_EQ(reasons_of(b), output_buffer) << "learned later";
    fanout.active(*a->topic(), GapReason::output_buffer);
    EXPECT_EQ(reasons_of(a), overflow) << "what was known is not replaced by what another break was due to";
    lose(b, GapReason::reconnect);
    fanout.active(*b->topic());
    EXPECT_EQ(reasons_of(b), reconnect) << "each loss has its own";
    fanout.failed(*a->topic(), {Status::NO_PERMISSION, "no"});
    fanout.active(*a->topic());
    EXPECT_EQ(reasons_of(a), reconnect);
    message("c", "1");
    fanout.commit();
    EXPECT_EQ(said(Drained(*inbox)), "m1 ");
}

TEST_F(FanoutTest, AMessageByAPatternHasBothNamesWithoutTheNamespace) {
    const auto inbox = make_inbox();
    const auto all = subscribe("a*", inbox, TargetKind::pattern);
    fanout.message(*all->topic(), "ws:abc", "x", 0, nullptr);
    fanout.commit();
    const Drained drained(*inbox);
    ASSERT_EQ(drained.events.size(), 2u);
    EXPECT_EQ(drained.events[1].message->channel(), "abc");
    EXPECT_EQ(drained.events[1].message->pattern(), "a*");
}

}  // namespace
}  // namespace fanwire::core
