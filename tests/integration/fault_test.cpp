// What breaks: the server goes and comes back, refuses, or never was one.
#include "tests/integration/support.h"

namespace integration_test {
namespace {

TEST(Fault, SubscribersReceiveAgainAfterACrash) {
    RedisServer server;
    Inbox inbox, events;
    Engine engine = open_on(server.url(), {{"max_reconnect_delay_ms", "200"}}, &events);
    EXPECT_EQ(events.next().kind, FANWIRE_EVENT_CONNECTED);
    int exact = 0, pattern = 0;
    Subscription s1 = subscribe(engine, "chat", inbox, &exact), s2 = psubscribe(engine, "c*", inbox, &pattern);

    server.kill();
    for (int i = 0; i < 2; ++i) {
        const Seen lost = inbox.next();
        EXPECT_EQ(lost.kind, FANWIRE_EVENT_LOST);
        EXPECT_EQ(lost.status, FANWIRE_CONNECTION_LOST);
        EXPECT_NE(lost.text, "");
    }
    const Seen disconnected = next_of(events, FANWIRE_EVENT_DISCONNECTED);
    EXPECT_TRUE(disconnected.will_reconnect);
    const Seen retry = next_of(events, FANWIRE_EVENT_RECONNECTING);
    EXPECT_EQ(retry.count, 1u);
    EXPECT_LE(retry.delay_ms, 100u);
    const Seen failed = next_of(events, FANWIRE_EVENT_ERROR);
    EXPECT_EQ(failed.status, FANWIRE_CONNECT_FAILED);
    EXPECT_TRUE(failed.will_reconnect);
    int state = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_state_get(s1, &state));
    EXPECT_EQ(state, FANWIRE_SUBSCRIPTION_LOST);

    // Subscribed while offline: becomes active like any other.
    Inbox late_inbox;
    Subscription late;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(late.out(), engine, "late", 4, late_inbox, nullptr));
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_subscription_wait_active(late, 0));

    server.start();
    EXPECT_EQ(next_of(events, FANWIRE_EVENT_CONNECTED).kind, FANWIRE_EVENT_CONNECTED);
    for (const auto* sub : {&s1, &s2, &late})
        EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(*sub, deadline_ms));
    for (int i = 0; i < 2; ++i) {  // what was published meanwhile is gone, and said to be
        const Seen gap = inbox.next();
        EXPECT_EQ(gap.kind, FANWIRE_EVENT_GAP);
        EXPECT_EQ(gap.reason, FANWIRE_GAP_RECONNECT);
        EXPECT_EQ(gap.count, FANWIRE_COUNT_UNKNOWN);
        const Seen resumed = inbox.next();
        EXPECT_EQ(resumed.kind, FANWIRE_EVENT_RESUMED);
        EXPECT_EQ(resumed.user_data, gap.user_data);
    }
    EXPECT_EQ(late_inbox.next().kind, FANWIRE_EVENT_ACTIVE);
    EXPECT_EQ(publish(engine, "chat", "again"), 2u);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(inbox.next().payload, "again");
    EXPECT_EQ(publish(engine, "late", "too"), 1u);
    EXPECT_EQ(late_inbox.next().payload, "too");
}

TEST(Fault, AfterABreakNobodyIsConnected) {
    RedisServer server;
    Inbox events;
    // The next attempt is half a minute away: what is told is told of the break.
    Engine engine =
        open_on(server.url(), {{"reconnect_delay_ms", "60000"}, {"max_reconnect_delay_ms", "60000"}}, &events);
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, 0));
    server.kill();
    next_of(events, FANWIRE_EVENT_DISCONNECTED);
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_wait_connected(engine, 0));
}

// Both links try again, and the application is told of the attempts as if there was one.
TEST(Fault, EachAttemptIsToldOnce) {
    RedisServer server;
    Inbox events, inbox;
    Engine engine = open_on(server.url(), {{"reconnect_delay_ms", "20"}, {"max_reconnect_delay_ms", "20"}}, &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(events.next().kind, FANWIRE_EVENT_CONNECTED);
    for (int life = 0; life < 2; ++life) {
        SCOPED_TRACE(life);
        // The count starts again with connections that have worked.
        EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(sub, deadline_ms));
        EXPECT_STATUS(FANWIRE_OK, fanwire_publish_wait(engine, "chat", 4, "x", 1, deadline_ms, nullptr));
        server.kill();
        EXPECT_EQ(events.next().kind, FANWIRE_EVENT_DISCONNECTED);
        for (std::uint64_t attempt = 1; attempt <= 5; ++attempt) {
            const Seen again = events.next();
            ASSERT_EQ(again.kind, FANWIRE_EVENT_RECONNECTING);
            EXPECT_EQ(again.count, attempt);
            ASSERT_EQ(events.next().kind, FANWIRE_EVENT_ERROR);
        }
        server.start();
        next_of(events, FANWIRE_EVENT_CONNECTED);
    }
}

TEST(Fault, TheSecondLinkThatBreaksIsNotAnotherAttempt) {
    RedisServer server;
    RawClient admin(server.port());
    Inbox events, inbox;
    Engine engine =
        open_on(server.url(), {{"reconnect_delay_ms", "60000"}, {"max_reconnect_delay_ms", "60000"}}, &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(events.next().kind, FANWIRE_EVENT_CONNECTED);
    admin.call({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_EQ(events.next().kind, FANWIRE_EVENT_DISCONNECTED);
    EXPECT_EQ(events.next().kind, FANWIRE_EVENT_RECONNECTING);
    admin.call({"CLIENT", "KILL", "TYPE", "pubsub"});
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_LOST).status, FANWIRE_CONNECTION_LOST);
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    for (const Seen& seen : events.drain()) EXPECT_NE(seen.kind, FANWIRE_EVENT_RECONNECTING) << "told twice";
}

TEST(Fault, PublishesMadeOfflineAreSentInOrder) {
    RedisServer server;
    Inbox inbox, outcomes;
    Engine listener = open_on(server.url(), {{"max_reconnect_delay_ms", "100"}});
    Engine engine = open_on(server.url(), {{"publish_timeout_ms", "30000"}, {"max_reconnect_delay_ms", "1000"}});
    Subscription sub = subscribe(listener, "chat", inbox);
    server.kill();
    fanwire_engine_stats stats{};
    ASSERT_TRUE(until([&] {
        fanwire_engine_stats_get(engine, &stats, sizeof stats);
        return stats.connected == 0;
    }));
    int keys[100];
    for (int& key : keys) ASSERT_STATUS(FANWIRE_OK, fanwire_publish_async(engine, "chat", 4, "x", 1, outcomes, &key));
    server.start();
    for (int& key : keys) {
        const Seen outcome = outcomes.next();
        EXPECT_EQ(outcome.status, FANWIRE_OK) << outcome.text;
        EXPECT_EQ(outcome.user_data, &key);
    }
}

TEST(Fault, OfflineLimitsAndPolicies) {
    RedisServer server;
    Inbox outcomes;
    Engine waits = open_on(server.url(), {{"offline_count", "3"}, {"publish_timeout_ms", "200"}});
    Engine fails = open_on(server.url(), {{"offline", "fail"}});
    server.kill();
    ASSERT_TRUE(until([&] { return fanwire_publish(fails, "chat", 4, "x", 1) == FANWIRE_NOT_CONNECTED; }));
    ASSERT_TRUE(until([&] {
        fanwire_engine_stats stats{};
        fanwire_engine_stats_get(waits, &stats, sizeof stats);
        return stats.connected == 0;
    }));
    for (int i = 0; i < 3; ++i)
        EXPECT_STATUS(FANWIRE_OK, fanwire_publish_async(waits, "chat", 4, "x", 1, outcomes, nullptr));
    EXPECT_STATUS(FANWIRE_QUEUE_FULL, fanwire_publish_async(waits, "chat", 4, "x", 1, outcomes, nullptr));
    EXPECT_NE(std::string(fanwire_last_error()).find("offline_count"), std::string::npos);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(outcomes.next().status, FANWIRE_TIMEOUT);
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_async(waits, "chat", 4, "x", 1, outcomes, nullptr));  // room again
}

TEST(Fault, CloseSaysWhatWasLeft) {
    RedisServer server;
    Inbox outcomes;
    Engine engine = open_on(server.url());
    server.kill();
    ASSERT_TRUE(until([&] {
        fanwire_engine_stats stats{};
        fanwire_engine_stats_get(engine, &stats, sizeof stats);
        return stats.connected == 0;
    }));
    for (int i = 0; i < 3; ++i)
        ASSERT_STATUS(FANWIRE_OK, fanwire_publish_async(engine, "chat", 4, "x", 1, outcomes, nullptr));
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_close(engine, 50));
    EXPECT_NE(std::string(fanwire_last_error()).find("3 publishes"), std::string::npos);
    const std::vector<Seen> all = outcomes.drain();  // all have been reported when close returns
    ASSERT_EQ(all.size(), 3u);
    for (const Seen& outcome : all) EXPECT_EQ(outcome.status, FANWIRE_CLOSED);
}

TEST(Fault, AHungServerIsFoundOut) {
    RedisServer server;
    Inbox inbox, outcomes;
    Engine engine = open_on(server.url(), {{"heartbeat_interval_ms", "100"}, {"heartbeat_timeout_ms", "300"}});
    Subscription sub = subscribe(engine, "chat", inbox);
    server.pause();
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "x", outcomes));
    const Seen lost = next_of(inbox, FANWIRE_EVENT_LOST);
    EXPECT_NE(lost.text.find("300 ms"), std::string::npos) << lost.text;
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_OUTCOME_UNKNOWN);
    server.resume();
    EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_RESUMED).kind, FANWIRE_EVENT_RESUMED);
}

TEST(Fault, KilledByTheServer) {
    RedisServer server;
    Inbox inbox;
    Engine engine = open_on(server.url());
    Subscription sub = subscribe(engine, "chat", inbox);
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(RawClient(server.port()).call({"CLIENT", "KILL", "TYPE", "pubsub"}), "1");
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_LOST).kind, FANWIRE_EVENT_LOST);
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_RESUMED).kind, FANWIRE_EVENT_RESUMED);
    }
    EXPECT_EQ(RawClient(server.port()).call({"PUBSUB", "NUMSUB", "ws:chat"}), "[ws:chat,1]");
}

TEST(Fault, ThreeThousandChannelsAreReplayed) {
    RedisServer server;
    Inbox inbox;
    Engine engine = open_on(server.url(), {{"max_reconnect_delay_ms", "100"}});
    std::vector<Subscription> subs(3000);
    for (std::size_t i = 0; i < subs.size(); ++i) {
        const std::string name = "channel-" + std::to_string(i);
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subs[i].out(), engine, name.data(), name.size(), inbox, nullptr));
    }
    const auto confirmed = [&] {
        fanwire_engine_stats stats{};
        fanwire_engine_stats_get(engine, &stats, sizeof stats);
        return stats.subscriptions_confirmed;
    };
    ASSERT_TRUE(until([&] { return confirmed() == 3000; }));
    server.kill();
    ASSERT_TRUE(until([&] { return confirmed() == 0; }));
    server.start();
    ASSERT_TRUE(until([&] { return confirmed() == 3000; }));
    EXPECT_EQ(publish(engine, "channel-0", "x") + publish(engine, "channel-2999", "x"), 2u);
}

TEST(Fault, WrongAndMissingPasswords) {
    RedisServer server({"--requirepass", "right"});
    const std::string at = "@127.0.0.1:" + std::to_string(server.port());
    EXPECT_EQ(publish(open_on("redis://:right" + at), "chat", "x"), 0u);
    for (const std::string& url : {"redis://:wrong-one" + at, "redis://nobody:right" + at, server.url()}) {
        Options options{{"url", url}};
        Engine engine;
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        EXPECT_STATUS(FANWIRE_AUTH_FAILED, fanwire_engine_wait_connected(engine, deadline_ms));
        EXPECT_EQ(std::string(fanwire_last_error()).find("wrong-one"), std::string::npos);
    }
}

TEST(Fault, AccessRules) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "on", ">pw", "resetchannels", "&ws:open*", "+@pubsub", "+ping",
                          "+client|setname", "-@all", "+publish", "+subscribe", "+psubscribe", "+unsubscribe",
                          "+punsubscribe", "+ping"}),
              "OK");
    Engine engine = open_on("redis://app:pw@127.0.0.1:" + std::to_string(server.port()));
    Inbox inbox;
    int open_key = 0, shut_key = 0;
    Subscription open_sub, shut_sub;  // asked for in one batch: the refused one must not hurt the other
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(shut_sub.out(), engine, "shut", 4, inbox, &shut_key));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(open_sub.out(), engine, "open", 4, inbox, &open_key));
    EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(open_sub, deadline_ms));
    EXPECT_STATUS(FANWIRE_NO_PERMISSION, fanwire_subscription_wait_active(shut_sub, deadline_ms));
    const Seen failed = next_of(inbox, FANWIRE_EVENT_FAILED);
    EXPECT_EQ(failed.status, FANWIRE_NO_PERMISSION);
    EXPECT_EQ(failed.user_data, &shut_key);
    EXPECT_STATUS(FANWIRE_NO_PERMISSION, fanwire_publish_wait(engine, "shut", 4, "x", 1, deadline_ms, nullptr));
    EXPECT_EQ(publish(engine, "open", "x"), 1u);

    // Refused is not forgotten: once the rule allows it, it becomes active by itself. (Redis closes the connections of
    // a user whose channels change, which also makes the engine ask again.)
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "&ws:shut"}), "OK");
    EXPECT_TRUE(until([&] { return fanwire_subscription_wait_active(shut_sub, 100) == FANWIRE_OK; }));
}

TEST(Fault, ADatabaseThatDoesNotExist) {
    RedisServer server;
    Options options{{"url", server.url() + "/99"}};
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    EXPECT_STATUS(FANWIRE_REDIS_ERROR, fanwire_engine_wait_connected(engine, deadline_ms));
    EXPECT_NE(std::string(fanwire_last_error()).find("SELECT 99"), std::string::npos) << fanwire_last_error();
}

}  // namespace
}  // namespace integration_test
