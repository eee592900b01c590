#include "support.h"

namespace capi_test {
namespace {

TEST(Subscribe, ChannelEmptyOrTooLong) {
    Engine engine = open_engine();
    Inbox inbox;
    for (auto call : {fanwire_subscribe, fanwire_psubscribe}) {
        fanwire_subscription* made = nullptr;
        const std::string long_name(1025, 'c');
        EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, call(&made, engine, "", 0, inbox, nullptr));
        EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, call(&made, engine, nullptr, 0, inbox, nullptr));
        EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, call(&made, engine, long_name.data(), 1025, inbox, nullptr));
        EXPECT_EQ(nullptr, made);
    }
    EXPECT_EQ(0u, stats_of(engine).subscriptions);
}

TEST(Subscribe, StatesAndWaitActive) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, FANWIRE_FOREVER));
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ACTIVE, state_of(subscription));
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(1u, stats.subscriptions);
    EXPECT_EQ(1u, stats.subscriptions_desired);
    EXPECT_EQ(1u, stats.subscriptions_confirmed);
    inbox.next(FANWIRE_EVENT_ACTIVE);
    ASSERT_STATUS(FANWIRE_OK, fanwire_unsubscribe(subscription));
    EXPECT_EQ(FANWIRE_UNSUBSCRIBED, inbox.next(FANWIRE_EVENT_ENDED).status);
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ENDED, state_of(subscription));
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_subscription_wait_active(subscription, deadline_ms));
    EXPECT_EQ(0u, stats_of(engine).subscriptions);
}

TEST(Subscribe, UnsubscribeTwice) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    EXPECT_STATUS(FANWIRE_OK, fanwire_unsubscribe(subscription));
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_unsubscribe(subscription));
    EXPECT_NE('\0', fanwire_last_error()[0]);
    inbox.next(FANWIRE_EVENT_ENDED);
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_unsubscribe(subscription)) << "also when the end was drained";
    EXPECT_EQ(0u, inbox.drain().size()) << "one ENDED";
}

TEST(Subscribe, QueuedMessagesAreGoneAfterUnsubscribe) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    for (int i = 0; i < 5; ++i) publish_wait(engine, "a", "never seen");
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 5; }));
    ASSERT_STATUS(FANWIRE_OK, fanwire_unsubscribe(subscription));
    inbox.next(FANWIRE_EVENT_ENDED);
    EXPECT_EQ(0u, inbox.drain().size());
}

TEST(Subscribe, DestroyUnsubscribes) {
    Engine engine = open_engine();
    Inbox inbox;
    int tag = 0;
    { Subscription subscription = subscribe(engine, "a", inbox, &tag); }
    const Seen last = inbox.next(FANWIRE_EVENT_ENDED);
    EXPECT_EQ(FANWIRE_UNSUBSCRIBED, last.status);
    EXPECT_EQ(&tag, last.user_data);
    EXPECT_EQ(0u, stats_of(engine).subscriptions);
}

TEST(Subscribe, SameChannelTwiceIsIndependent) {
    Engine engine = open_engine();
    Inbox inbox;
    int one = 0, two = 0;
    Subscription first = subscribe(engine, "a", inbox, &one), second = subscribe(engine, "a", inbox, &two);
    EXPECT_EQ(1u, stats_of(engine).subscriptions_desired);
    publish_wait(engine, "a", "both");
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 2; }));
    EXPECT_NE(inbox.next(FANWIRE_EVENT_MESSAGE).user_data, inbox.next(FANWIRE_EVENT_MESSAGE).user_data);
    ASSERT_STATUS(FANWIRE_OK, fanwire_unsubscribe(first));
    inbox.next(FANWIRE_EVENT_ENDED);
    EXPECT_EQ(1u, publish_wait(engine, "a", "one"));
    EXPECT_EQ(&two, inbox.next(FANWIRE_EVENT_MESSAGE).user_data);
}

TEST(Subscribe, OverlappingPatternsDeliverOnceEach) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription exact = subscribe(engine, "room:1", inbox), one = psubscribe(engine, "room:*", inbox),
                 two = psubscribe(engine, "*:[0-9]", inbox), other = psubscribe(engine, "room:[^1]", inbox);
    EXPECT_EQ(3u, publish_wait(engine, "room:1", "x"));
    ASSERT_TRUE(until([&] { return inbox.stats().queued >= 3; }));
    std::vector<std::string> by;
    for (const Seen& event : inbox.drain()) {
        EXPECT_EQ(FANWIRE_EVENT_MESSAGE, event.kind);
        EXPECT_EQ("room:1", event.channel);
        by.push_back(event.pattern.value_or("exact"));
    }
    std::sort(by.begin(), by.end());
    EXPECT_EQ((std::vector<std::string>{"*:[0-9]", "exact", "room:*"}), by);
}

TEST(Subscribe, PatternsEscapeTheNamespaceAndNotThemselves) {
    // Not escaped, this namespace would not even match itself.
    Engine engine = open_engine({{"namespace", "a*[b]\\?"}});
    Inbox inbox;
    Subscription pattern = psubscribe(engine, "x?", inbox), literal = psubscribe(engine, "y\\*", inbox);
    EXPECT_EQ(1u, publish_wait(engine, "x1", "a glob"));
    const Seen message = inbox.next(FANWIRE_EVENT_MESSAGE);
    EXPECT_EQ("x1", message.channel) << "without the namespace";
    EXPECT_EQ("x?", message.pattern);
    EXPECT_EQ(1u, publish_wait(engine, "y*", "escaped"));
    EXPECT_EQ(0u, publish_wait(engine, "yz", "no match"));
    EXPECT_EQ("y\\*", inbox.next(FANWIRE_EVENT_MESSAGE).pattern);
}

TEST(Subscribe, LimitOfSubscriptions) {
    Engine engine = open_engine({{"max_subscriptions", "2"}});
    Inbox inbox;
    Subscription one = subscribe(engine, "a", inbox), two = psubscribe(engine, "b*", inbox);
    fanwire_subscription* made = nullptr;
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_subscribe(&made, engine, "c", 1, inbox, nullptr));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "max_subscriptions")) << fanwire_last_error();
    EXPECT_EQ(nullptr, made);
    ASSERT_STATUS(FANWIRE_OK, fanwire_unsubscribe(one));
    inbox.next(FANWIRE_EVENT_ENDED);
    Subscription three = subscribe(engine, "c", inbox);
}

// Also while the IO thread has not come to it.
TEST(Subscribe, WhatWasUnsubscribedHasEndedAtOnce) {
    Engine engine = open_engine();
    Inbox inbox, blocked;
    Subscription one = subscribe(engine, "a", inbox);
    struct Gate {
        std::atomic<bool> reached{false}, open{false};
    } gate;
    const auto hold = [](void* user_data) {
        auto& held = *static_cast<Gate*>(user_data);
        held.reached = true;
        while (!held.open) std::this_thread::yield();
    };
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(blocked, hold, &gate));
    Subscription two = [&] {
        Subscription made;
        EXPECT_STATUS(FANWIRE_OK, fanwire_subscribe(made.out(), engine, "b", 1, blocked, nullptr));
        return made;
    }();
    EXPECT_TRUE(until([&] { return gate.reached.load(); }));
    EXPECT_STATUS(FANWIRE_OK, fanwire_unsubscribe(one));
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ENDED, state_of(one));
    gate.open = true;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(blocked, nullptr, nullptr));
    EXPECT_EQ(FANWIRE_EVENT_ENDED, inbox.next(FANWIRE_EVENT_ENDED).kind);
}

TEST(Subscribe, WithArguments) {
    Engine engine = open_engine();
    Inbox inbox;
    int tag = 0;
    fanwire_subscribe_args args{};
    args.name = "n*";
    args.name_size = 2;
    args.inbox = inbox;
    args.user_data = &tag;
    Subscription channel, pattern, none;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe_with(channel.out(), engine, &args, sizeof args));
    args.kind = FANWIRE_SUBSCRIPTION_PATTERN;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe_with(pattern.out(), engine, &args, sizeof args));
    for (const Subscription* each : {&channel, &pattern})
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(*each, deadline_ms));
    for (int i = 0; i < 2; ++i) inbox.next(FANWIRE_EVENT_ACTIVE);
    EXPECT_EQ(1u, publish_wait(engine, "news", "by the pattern"));
    const Seen message = inbox.next(FANWIRE_EVENT_MESSAGE);
    EXPECT_EQ("by the pattern", message.payload);
    EXPECT_EQ(&tag, message.user_data);
    EXPECT_EQ(2u, publish_wait(engine, "n*", "by both"));

    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe_with(nullptr, engine, &args, sizeof args));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe_with(none.out(), engine, nullptr, sizeof args));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe_with(none.out(), engine, &args, sizeof args - 1));
    args.kind = 2;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe_with(none.out(), engine, &args, sizeof args));
    EXPECT_NE(std::string(fanwire_last_error()).find("kind"), std::string::npos) << fanwire_last_error();
    args.kind = FANWIRE_SUBSCRIPTION_CHANNEL;
    args.inbox = nullptr;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe_with(none.out(), engine, &args, sizeof args));
    args.inbox = inbox;
    args.name_size = 0;
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, fanwire_subscribe_with(none.out(), engine, &args, sizeof args));
    args.name = nullptr;
    args.name_size = 1;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe_with(none.out(), engine, &args, sizeof args));
    EXPECT_EQ(2u, stats_of(engine).subscriptions) << "nothing was subscribed on the way";
}

TEST(Subscribe, ManyChannels) {
    Engine engine = open_engine();
    Inbox inbox;
    std::vector<Subscription> subscriptions(2000);
    for (std::size_t i = 0; i < subscriptions.size(); ++i) {
        const std::string channel = "channel:" + std::to_string(i);
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscriptions[i].out(), engine, channel.data(), channel.size(),
                                                    inbox, &subscriptions[i]));
    }
    for (Subscription& subscription : subscriptions)
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
    for (std::size_t i = 0; i < subscriptions.size(); ++i) inbox.next(FANWIRE_EVENT_ACTIVE);
    EXPECT_EQ(1u, publish_wait(engine, "channel:1234", "x"));
    EXPECT_EQ(&subscriptions[1234], inbox.next(FANWIRE_EVENT_MESSAGE).user_data);
}

}  // namespace
}  // namespace capi_test
