// What the network does to connections, by way of a proxy, and what the application sees of it.
#include "tests/integration/support.h"
#include "tests/support/fault_proxy.h"

namespace integration_test {
namespace {

using fanwire::test::FaultProxy;
using Which = FaultProxy::Which;

// Reconnects at once.
const Options::Settings quick = {{"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "20"}};
// The same, and no PING comes between the bytes that a test counts.
const Options::Settings quiet = {{"reconnect_delay_ms", "1"},
                                 {"max_reconnect_delay_ms", "20"},
                                 {"heartbeat_interval_ms", "60000"},
                                 {"heartbeat_timeout_ms", "120000"}};
// Finds out soon that nobody answers.
const Options::Settings alert = {{"reconnect_delay_ms", "1"},
                                 {"max_reconnect_delay_ms", "20"},
                                 {"heartbeat_interval_ms", "50"},
                                 {"heartbeat_timeout_ms", "250"}};

void expect_back(Inbox& inbox) {
    const Seen gap = inbox.next(FANWIRE_EVENT_GAP);
    EXPECT_EQ(gap.reason, FANWIRE_GAP_RECONNECT);
    EXPECT_EQ(gap.count, FANWIRE_COUNT_UNKNOWN);
    inbox.next(FANWIRE_EVENT_RESUMED);
}

// A reset may overtake what was sent before it; of what shall arrive whole the end must be orderly.
FaultProxy::Ending ending(std::size_t bytes, std::size_t whole) {
    return bytes < whole ? FaultProxy::Ending::reset : FaultProxy::Ending::close;
}

TEST(Network, ConnectionResetOrClosed) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(proxy.url(), quick, &events);
    events.next(FANWIRE_EVENT_CONNECTED);
    Subscription sub = subscribe(engine, "chat", inbox);
    for (const auto how : {FaultProxy::Ending::reset, FaultProxy::Ending::close}) {
        EXPECT_EQ(proxy.end(Which::subscribers, how), 1u);
        const Seen lost = inbox.next(FANWIRE_EVENT_LOST);
        EXPECT_EQ(lost.status, FANWIRE_CONNECTION_LOST);
        EXPECT_NE(lost.text.find(how == FaultProxy::Ending::reset ? "reset" : "closed"), std::string::npos)
            << lost.text;
        EXPECT_TRUE(events.next(FANWIRE_EVENT_DISCONNECTED).will_reconnect);
        EXPECT_EQ(events.next(FANWIRE_EVENT_RECONNECTING).count, 1u);
        expect_back(inbox);
        events.next(FANWIRE_EVENT_CONNECTED);
        EXPECT_EQ(publish(engine, "chat", "again"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "again");
    }
}

// The publishing link alone: no subscription is touched by it.
TEST(Network, PublishingLinkReset) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(proxy.url(), quick, &events);
    events.next(FANWIRE_EVENT_CONNECTED);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(publish(engine, "chat", "before"), 1u);
    EXPECT_EQ(proxy.end(Which::publishers), 1u);
    events.next(FANWIRE_EVENT_DISCONNECTED);
    EXPECT_EQ(publish(engine, "chat", "after"), 1u);  // waits for the connection
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "before");
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "after");
}

TEST(Network, CutAtEachByteOfTheGreetingAndTheAcknowledgement) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Engine elsewhere = open_on(server.url());
    Options::Settings settings = quiet;  // with optional commands the next greeting would be a shorter one
    settings.push_back({"client_name", ""});
    settings.push_back({"server_info", "false"});
    std::size_t whole = 0;
    {
        Inbox inbox;
        Engine engine = open_on(proxy.url(), settings);
        Subscription sub = subscribe(engine, "chat", inbox);
        whole = proxy.passed(Which::subscribers, FaultProxy::to_client);
    }
    ASSERT_GE(whole, 43u);
    for (std::size_t bytes = 0; bytes < whole; ++bytes) {
        SCOPED_TRACE(bytes);
        const std::uint64_t ended = proxy.counts().ended;
        proxy.cut_new_after(FaultProxy::to_client, bytes);
        Options options(settings);
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", proxy.url().c_str()));
        Inbox inbox;
        Engine engine;
        Subscription sub;
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(sub.out(), engine, "chat", 4, inbox, nullptr));
        ASSERT_TRUE(until([&] { return proxy.counts().ended >= ended + 3; }));
        proxy.cut_new_after(FaultProxy::to_client, FaultProxy::never);
        proxy.heal();
        // An attempt that was cut may be told of first.
        ASSERT_TRUE(until([&] { return fanwire_engine_wait_connected(engine, deadline_ms) == FANWIRE_OK; }));
        // Nothing had been confirmed: the stream begins with ACTIVE.
        inbox.next(FANWIRE_EVENT_ACTIVE);
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(sub, deadline_ms));
        EXPECT_EQ(publish(elsewhere, "chat", "hello"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "hello");
    }
}

// The whole greeting, of which more than a thousand bytes are INFO's: one that was cut is followed by one that gets
// through.
TEST(Network, CutInsideTheWholeGreeting) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Engine elsewhere = open_on(server.url());
    for (std::size_t bytes = 0; bytes < 1000; bytes += bytes < 20 ? 1 : 61) {
        SCOPED_TRACE(bytes);
        const std::uint64_t ended = proxy.counts().ended;
        proxy.cut_new_after(FaultProxy::to_client, bytes);
        Options options(quiet);
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", proxy.url().c_str()));
        Inbox inbox;
        Engine engine;
        Subscription sub;
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(sub.out(), engine, "chat", 4, inbox, nullptr));
        ASSERT_TRUE(until([&] { return proxy.counts().ended > ended; }));
        proxy.cut_new_after(FaultProxy::to_client, FaultProxy::never);
        proxy.heal();
        ASSERT_TRUE(until([&] { return publish(elsewhere, "chat", "hello") == 1u; }));
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "hello");
    }
}

TEST(Network, CutAtEachByteOfAMessage) {
    const std::string message = "*3\r\n$7\r\nmessage\r\n$7\r\nws:chat\r\n$5\r\nhello\r\n";
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox;
    Engine elsewhere = open_on(server.url());
    Engine engine = open_on(proxy.url(), quiet);
    Subscription sub = subscribe(engine, "chat", inbox);
    for (std::size_t bytes = 0; bytes <= message.size(); ++bytes) {
        SCOPED_TRACE(bytes);
        proxy.cut_after(Which::subscribers, FaultProxy::to_client, bytes, ending(bytes, message.size()));
        // With nothing to come it is cut at once, and the next connection might be there before the message.
        if (bytes > 0) publish(elsewhere, "chat", "hello");
        // Whole or not at all; and nothing of it stands in the next connection's way.
        if (bytes == message.size()) {
            EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "hello");
        }
        inbox.next(FANWIRE_EVENT_LOST);
        expect_back(inbox);
        EXPECT_EQ(publish(elsewhere, "chat", "after"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "after");
    }
}

TEST(Network, CutAtEachByteOfAPublish) {
    const std::string command = "*3\r\n$7\r\nPUBLISH\r\n$7\r\nws:chat\r\n$5\r\nhello\r\n";
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, outcomes;
    Engine listener = open_on(server.url());
    Subscription sub = subscribe(listener, "chat", inbox);
    Engine engine = open_on(proxy.url(), quiet);
    EXPECT_EQ(publish(engine, "chat", "first"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "first");
    for (std::size_t bytes = 1; bytes <= command.size(); ++bytes) {
        SCOPED_TRACE(bytes);
        proxy.cut_after(Which::publishers, FaultProxy::to_server, bytes);
        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "hello", outcomes));
        EXPECT_EQ(outcomes.next(FANWIRE_EVENT_PUBLISHED).status, FANWIRE_OUTCOME_UNKNOWN);
        EXPECT_EQ(publish(engine, "chat", "after"), 1u);
        Seen seen = inbox.next(FANWIRE_EVENT_MESSAGE);
        // In part it was not executed; whole it may have been, and then once.
        if (bytes == command.size() && seen.payload == "hello") seen = inbox.next(FANWIRE_EVENT_MESSAGE);
        EXPECT_EQ(seen.payload, "after");
    }
}

// Half-open: nothing is closed, bytes vanish.
TEST(Network, HalfOpenPublish) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, outcomes;
    Engine listener = open_on(server.url());
    Subscription sub = subscribe(listener, "chat", inbox);
    Engine engine = open_on(proxy.url(), alert);
    EXPECT_EQ(publish(engine, "chat", "first"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "first");
    for (const auto direction : {FaultProxy::to_server, FaultProxy::to_client}) {
        proxy.swallow(Which::publishers, direction);
        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "chat", "lost", outcomes));
        const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(outcome.status, FANWIRE_OUTCOME_UNKNOWN);
        EXPECT_NE(outcome.text.find("250 ms"), std::string::npos) << outcome.text;
        // By another connection, and the former is not sent again.
        EXPECT_EQ(publish(engine, "chat", "after"), 1u);
        if (direction == FaultProxy::to_client) {  // only the answer vanished
            EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "lost");
        }
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "after");
    }
}

TEST(Network, HalfOpenSubscription) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox;
    Engine elsewhere = open_on(server.url());
    Engine engine = open_on(proxy.url(), alert);
    Subscription sub = subscribe(engine, "chat", inbox);
    for (const auto direction : {FaultProxy::to_server, FaultProxy::to_client}) {
        proxy.swallow(Which::subscribers, direction);
        // Answers, or what they would answer, do not come through: the heartbeat finds it.
        const Seen lost = inbox.next(FANWIRE_EVENT_LOST);
        EXPECT_EQ(lost.status, FANWIRE_CONNECTION_LOST);
        EXPECT_NE(lost.text.find("PING"), std::string::npos) << lost.text;
        expect_back(inbox);
        proxy.heal();  // Redis learns that the former is gone
        ASSERT_TRUE(until([&] {
            return RawClient(server.port()).call({"PUBSUB", "NUMSUB", "ws:chat"}) == "[ws:chat,1]";
        }));
        EXPECT_EQ(publish(elsewhere, "chat", "after"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "after");
    }
}

TEST(Network, SplitAtEachByte) {
    RedisServer server;
    FaultProxy proxy(server.port());
    proxy.shape({.piece = 1});
    Inbox exact_inbox, pattern_inbox;
    Engine engine = open_on(proxy.url(), quick);
    Subscription exact = subscribe(engine, "chat", exact_inbox), pattern = psubscribe(engine, "c*", pattern_inbox);
    std::vector<std::string> payloads;
    for (std::size_t size = 0; size < 120; size += 7) {
        std::string payload;
        for (std::size_t i = 0; i < size; ++i) payload += "\r\n$*\0+-:x"[(i * 5 + size) % 10];
        payloads.push_back(payload);
        EXPECT_EQ(publish(engine, "chat", payload), 2u);
    }
    for (const std::string& payload : payloads) {
        EXPECT_EQ(exact_inbox.next(FANWIRE_EVENT_MESSAGE).payload, payload);
        EXPECT_EQ(pattern_inbox.next(FANWIRE_EVENT_MESSAGE).payload, payload);
    }
    EXPECT_EQ(stats_of(engine).disconnects, 0u);
}

// A message takes longer than the heartbeat's patience, in either direction. What still moves is alive.
TEST(Network, LargeMessagesOverASlowNetwork) {
    RedisServer server;
    FaultProxy slow_in(server.port(), 16 * 1024), slow_out(server.port(), 16 * 1024);
    Inbox inbox, outcomes;
    const Options::Settings settings = {
        {"heartbeat_interval_ms", "50"}, {"heartbeat_timeout_ms", "300"}, {"publish_timeout_ms", "30000"}};
    Engine listener = open_on(slow_in.url(), settings), speaker = open_on(slow_out.url(), settings);
    Subscription sub = subscribe(listener, "chat", inbox);
    for (FaultProxy* proxy : {&slow_in, &slow_out}) proxy->shape({.bytes_per_second = 1000000});
    const std::string large(800 * 1000, 'x');
    // The second is being written while the first one's answer cannot have come yet.
    for (int i = 0; i < 2; ++i) ASSERT_STATUS(FANWIRE_OK, publish_async(speaker, "chat", large, outcomes));
    for (int i = 0; i < 2; ++i) {
        const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(outcome.status, FANWIRE_OK) << outcome.text;
    }
    for (int i = 0; i < 2; ++i) {
        const Seen seen = inbox.next();
        EXPECT_EQ(seen.kind, FANWIRE_EVENT_MESSAGE) << seen.text;
        EXPECT_EQ(seen.payload.size(), large.size());
    }
    EXPECT_EQ(stats_of(listener).disconnects, 0u);
    EXPECT_EQ(stats_of(speaker).disconnects, 0u);
}

TEST(Network, RefusedOrNeverAnswered) {
    RedisServer server;
    FaultProxy proxy(server.port());
    Inbox inbox, events;
    Engine engine = open_on(
        proxy.url(), {{"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "20"}, {"connect_timeout_ms", "200"}},
        &events);
    Subscription sub = subscribe(engine, "chat", inbox);
    for (const auto door : {FaultProxy::Door::refuse, FaultProxy::Door::mute}) {
        proxy.door(door);
        proxy.end();
        inbox.next(FANWIRE_EVENT_LOST);
        const Seen error = next_of(events, FANWIRE_EVENT_ERROR);
        if (door == FaultProxy::Door::refuse) {
            EXPECT_EQ(error.status, FANWIRE_CONNECT_FAILED);
            EXPECT_NE(error.text.find("refused"), std::string::npos) << error.text;
        } else {
            EXPECT_EQ(error.status, FANWIRE_CONNECT_TIMEOUT);
            EXPECT_NE(error.text.find("no greeting within 200 ms"), std::string::npos) << error.text;
        }
        EXPECT_TRUE(error.will_reconnect);
        proxy.heal();
        next_of(events, FANWIRE_EVENT_CONNECTED);
        expect_back(inbox);
        EXPECT_EQ(publish(engine, "chat", "again"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "again");
    }
}

}  // namespace
}  // namespace integration_test
