// What a server, or whoever runs it, does to its clients, and what the application sees of it.
#include "tests/integration/support.h"
#include "tests/support/fault_proxy.h"

namespace integration_test {
namespace {

using fanwire::test::FaultProxy;
using Which = FaultProxy::Which;

const Options::Settings quick = {{"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "20"}};

void expect_back(Inbox& inbox) {
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_GAP).reason, FANWIRE_GAP_RECONNECT);
    inbox.next(FANWIRE_EVENT_RESUMED);
}

// One that greets well and closes at SUBSCRIBE, for ever: each such connection counts, and the last one ends it.
TEST(ServerFault, AServerThatClosesAtSubscribeIsGivenUp) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(
        proxy.url(), {{"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "5"}, {"max_reconnect_attempts", "3"}},
        &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    events.next(FANWIRE_EVENT_CONNECTED);
    const std::string command = "*2\r\n$9\r\nSUBSCRIBE\r\n$7\r\nws:chat\r\n";
    const std::uint64_t greeting = proxy.passed(Which::subscribers, FaultProxy::to_server) - command.size();
    proxy.cut_new_after(FaultProxy::to_server, greeting + 5, FaultProxy::Ending::close);
    proxy.end();
    Seen last;
    do last = events.next();
    while (last.kind != FANWIRE_EVENT_ERROR || last.will_reconnect != 0);
    EXPECT_EQ(last.status, FANWIRE_CONNECTION_LOST);
    EXPECT_STATUS(FANWIRE_CONNECTION_LOST, fanwire_subscription_wait_active(sub, deadline_ms));
    EXPECT_STATUS(FANWIRE_NOT_CONNECTED, fanwire_publish_wait(engine, "chat", 4, "x", 1, deadline_ms, nullptr));
}

int state_of(const Engine& engine) {
    int state = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_state_get(engine, &state));
    return state;
}

const Options::Settings gives_up = {
    {"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "5"}, {"max_reconnect_attempts", "3"}};

TEST(ServerFault, AnEngineThatGaveUpIsRevived) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(proxy.url(), gives_up, &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(state_of(engine), FANWIRE_ENGINE_CONNECTED);
    proxy.door(FaultProxy::Door::refuse);
    proxy.end();
    const Seen last = next_of(events, FANWIRE_EVENT_GAVE_UP);
    EXPECT_EQ(last.count, 3u) << "the same number after a break as at the start";
    EXPECT_EQ(state_of(engine), FANWIRE_ENGINE_GAVE_UP);
    EXPECT_EQ(inbox.next().kind, FANWIRE_EVENT_LOST);
    EXPECT_EQ(inbox.next().kind, FANWIRE_EVENT_FAILED);
    EXPECT_STATUS(FANWIRE_NOT_CONNECTED, fanwire_publish(engine, "chat", 4, "x", 1));
    Subscription late;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(late.out(), engine, "late", 4, inbox, nullptr));
    EXPECT_EQ(inbox.next().kind, FANWIRE_EVENT_FAILED);

    // While it tries they wait again.
    proxy.door(FaultProxy::Door::mute);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_reconnect(engine));
    const auto state = [](fanwire_subscription* of) {
        int now = 0;
        EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_state_get(of, &now));
        return now;
    };
    ASSERT_TRUE(until([&] { return state(sub) == FANWIRE_SUBSCRIPTION_LOST; }));
    ASSERT_TRUE(until([&] { return state(late) == FANWIRE_SUBSCRIPTION_PENDING; }));
    proxy.door(FaultProxy::Door::open);
    proxy.heal();
    ASSERT_TRUE(until([&] { return fanwire_engine_wait_connected(engine, deadline_ms) == FANWIRE_OK; }));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(sub, deadline_ms));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(late, deadline_ms));
    EXPECT_EQ(state_of(engine), FANWIRE_ENGINE_CONNECTED);
    std::vector<int> kinds;
    for (int i = 0; i < 3; ++i) kinds.push_back(inbox.next().kind);
    std::sort(kinds.begin(), kinds.end());
    EXPECT_EQ(kinds, (std::vector<int>{FANWIRE_EVENT_ACTIVE, FANWIRE_EVENT_RESUMED, FANWIRE_EVENT_GAP}));
    EXPECT_EQ(publish(engine, "chat", "again"), 1u);
    EXPECT_EQ(publish(engine, "late", "too"), 1u);
}

TEST(ServerFault, UseRevivesAnEngineIfItIsToldSo) {
    for (const bool by_publish : {true, false}) {
        RedisServer server;
        FaultProxy proxy(server.port());
        Inbox inbox, events, outcomes;
        Options::Settings settings = gives_up;
        settings.push_back({"revive_on_use", "true"});
        Engine engine = open_on(proxy.url(), settings, &events);
        Subscription sub = subscribe(engine, "chat", inbox), other;
        proxy.door(FaultProxy::Door::refuse);
        proxy.end();
        next_of(events, FANWIRE_EVENT_GAVE_UP);
        proxy.door(FaultProxy::Door::open);
        if (by_publish) {
            ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "wake up", outcomes));
            const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
            EXPECT_EQ(outcome.status, FANWIRE_OK) << outcome.text;
            EXPECT_EQ(outcome.count, 1u) << "and it waits for our own subscription";
        } else {
            ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(other.out(), engine, "other", 5, inbox, nullptr));
            ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(other, deadline_ms));
        }
        next_of(inbox, FANWIRE_EVENT_RESUMED);
    }
}

// The wait would last for ten seconds, and the next one longer: whoever publishes, also if that is refused at once, or
// subscribes ends it.
TEST(ServerFault, UseEndsALongWait) {
    for (const char* offline : {"queue", "fail"}) {
        RedisServer server;
        FaultProxy proxy(server.port());
        Inbox inbox, events;
        Engine engine = open_on(proxy.url(),
                                {{"reconnect_delay_ms", "1"},
                                 {"max_reconnect_delay_ms", "3600000"},
                                 {"reconnect_factor", "10"},
                                 {"reconnect_jitter", "none"},
                                 {"publish_timeout_ms", "60000"},
                                 {"offline", offline}},
                                &events);
        proxy.door(FaultProxy::Door::refuse);
        proxy.end();
        while (next_of(events, FANWIRE_EVENT_RECONNECTING).delay_ms < 10000) {
        }
        const auto before = std::chrono::steady_clock::now();
        proxy.door(FaultProxy::Door::open);
        const int refused = fanwire_publish(engine, "chat", 4, "x", 1);
        EXPECT_EQ(refused, std::string(offline) == "fail" ? FANWIRE_NOT_CONNECTED : FANWIRE_OK);
        next_of(events, FANWIRE_EVENT_CONNECTED);
        EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(9)) << "the wait was not cut short";
    }
}

TEST(ServerFault, ReconnectEndsALongWait) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox events;
    Engine engine =
        open_on(proxy.url(), {{"reconnect_delay_ms", "3600000"}, {"max_reconnect_delay_ms", "3600000"}}, &events);
    proxy.end();
    next_of(events, FANWIRE_EVENT_RECONNECTING);
    EXPECT_EQ(state_of(engine), FANWIRE_ENGINE_RECONNECTING);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_reconnect(engine));
    next_of(events, FANWIRE_EVENT_CONNECTED);
}

TEST(ServerFault, RevivedItTellsOfItsAttemptsAgain) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox events;
    Engine engine = open_on(proxy.url(), gives_up, &events);
    proxy.door(FaultProxy::Door::refuse);
    proxy.end();
    for (int round = 0; round < 2; ++round) {
        std::vector<std::uint64_t> attempts;
        Seen seen;
        while ((seen = events.next()).kind != FANWIRE_EVENT_GAVE_UP && seen.kind != 0)
            if (seen.kind == FANWIRE_EVENT_RECONNECTING) attempts.push_back(seen.count);
        ASSERT_FALSE(attempts.empty());
        EXPECT_EQ(attempts.front(), 1u);
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_reconnect(engine));
    }
}

// In each outage all that was queued reaches our own subscriptions, which come back on the other link: those that are
// asked for last, long after the queue could have been sent.
TEST(ServerFault, QueuedPublishesWaitForOurOwnSubscriptions) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox{{"inbox_count", "10"}}, events, outcomes;
    Engine engine = open_on(proxy.url(),
                            {{"reconnect_delay_ms", "10"},
                             {"max_reconnect_delay_ms", "20"},
                             {"publish_timeout_ms", "60000"},
                             {"drain_wait_ms", "60000"}},
                            &events);
    constexpr int count = 20000, queued = 20;
    std::vector<Subscription> subs(count);
    for (std::size_t i = 0; i < subs.size(); ++i) {
        const std::string name = "chat" + std::to_string(i);
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subs[i].out(), engine, name.data(), name.size(), inbox, nullptr));
    }
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subs.back(), deadline_ms));
    for (int outage = 0; outage < 4; ++outage) {
        proxy.door(FaultProxy::Door::refuse);
        proxy.end();
        next_of(events, FANWIRE_EVENT_DISCONNECTED);
        for (int i = 1; i <= queued; ++i)
            ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat" + std::to_string(count - i), "queued", outcomes));
        proxy.door(FaultProxy::Door::open);
        for (int i = 0; i < queued; ++i) {
            const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
            EXPECT_EQ(outcome.status, FANWIRE_OK) << outcome.text;
            EXPECT_EQ(outcome.count, 1u);
        }
        next_of(events, FANWIRE_EVENT_CONNECTED);
    }
}

// What Redis refuses is answered, too: nobody waits for it.
TEST(ServerFault, ARefusedSubscriptionHoldsNoPublishes) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "on", ">secret", "resetchannels", "&ws:chat", "+@all"}), "OK");
    FaultProxy proxy(server.port());
    Inbox inbox, events, outcomes;
    Engine engine = open_on(proxy.url(),
                            {{"reconnect_delay_ms", "10"},
                             {"max_reconnect_delay_ms", "20"},
                             {"username", "app"},
                             {"password", "secret"},
                             {"publish_timeout_ms", "3600000"},
                             {"drain_wait_ms", "600000"}},
                            &events);
    Subscription chat = subscribe(engine, "chat", inbox), forbidden;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(forbidden.out(), engine, "other", 5, inbox, nullptr));
    next_of(inbox, FANWIRE_EVENT_FAILED);
    proxy.door(FaultProxy::Door::refuse);
    proxy.end();
    next_of(events, FANWIRE_EVENT_DISCONNECTED);
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "queued", outcomes));
    proxy.door(FaultProxy::Door::open);
    const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
    EXPECT_EQ(outcome.status, FANWIRE_OK) << outcome.text;
    EXPECT_EQ(outcome.count, 1u);
}

// The subscribe link would wait for long; the publish link, which breaks later, finds the server back at once.
TEST(ServerFault, ALinkThatSucceedsWakesTheOther) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(proxy.url(),
                            {{"reconnect_delay_ms", "40"},
                             {"max_reconnect_delay_ms", "3600000"},
                             {"reconnect_factor", "10"},
                             {"reconnect_jitter", "none"}},
                            &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(publish(engine, "chat", "x"), 1u);
    proxy.door(FaultProxy::Door::refuse);
    proxy.end(Which::subscribers);
    while (next_of(events, FANWIRE_EVENT_RECONNECTING).delay_ms < 40000) {  // longer than any wait of this test
    }
    proxy.door(FaultProxy::Door::open);
    proxy.end(Which::publishers);
    next_of(events, FANWIRE_EVENT_CONNECTED);
    next_of(inbox, FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(publish(engine, "chat", "after"), 1u);
}

// Redis says no to a command that is too large as soon as it reads its size, and closes. That is the outcome of this
// publish, and the others go on: none is sent for ever.
TEST(ServerFault, APublishThatTheServerDoesNotTake) {
    RedisServer server({"--proto-max-bulk-len", "1mb"});
    Inbox inbox, outcomes;
    Engine engine = open_on(server.url(),
                            {{"reconnect_delay_ms", "1"}, {"publish_timeout_ms", "60000"}, {"offline_bytes", "64MiB"}});
    Subscription sub = subscribe(engine, "chat", inbox);
    constexpr int rounds = 5;
    for (int i = 0; i < rounds; ++i) {
        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", std::string(12 << 20, 'x'), outcomes));
        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "small", outcomes));
        const Seen refused = outcomes.next(FANWIRE_EVENT_PUBLISHED), other = outcomes.next(FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(refused.status, FANWIRE_REDIS_ERROR) << refused.text;
        EXPECT_NE(refused.text.find("invalid bulk length"), std::string::npos) << refused.text;
        EXPECT_EQ(other.status, FANWIRE_OK) << other.text;
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "small");
    }
    EXPECT_LE(stats_of(engine).disconnects, static_cast<std::uint64_t>(rounds));
}

// The same without a word: what breaks a connection twice is not sent a third time.
TEST(ServerFault, APublishThatBreaksItsConnections) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox outcomes;
    Engine engine = open_on(proxy.url(),
                            {{"reconnect_delay_ms", "1"}, {"publish_timeout_ms", "60000"}, {"offline_bytes", "64MiB"}});
    publish(engine, "chat", "the first");
    proxy.cut_new_after(FaultProxy::to_server, 100000, FaultProxy::Ending::close);
    proxy.cut_after(Which::publishers, FaultProxy::to_server, 100000, FaultProxy::Ending::close);
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", std::string(12 << 20, 'x'), outcomes));
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "small", outcomes));
    const Seen failed = outcomes.next(FANWIRE_EVENT_PUBLISHED), other = outcomes.next(FANWIRE_EVENT_PUBLISHED);
    EXPECT_EQ(failed.status, FANWIRE_CONNECTION_LOST) << failed.text;
    EXPECT_EQ(other.status, FANWIRE_OK) << other.text;
}

// A server that hangs for less than the heartbeat's patience: late is not lost.
TEST(ServerFault, AShortHang) {
    RedisServer server;
    Inbox inbox, outcomes;
    Engine engine =
        open_on(server.url(),
                {{"heartbeat_interval_ms", "50"}, {"heartbeat_timeout_ms", "20000"}, {"publish_timeout_ms", "20000"}});
    Subscription sub = subscribe(engine, "chat", inbox);
    server.pause();
    const std::uint64_t sent = stats_of(engine).bytes_out;
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "late", outcomes));
    ASSERT_TRUE(until([&] { return stats_of(engine).bytes_out > sent + 50; }));  // the publish and a PING went out
    server.resume();
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_OK);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "late");
    EXPECT_EQ(stats_of(engine).disconnects, 0u);
}

// Redis answers no publish while writes are paused, and PING on the same link waits behind it; all else is answered.
TEST(ServerFault, APauseOfWrites) {
    RedisServer server;
    RawClient admin(server.port());
    Inbox inbox, outcomes, events;
    Engine engine = open_on(
        server.url(), {{"heartbeat_interval_ms", "50"}, {"heartbeat_timeout_ms", "100"}, {"write_pause_ms", "60000"}},
        &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    ASSERT_EQ(admin.call({"CLIENT", "PAUSE", "600000", "WRITE"}), "OK");
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "late", outcomes));
    // More than the heartbeat allows for, as shown by what the other link was asked meanwhile.
    const std::uint64_t received = stats_of(engine).bytes_in;
    ASSERT_TRUE(until([&] { return stats_of(engine).bytes_in > received + 20 * 30; }));
    EXPECT_EQ(stats_of(engine).disconnects, 0u);
    ASSERT_EQ(admin.call({"CLIENT", "UNPAUSE"}), "OK");
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_OK);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "late");
    EXPECT_EQ(stats_of(engine).disconnects, 0u);
}

TEST(ServerFault, APauseOfWritesThatIsTooLong) {
    RedisServer server;
    RawClient admin(server.port());
    Inbox outcomes;
    Engine engine = open_on(
        server.url(), {{"heartbeat_interval_ms", "50"}, {"heartbeat_timeout_ms", "100"}, {"write_pause_ms", "300"}});
    ASSERT_EQ(admin.call({"CLIENT", "PAUSE", "600000", "WRITE"}), "OK");
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "never", outcomes));
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_OUTCOME_UNKNOWN);
    ASSERT_EQ(admin.call({"CLIENT", "UNPAUSE"}), "OK");
}

TEST(ServerFault, ClientKillOfThePublishingLink) {
    RedisServer server;
    RawClient admin(server.port());
    Inbox inbox, events;
    Engine engine = open_on(server.url(), quick, &events);
    events.next(FANWIRE_EVENT_CONNECTED);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(admin.call({"CLIENT", "KILL", "TYPE", "normal"}), "1");
    events.next(FANWIRE_EVENT_DISCONNECTED);
    EXPECT_EQ(publish(engine, "chat", "after"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "after");  // and no LOST
}

// We do not read, so Redis's buffer for us fills until it closes the connection.
TEST(ServerFault, OutputBufferFull) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ(admin.call({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 0 0"}), "OK");
    FaultProxy proxy(server.port(), 32 * 1024);
    Inbox inbox;
    Engine engine = open_on(proxy.url(), {{"reconnect_delay_ms", "1"},
                                          {"max_reconnect_delay_ms", "20"},
                                          {"heartbeat_interval_ms", "60000"},
                                          {"heartbeat_timeout_ms", "120000"}});
    Engine elsewhere = open_on(server.url());
    Subscription sub = subscribe(engine, "chat", inbox);
    proxy.stall(Which::subscribers, FaultProxy::to_client);
    int published = 0;
    while (publish(elsewhere, "chat", std::to_string(published) + " " + std::string(10000, 'x')) == 1) ++published;
    ASSERT_GT(published, 6);
    proxy.heal();
    // What had come through comes, whole and in order; for the rest stands the GAP.
    int received = 0;
    Seen seen = inbox.next();
    for (; seen.kind == FANWIRE_EVENT_MESSAGE; seen = inbox.next()) {
        EXPECT_EQ(std::stoi(seen.payload), received++);
        EXPECT_EQ(seen.payload.size(), std::to_string(received - 1).size() + 10001);
    }
    EXPECT_LE(received, published);
    EXPECT_EQ(seen.kind, FANWIRE_EVENT_LOST);
    // Servers from 7.4 on count the clients that they close for it, so that the engine knows why.
    const bool counts =
        admin.call({"INFO", "stats"}).find("client_output_buffer_limit_disconnections:") != std::string::npos;
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_GAP).reason, counts ? FANWIRE_GAP_OUTPUT_BUFFER : FANWIRE_GAP_RECONNECT);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(publish(elsewhere, "chat", "after"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "after");
}

TEST(ServerFault, TooManyClients) {
    RedisServer server;
    RawClient admin(server.port());
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(proxy.url(), quick, &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    ASSERT_EQ(admin.call({"CONFIG", "SET", "maxclients", "1"}), "OK");
    proxy.end();
    inbox.next(FANWIRE_EVENT_LOST);
    Seen error = next_of(events, FANWIRE_EVENT_ERROR);
    // Redis says why and closes; when the closing is faster than its words, only that is seen.
    while (error.kind && error.text.find("max number of clients") == std::string::npos)
        error = next_of(events, FANWIRE_EVENT_ERROR);
    EXPECT_TRUE(error.will_reconnect);
    ASSERT_EQ(admin.call({"CONFIG", "SET", "maxclients", "100"}), "OK");
    expect_back(inbox);
    EXPECT_EQ(publish(engine, "chat", "again"), 1u);
}

TEST(ServerFault, ThePasswordChanges) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "on", ">old-one", "allchannels", "+@all"}), "OK");
    Inbox inbox, events;
    Engine engine = open_on("redis://app:old-one@127.0.0.1:" + std::to_string(server.port()), quick, &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    // Connections that are logged in stay.
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "resetpass", ">new-one"}), "OK");
    EXPECT_EQ(publish(engine, "chat", "still"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "still");
    ASSERT_EQ(admin.call({"CLIENT", "KILL", "USER", "app"}), "2");
    inbox.next(FANWIRE_EVENT_LOST);
    const Seen error = next_of(events, FANWIRE_EVENT_ERROR);
    EXPECT_EQ(error.status, FANWIRE_AUTH_FAILED);
    EXPECT_EQ(error.text.find("old-one"), std::string::npos);
    EXPECT_TRUE(error.will_reconnect);
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", ">old-one"}), "OK");
    expect_back(inbox);
    EXPECT_EQ(publish(engine, "chat", "again"), 1u);
}

TEST(ServerFault, PermissionRevokedAndGranted) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "on", ">pw", "allchannels", "+@all"}), "OK");
    Inbox inbox, kept_inbox, outcomes, events;
    Engine engine = open_on("redis://app:pw@127.0.0.1:" + std::to_string(server.port()), quick, &events);
    Subscription revoked = subscribe(engine, "chat", inbox), kept = subscribe(engine, "news", kept_inbox);
    // Redis closes the connections of a subscriber that may no longer be one.
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "resetchannels", "&ws:news"}), "OK");
    next_of(events, FANWIRE_EVENT_DISCONNECTED);
    next_of(events, FANWIRE_EVENT_CONNECTED);
    inbox.next(FANWIRE_EVENT_LOST);
    const Seen failed = inbox.next(FANWIRE_EVENT_FAILED);
    EXPECT_EQ(failed.status, FANWIRE_NO_PERMISSION);
    EXPECT_NE(failed.text.find("ws:chat"), std::string::npos) << failed.text;
    EXPECT_EQ(state_of(revoked), FANWIRE_SUBSCRIPTION_FAILED);
    // The other one is back, as is publishing to its channel.
    kept_inbox.next(FANWIRE_EVENT_LOST);
    expect_back(kept_inbox);
    EXPECT_EQ(publish(engine, "news", "x"), 1u);
    EXPECT_EQ(kept_inbox.next(FANWIRE_EVENT_MESSAGE).payload, "x");
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "x", outcomes));
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_NO_PERMISSION);

    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "allchannels"}), "OK");
    // It is asked for again by itself; more refusals may have come first.
    Seen seen = inbox.next();
    while (seen.kind == FANWIRE_EVENT_FAILED) seen = inbox.next();
    EXPECT_EQ(seen.kind, FANWIRE_EVENT_GAP);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(publish(engine, "chat", "again"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "again");

    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "-publish"}), "OK");
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "x", outcomes));
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_NO_PERMISSION);
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "+publish"}), "OK");
    EXPECT_EQ(publish(engine, "chat", "allowed"), 1u);
}

// After a restart Redis first loads its data and answers -LOADING.
TEST(ServerFault, ARestartThatLoadsData) {
    // Microseconds for each key; and between them it answers, after each KiB.
    RedisServer server(
        {"--key-load-delay", "4000", "--rdbcompression", "no", "--loading-process-events-interval-bytes", "1024"});
    RawClient admin(server.port());
    for (int i = 0; i < 150; ++i)
        ASSERT_EQ(admin.call({"SET", "key-" + std::to_string(i), std::string(1000, 'v')}), "OK");
    ASSERT_EQ(admin.call({"SAVE"}), "OK");
    Inbox inbox, events, outcomes;
    Engine engine = open_on(
        server.url(), {{"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "20"}, {"publish_timeout_ms", "30000"}},
        &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    server.kill();
    inbox.next(FANWIRE_EVENT_LOST);
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "waits", outcomes));
    server.start();  // returns when it has loaded
    Seen error;
    do error = next_of(events, FANWIRE_EVENT_ERROR);
    while (error.kind && error.text.find("LOADING") == std::string::npos);
    EXPECT_EQ(error.status, FANWIRE_REDIS_ERROR);
    EXPECT_TRUE(error.will_reconnect);
    EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_OK);
    expect_back(inbox);
}

}  // namespace
}  // namespace integration_test
