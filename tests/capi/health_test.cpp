// Health, statistics and latencies as their readers see them, and credentials where there is nobody to log in to.
#include "support.h"

namespace capi_test {
namespace {

fanwire_health health_of(fanwire_engine* engine) {
    fanwire_health health{};
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_health(engine, &health, sizeof health));
    return health;
}

fanwire_latency latency_of(fanwire_engine* engine, int kind) {
    fanwire_latency latency{};
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_latency(engine, kind, &latency, sizeof latency));
    return latency;
}

std::string metrics_of(fanwire_engine* engine, int format) {
    std::size_t size = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_metrics(engine, format, nullptr, &size));
    std::string text(size + 1000, 'x');
    size = text.size();
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_metrics(engine, format, text.data(), &size));
    EXPECT_EQ('\0', text.at(size - 1));
    text.resize(size - 1);
    return text;
}

TEST(Health, OfAnEngineInMemory) {
    Engine engine = open_engine();
    const fanwire_health health = health_of(engine);
    EXPECT_EQ(FANWIRE_HEALTH_OK, health.verdict);
    EXPECT_EQ(FANWIRE_OK, health.status);
    EXPECT_EQ(1, health.publish_link);
    EXPECT_EQ(1, health.subscribe_link);
    EXPECT_EQ(FANWIRE_COUNT_UNKNOWN, health.probe_age_ms);
    EXPECT_STREQ("connected, everything confirmed", health.text);

    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, 0));
    const fanwire_health after = health_of(engine);
    EXPECT_EQ(FANWIRE_HEALTH_DOWN, after.verdict);
    EXPECT_EQ(FANWIRE_CLOSED, after.status);
    EXPECT_EQ(0, after.publish_link);
    EXPECT_STREQ("the engine is closed", after.text);
}

// Keeps the thread that calls it until it is let go.
struct Held {
    std::atomic<bool> called{false}, go{false};

    static void wake(void* user_data) {
        auto& held = *static_cast<Held*>(user_data);
        held.called = true;
        held.go.wait(false);
    }
    void let_go() {
        go = true;
        go.notify_all();
    }
};

TEST(Health, KnowsOfASubscriptionThatTheIoThreadHasNotSeen) {
    Held held;
    Inbox waking, inbox;
    Engine engine = open_engine();
    Subscription first, second;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(first.out(), engine, "a", 1, waking, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(first, deadline_ms));
    waking.drain();
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(waking, Held::wake, &held));
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "a", 1, "x", 1));
    ASSERT_TRUE(until([&] { return held.called.load(); }));  // the IO thread is in there

    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(second.out(), engine, "b", 1, inbox, nullptr));
    const fanwire_health health = health_of(engine);
    held.let_go();
    EXPECT_EQ(FANWIRE_HEALTH_DEGRADED, health.verdict) << health.text;
    EXPECT_EQ(FANWIRE_TIMEOUT, health.status);
    EXPECT_EQ(1u, health.unconfirmed);
    EXPECT_TRUE(until([&] { return health_of(engine).verdict == FANWIRE_HEALTH_OK; }));
}

TEST(Health, SaysWhyAServerIsNotReached) {
    Options options({{"url", "unix:///nonexistent/fanwire.sock"}, {"max_reconnect_attempts", "1"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    EXPECT_STATUS(FANWIRE_CONNECT_FAILED, fanwire_engine_wait_connected(engine, deadline_ms));
    const fanwire_health health = health_of(engine);
    EXPECT_EQ(FANWIRE_HEALTH_DOWN, health.verdict);
    EXPECT_EQ(FANWIRE_CONNECT_FAILED, health.status);
    EXPECT_NE(std::string(health.text).find("/nonexistent/fanwire.sock"), std::string::npos) << health.text;
    EXPECT_EQ(FANWIRE_COUNT_UNKNOWN, health.silence_ms);
}

TEST(Health, BadArguments) {
    Engine engine = open_engine();
    fanwire_health health{};
    fanwire_latency latency{};
    std::size_t size = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_health(nullptr, &health, sizeof health));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_health(engine, nullptr, sizeof health));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_health(engine, &health, sizeof health - 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_latency(engine, 0, &latency, sizeof latency));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_latency(engine, 3, &latency, sizeof latency));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT,
                  fanwire_engine_latency(engine, FANWIRE_LATENCY_PUBLISH, nullptr, sizeof latency));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_metrics(engine, 0, nullptr, &size));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_metrics(engine, FANWIRE_METRICS_JSON, nullptr, nullptr));
    char small[8];
    size = sizeof small;
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_engine_metrics(engine, FANWIRE_METRICS_JSON, small, &size));
    EXPECT_GT(size, sizeof small);
}

TEST(Metrics, LatenciesAndCountersAgree) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "c", inbox);
    for (int i = 0; i < 10; ++i) publish_wait(engine, "c", "x");
    for (int i = 0; i < 10; ++i) inbox.next(FANWIRE_EVENT_MESSAGE);
    for (const int kind : {FANWIRE_LATENCY_PUBLISH, FANWIRE_LATENCY_DELIVERY}) {
        const fanwire_latency latency = latency_of(engine, kind);
        EXPECT_EQ(10u, latency.count);
        std::uint64_t sum = 0;
        for (const std::uint64_t bucket : latency.buckets) sum += bucket;
        EXPECT_EQ(10u, sum);
        EXPECT_GE(latency.sum_us, latency.max_us);
    }
    const std::string prometheus = metrics_of(engine, FANWIRE_METRICS_PROMETHEUS);
    EXPECT_NE(prometheus.find("fanwire_published_total{client=\"fanwire\",namespace=\"ws\"} 10\n"), std::string::npos)
        << prometheus;
    EXPECT_NE(metrics_of(engine, FANWIRE_METRICS_JSON).find("\"publish_ok\":10,"), std::string::npos);
}

TEST(Metrics, RejectedPublishesAreCounted) {
    Options options({{"url", "unix:///nonexistent/fanwire.sock"}, {"offline_count", "1"}, {"publish_timeout_ms", "1"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    Inbox inbox;
    int first = 0;
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "c", "x", inbox, &first));
    while (publish(engine, "c", "y") != FANWIRE_QUEUE_FULL) inbox.drain();  // the first may have timed out by then
    // What has an outcome is counted as unsent for a moment longer.
    EXPECT_TRUE(until([&] { return stats_of(engine).publish_queued == 0 && stats_of(engine).publish_unsent == 0; }));
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(1u, stats.publish_rejected);
    EXPECT_GE(stats.publish_timeouts, 1u);
    EXPECT_EQ(stats.publish_failed, stats.publish_timeouts);
    EXPECT_EQ(0u, stats.publish_unsent);
    EXPECT_EQ(0u, stats.publish_unsent_bytes);
}

TEST(Credentials, AreCheckedLikeTheSettings) {
    Engine engine = open_engine();
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "me", "secret"));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, nullptr, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_OPTION,
                  fanwire_engine_set_credentials(engine, std::string(513, 'u').c_str(), "hunter2"));
    EXPECT_EQ(std::string(fanwire_last_error()).find("hunter2"), std::string::npos);
    EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_engine_set_credentials(engine, "me", std::string(4097, 'p').c_str()));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_engine_set_credentials(nullptr, "me", "secret"));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, 0));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_engine_set_credentials(engine, "me", "secret"));
}

TEST(Names, FanwiresOwnAreReserved) {
    Engine engine = open_engine({{"namespace", ""}});
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, publish(engine, "__fanwire:probe:1", "x"));
    Inbox inbox;
    Subscription subscription;
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL,
                  fanwire_psubscribe(subscription.out(), engine, "__fanwire:*", 11, inbox, nullptr));
    Engine other = open_engine();
    EXPECT_STATUS(FANWIRE_OK, publish(other, "__fanwire:probe:1", "x"));  // within a namespace it is a name like others
}

}  // namespace
}  // namespace capi_test
