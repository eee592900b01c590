#include "support.h"

namespace capi_test {
namespace {

TEST(Engine, OpensWithSettingsFromTheEnvironment) {
    setenv("FANWIRE_URL", memory_url.c_str(), 1);
    Engine engine;
    const int status = fanwire_engine_open(engine.out(), nullptr);
    unsetenv("FANWIRE_URL");
    ASSERT_STATUS(FANWIRE_OK, status);
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));
}

TEST(Engine, EverythingAfterCloseSaysClosed) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms)) << "a second close does nothing";
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, 0));

    fanwire_subscription* made = nullptr;
    std::uint64_t receivers = 7;
    EXPECT_STATUS(FANWIRE_CLOSED, publish(engine, "a", "b"));
    EXPECT_STATUS(FANWIRE_CLOSED, publish_async(engine, "a", "b", inbox));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_publish_wait(engine, "a", 1, "b", 1, deadline_ms, &receivers));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_subscribe(&made, engine, "a", 1, inbox, nullptr));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_psubscribe(&made, engine, "a", 1, inbox, nullptr));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_engine_wait_connected(engine, deadline_ms));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_unsubscribe(subscription));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_subscription_wait_active(subscription, deadline_ms));
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ENDED, state_of(subscription));
    EXPECT_EQ(7u, receivers);
    EXPECT_EQ(nullptr, made);

    const Seen last = inbox.next(FANWIRE_EVENT_ENDED);
    EXPECT_EQ(FANWIRE_CLOSED, last.status);
    EXPECT_EQ(0u, inbox.drain().size());
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(0u, stats.connected);
    EXPECT_EQ(0u, stats.subscriptions);
}

TEST(Engine, CloseReportsEveryOutcomeFirst) {
    Engine engine = open_engine();
    Inbox inbox, outcomes;
    Subscription subscription = subscribe(engine, "a", inbox);
    for (int i = 0; i < 500; ++i) ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", std::to_string(i), outcomes));
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    const std::vector<Seen> outcome = outcomes.drain();
    ASSERT_EQ(500u, outcome.size());
    for (const Seen& event : outcome) {
        EXPECT_EQ(FANWIRE_EVENT_PUBLISHED, event.kind);
        EXPECT_EQ(FANWIRE_OK, event.status);
        EXPECT_EQ(1u, event.count);
    }
    const std::vector<Seen> messages = inbox.drain();
    ASSERT_EQ(501u, messages.size()) << "what was delivered before stays in the inbox";
    EXPECT_EQ("499", messages[499].payload);
    EXPECT_EQ(FANWIRE_EVENT_ENDED, messages[500].kind);
}

TEST(Engine, CloseWithAZeroTimeoutLosesNoOutcome) {
    Engine engine = open_engine();
    Inbox outcomes;
    std::size_t accepted = 0;
    for (int i = 0; i < 500; ++i) accepted += publish_async(engine, "a", "b", outcomes) == FANWIRE_OK;
    const int status = fanwire_engine_close(engine, 0);
    EXPECT_TRUE(status == FANWIRE_OK || status == FANWIRE_TIMEOUT) << fanwire_status_name(status);
    EXPECT_EQ(accepted, outcomes.drain().size());
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(accepted, stats.publish_ok + stats.publish_failed + stats.publish_unknown);
    EXPECT_EQ(0u, stats.publish_queued);
}

TEST(Engine, CloseFromManyThreadsAtOnce) {
    Engine engine = open_engine();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] { EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms)); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_STATUS(FANWIRE_CLOSED, publish(engine, "a", "b"));
}

TEST(Engine, WaitersAreWokenByClose) {
    Options options{{"url", "redis://192.0.2.1"}, {"connect_timeout_ms", "60000"}};  // an address that never answers
    Engine engine;
    Inbox inbox;
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    std::atomic<int> waiting{0};
    std::thread active([&] {
        ++waiting;
        const int status = fanwire_subscription_wait_active(subscription, FANWIRE_FOREVER);
        EXPECT_TRUE(status == FANWIRE_CLOSED) << fanwire_status_name(status);
    });
    std::thread outcome([&] {
        ++waiting;
        const int status = fanwire_publish_wait(engine, "a", 1, "b", 1, FANWIRE_FOREVER, nullptr);
        EXPECT_NE(FANWIRE_OK, status);
    });
    ASSERT_TRUE(until([&] { return waiting == 2; }));
    const int status = fanwire_engine_close(engine, 0);
    EXPECT_TRUE(status == FANWIRE_OK || status == FANWIRE_TIMEOUT) << fanwire_status_name(status);
    active.join();
    outcome.join();
}

TEST(Engine, EventsGoToItsInbox) {
    Inbox inbox;
    int tag = 0;
    Options options{{"url", memory_url}};
    ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, inbox, &tag));
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    const Seen connected = inbox.next(FANWIRE_EVENT_CONNECTED);
    EXPECT_EQ(&tag, connected.user_data);
    EXPECT_EQ(FANWIRE_OK, connected.status);
    EXPECT_EQ(1u, stats_of(engine).connects);
}

TEST(Engine, StatsAddUp) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription one = subscribe(engine, "a", inbox), two = psubscribe(engine, "*", inbox);
    for (int i = 0; i < 10; ++i) publish_wait(engine, "a", "payload");
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 20; }));
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(1u, stats.connected);
    EXPECT_EQ(1u, stats.connects);
    EXPECT_EQ(0u, stats.disconnects + stats.connect_errors + stats.dropped + stats.gaps);
    EXPECT_EQ(10u, stats.published);
    EXPECT_EQ(10u, stats.publish_ok);
    EXPECT_EQ(0u, stats.publish_failed + stats.publish_unknown + stats.publish_queued);
    EXPECT_EQ(20u, stats.received) << "as Redis would send them: by channel and by pattern";
    EXPECT_EQ(20u, stats.delivered);
    EXPECT_EQ(2u, stats.subscriptions);
    EXPECT_EQ(2u, stats.subscriptions_desired);
    EXPECT_EQ(2u, stats.subscriptions_confirmed);
}

// Functions that wait, called where waiting would be for ever.
struct FromTheIoThread {
    std::atomic<fanwire_engine*> engine{nullptr};
    std::atomic<int> wait_connected{-1}, close{-1}, publish_wait{-1};

    void call() {
        fanwire_engine* opened = engine;
        if (opened == nullptr) return;
        wait_connected = fanwire_engine_wait_connected(opened, 0);
        publish_wait = fanwire_publish_wait(opened, "a", 1, "b", 1, 0, nullptr);
        close = fanwire_engine_close(opened, 0);
    }
};

TEST(Engine, WaitingIsRefusedInAWakeFunction) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    FromTheIoThread calls;
    calls.engine = engine;
    ASSERT_STATUS(FANWIRE_OK,
                  fanwire_inbox_set_wake(
                      inbox, [](void* user_data) { static_cast<FromTheIoThread*>(user_data)->call(); }, &calls));
    EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "b"));
    ASSERT_TRUE(until([&] { return calls.close != -1; }));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, nullptr, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, calls.wait_connected.load());
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, calls.publish_wait.load());
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, calls.close.load());
    EXPECT_EQ(1u, publish_wait(engine, "a", "still open"));
}

}  // namespace
}  // namespace capi_test
