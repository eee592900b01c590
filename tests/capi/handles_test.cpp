// Misuse of handles: NULL, another type, twice, in any order.
#include "support.h"

namespace capi_test {
namespace {

// Every function that takes a handle, called with the four given and good other arguments.
struct Handles {
    fanwire_options* options;
    fanwire_inbox* inbox;
    fanwire_engine* engine;
    fanwire_subscription* subscription;
};

void nothing(void*) {}
void no_event(void*, const fanwire_event*) {}
void no_log(void*, int, const char*) {}

void expect_all_refuse(const Handles& bad, const Handles& good) {
    constexpr int refused = FANWIRE_INVALID_ARGUMENT;
    char text[16];
    const char* source = nullptr;
    std::size_t size = sizeof text;
    EXPECT_STATUS(refused, fanwire_options_set(bad.options, "port", "1"));
    EXPECT_STATUS(refused, fanwire_options_get(bad.options, "port", text, &size));
    EXPECT_STATUS(refused, fanwire_options_source(bad.options, "port", &source));
    EXPECT_STATUS(refused, fanwire_options_set_log(bad.options, no_log, nullptr));
    EXPECT_STATUS(refused, fanwire_options_set_engine_inbox(bad.options, good.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_options_set_engine_inbox(good.options, bad.inbox, nullptr));

    int number = -7;
    fanwire_event event;
    std::memset(&event, 0, sizeof event);
    fanwire_inbox_stats inbox_stats;
    EXPECT_STATUS(refused, fanwire_inbox_fd(bad.inbox, &number));
    EXPECT_STATUS(refused, fanwire_inbox_set_wake(bad.inbox, nothing, nullptr));
    EXPECT_STATUS(refused, fanwire_inbox_drain(bad.inbox, &event, sizeof event, 1, &size));
    EXPECT_STATUS(refused, fanwire_inbox_wait(bad.inbox, 0));
    EXPECT_STATUS(refused, fanwire_inbox_dispatch(bad.inbox, no_event, nullptr));
    EXPECT_STATUS(refused, fanwire_inbox_stats_get(bad.inbox, &inbox_stats, sizeof inbox_stats));

    std::uint64_t receivers = 7;
    fanwire_engine_stats engine_stats;
    fanwire_subscription* made = nullptr;
    EXPECT_STATUS(refused, fanwire_engine_wait_connected(bad.engine, 0));
    EXPECT_STATUS(refused, fanwire_engine_close(bad.engine, 0));
    EXPECT_STATUS(refused, fanwire_engine_stats_get(bad.engine, &engine_stats, sizeof engine_stats));
    EXPECT_STATUS(refused, fanwire_publish(bad.engine, "a", 1, "b", 1));
    EXPECT_STATUS(refused, fanwire_publish_async(bad.engine, "a", 1, "b", 1, good.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_publish_async(good.engine, "a", 1, "b", 1, bad.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_publish_wait(bad.engine, "a", 1, "b", 1, 0, &receivers));
    EXPECT_STATUS(refused, fanwire_subscribe(&made, bad.engine, "a", 1, good.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_subscribe(&made, good.engine, "a", 1, bad.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_psubscribe(&made, bad.engine, "a", 1, good.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_psubscribe(&made, good.engine, "a", 1, bad.inbox, nullptr));
    EXPECT_STATUS(refused, fanwire_unsubscribe(bad.subscription));
    EXPECT_STATUS(refused, fanwire_subscription_state_get(bad.subscription, &number));
    EXPECT_STATUS(refused, fanwire_subscription_wait_active(bad.subscription, 0));

    EXPECT_EQ(nullptr, made);
    EXPECT_EQ(-7, number) << "outputs stay as they were";
    EXPECT_EQ(7u, receivers);
    EXPECT_EQ(nullptr, source);
}

class Misuse : public testing::Test {
 protected:
    Options options_{{"url", memory_url}};
    Inbox inbox_;
    Engine engine_ = open_engine();
    Subscription subscription_ = subscribe(engine_, "news", inbox_);
    Handles good_{options_, inbox_, engine_, subscription_};
};

TEST_F(Misuse, NullHandles) {
    expect_all_refuse({nullptr, nullptr, nullptr, nullptr}, good_);
    const char* bytes = nullptr;
    std::size_t size = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_message_channel(nullptr, &bytes, &size));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_message_pattern(nullptr, &bytes, &size));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_message_payload(nullptr, &bytes, &size));
    fanwire_message_retain(nullptr);
    fanwire_message_release(nullptr);
}

TEST_F(Misuse, HandlesOfAnotherType) {
    expect_all_refuse({disguised<fanwire_options>(good_.inbox), disguised<fanwire_inbox>(good_.engine),
                       disguised<fanwire_engine>(good_.subscription), disguised<fanwire_subscription>(good_.options)},
                      good_);
    expect_all_refuse({disguised<fanwire_options>(good_.engine), disguised<fanwire_inbox>(good_.subscription),
                       disguised<fanwire_engine>(good_.inbox), disguised<fanwire_subscription>(good_.engine)},
                      good_);
    const char* bytes = nullptr;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT,
                  fanwire_message_channel(disguised<fanwire_message>(good_.engine), &bytes, nullptr));
    EXPECT_EQ(1u, publish_wait(engine_, "news", "all handles still work"));
    EXPECT_EQ("all handles still work", inbox_.next(FANWIRE_EVENT_MESSAGE).payload);
}

TEST_F(Misuse, NullOutputs) {
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_create(nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_create(nullptr, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_open(nullptr, options_));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe(nullptr, engine_, "a", 1, inbox_, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_psubscribe(nullptr, engine_, "a", 1, inbox_, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscription_state_get(subscription_, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_fd(inbox_, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_dispatch(inbox_, nullptr, nullptr));
    fanwire_event event;
    std::size_t count = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_drain(inbox_, nullptr, sizeof event, 1, &count));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_drain(inbox_, &event, sizeof event, 1, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_events_release(nullptr, sizeof event, 1));
    EXPECT_EQ(1u, stats_of(engine_).subscriptions) << "nothing was subscribed on the way";
}

TEST_F(Misuse, NullBytesWithASize) {
    fanwire_subscription* made = nullptr;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish(engine_, nullptr, 4, "b", 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish(engine_, "a", 1, nullptr, 4));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_subscribe(&made, engine_, nullptr, 4, inbox_, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_psubscribe(&made, engine_, nullptr, 4, inbox_, nullptr));
    EXPECT_EQ(nullptr, made);
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish(engine_, "a", 1, nullptr, 0)) << "no bytes need no pointer";
}

TEST_F(Misuse, SizesBelowTheFirstVersion) {
    fanwire_event event;
    std::size_t count = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_drain(inbox_, &event, sizeof event - 1, 1, &count));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_drain(inbox_, &event, 0, 1, &count));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_events_release(&event, sizeof event - 1, 1));
    fanwire_inbox_stats inbox_stats;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_stats_get(inbox_, &inbox_stats, sizeof inbox_stats - 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_stats_get(inbox_, nullptr, sizeof inbox_stats));
    fanwire_engine_stats engine_stats;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_stats_get(engine_, &engine_stats, sizeof engine_stats - 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_stats_get(engine_, nullptr, sizeof engine_stats));
}

TEST_F(Misuse, StructsOfANewerCaller) {
    struct NewerStats {
        fanwire_engine_stats stats;
        std::uint64_t more;
    } engine_stats;
    std::memset(&engine_stats, 0xAA, sizeof engine_stats);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine_, &engine_stats.stats, sizeof engine_stats));
    EXPECT_EQ(1u, engine_stats.stats.connected);
    EXPECT_EQ(0u, engine_stats.more);

    struct NewerEvent {
        fanwire_event event;
        std::uint64_t more[2];
    } events[3];
    std::memset(events, 0xAA, sizeof events);
    for (const char* payload : {"first", "second"}) publish_wait(engine_, "news", payload);
    std::size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox_, &events[0].event, sizeof events[0], 3, &count));
    ASSERT_EQ(2u, count);
    EXPECT_EQ("first", Seen(events[0].event).payload);
    EXPECT_EQ("second", Seen(events[1].event).payload);
    EXPECT_EQ(0u, events[0].more[0] | events[0].more[1] | events[1].more[1]);
    EXPECT_EQ(0xAAu, events[2].more[0] & 0xFF) << "elements beyond count are not touched";
    EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(&events[0].event, sizeof events[0], count));
    EXPECT_EQ(nullptr, events[0].event.message);
    EXPECT_EQ(nullptr, events[1].event.message);
    EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(&events[0].event, sizeof events[0], count)) << "harmless twice";
}

TEST(Destroy, OfNullIsHarmless) {
    fanwire_options_destroy(nullptr);
    fanwire_inbox_destroy(nullptr);
    fanwire_engine_destroy(nullptr);
    fanwire_subscription_destroy(nullptr);
    fanwire_options* options = nullptr;
    fanwire_inbox* inbox = nullptr;
    fanwire_engine* engine = nullptr;
    fanwire_subscription* subscription = nullptr;
    fanwire_options_destroy(&options);
    fanwire_inbox_destroy(&inbox);
    fanwire_engine_destroy(&engine);
    fanwire_subscription_destroy(&subscription);
}

TEST(Destroy, SetsToNull) {
    fanwire_options* options = nullptr;
    fanwire_inbox* inbox = nullptr;
    fanwire_engine* engine = nullptr;
    fanwire_subscription* subscription = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_options_create(&options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", memory_url.c_str()));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_create(&inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(&engine, options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(&subscription, engine, "a", 1, inbox, nullptr));
    fanwire_subscription_destroy(&subscription);
    fanwire_engine_destroy(&engine);
    fanwire_inbox_destroy(&inbox);
    fanwire_options_destroy(&options);
    EXPECT_TRUE(!options && !inbox && !engine && !subscription);
}

// All 24 orders of destroying options, inbox, engine and subscription, each with a message kept to the end.
TEST(Destroy, InAnyOrderWithAMessageRetained) {
    int order[] = {0, 1, 2, 3};
    do {
        Options options{{"url", memory_url}};
        Inbox inbox;
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, inbox, nullptr));
        Engine engine;
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        inbox.next(FANWIRE_EVENT_CONNECTED);
        Subscription subscription = psubscribe(engine, "n*", inbox);
        EXPECT_EQ(1u, publish_wait(engine, "news", "kept"));
        EXPECT_STATUS(FANWIRE_OK, publish(engine, "news", "left in the inbox"));
        fanwire_event event;
        std::size_t count = 0;
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
        ASSERT_EQ(1u, count);

        for (int which : order) {
            if (which == 0) options.reset();
            if (which == 1) inbox.reset();
            if (which == 2) engine.reset();
            if (which == 3) subscription.reset();
            // Those that are left still answer.
            if (subscription) state_of(subscription);
            if (engine) stats_of(engine);
            if (inbox) inbox.stats();
        }
        const char* bytes = nullptr;
        std::size_t size = 0;
        ASSERT_STATUS(FANWIRE_OK, fanwire_message_channel(event.message, &bytes, &size));
        EXPECT_EQ("news", std::string_view(bytes, size));
        ASSERT_STATUS(FANWIRE_OK, fanwire_message_pattern(event.message, &bytes, &size));
        EXPECT_EQ("n*", std::string_view(bytes, size));
        ASSERT_STATUS(FANWIRE_OK, fanwire_message_payload(event.message, &bytes, &size));
        EXPECT_EQ("kept", std::string_view(bytes, size));
        EXPECT_EQ("kept", Seen(event).payload);
        fanwire_message_release(event.message);
    } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST(Destroy, InboxEndsItsSubscriptions) {
    Engine engine = open_engine();
    Subscription subscription;
    {
        Inbox inbox;
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    }
    EXPECT_TRUE(until([&] { return state_of(subscription) == FANWIRE_SUBSCRIPTION_ENDED; }));
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_unsubscribe(subscription));
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_subscription_wait_active(subscription, deadline_ms));
    EXPECT_TRUE(until([&] { return stats_of(engine).subscriptions == 0; }));
    EXPECT_EQ(0u, publish_wait(engine, "a", "to nobody"));
}

TEST(Destroy, EngineEndsItsSubscriptions) {
    Inbox inbox;
    Subscription subscription;
    {
        Engine engine = open_engine();
        subscription.out();
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, &inbox));
        inbox.next(FANWIRE_EVENT_ACTIVE);
    }
    const Seen last = inbox.next(FANWIRE_EVENT_ENDED);
    EXPECT_EQ(FANWIRE_CLOSED, last.status);
    EXPECT_EQ(&inbox, last.user_data);
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ENDED, state_of(subscription));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_unsubscribe(subscription));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_subscription_wait_active(subscription, deadline_ms));
}

}  // namespace
}  // namespace capi_test
