// Messages through a running Redis: every way to reach it, every kind of name and payload, both sides of the wire.
#include <filesystem>
#include <map>

#include "tests/integration/support.h"

namespace integration_test {
namespace {

struct Roundtrip : testing::Test {
    static void SetUpTestSuite() { server = new RedisServer(); }
    static void TearDownTestSuite() {
        delete server;
        server = nullptr;
    }
    static inline RedisServer* server = nullptr;
};

TEST_F(Roundtrip, EveryWayToTheServer) {
    const std::string port = std::to_string(server->port());
    const std::string socket = server->socket_path();
    for (const std::string& url : {"redis://127.0.0.1:" + port, "redis://[::1]:" + port, "redis://localhost:" + port,
                                   "valkey://127.0.0.1:" + port, "unix://" + socket, "unix://" + socket + "?db=2",
                                   "redis://127.0.0.1:" + port + "/3?client_name=here"}) {
        SCOPED_TRACE(url);
        Inbox inbox;
        Engine engine = open_on(url);
        Subscription sub = subscribe(engine, "chat", inbox);
        EXPECT_EQ(publish(engine, "chat", "hello"), 1u);
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "hello");
    }
}

TEST_F(Roundtrip, BetweenEngines) {
    Inbox inbox_a, inbox_b;
    Engine a = open_on(server->url()), b = open_on(server->url());
    Subscription sub_a = subscribe(a, "chat", inbox_a), sub_b = subscribe(b, "chat", inbox_b);
    EXPECT_EQ(publish(a, "chat", "from a"), 2u);
    EXPECT_EQ(publish(b, "chat", "from b"), 2u);
    for (Inbox* inbox : {&inbox_a, &inbox_b}) {
        EXPECT_EQ(next_of(*inbox, FANWIRE_EVENT_MESSAGE).payload, "from a");
        EXPECT_EQ(next_of(*inbox, FANWIRE_EVENT_MESSAGE).payload, "from b");
    }
    EXPECT_EQ(publish(a, "nobody", "x"), 0u);
}

TEST_F(Roundtrip, ForeignClientsSeeTheNamespaceAndTheExactBytes) {
    Inbox inbox;
    Engine engine = open_on(server->url());
    Subscription sub = subscribe(engine, "chat", inbox);
    RawClient foreign(server->port());
    EXPECT_EQ(foreign.call({"PUBLISH", "ws:chat", "hello"}), "1");
    const Seen seen = next_of(inbox, FANWIRE_EVENT_MESSAGE);
    EXPECT_EQ(seen.channel, "chat");
    EXPECT_EQ(seen.payload, "hello");
    EXPECT_FALSE(seen.pattern);

    EXPECT_EQ(foreign.call({"SUBSCRIBE", "ws:chat"}), "[subscribe,ws:chat,1]");
    const std::string bytes("\0\xff\r\n$-1\r\n", 9);
    EXPECT_EQ(publish(engine, "chat", bytes), 2u);
    EXPECT_EQ(foreign.reply(), "[message,ws:chat," + bytes + "]");
}

TEST_F(Roundtrip, BinaryNamesAndPayloads) {
    Inbox inbox;
    Engine engine = open_on(server->url());
    const std::string channel("a\0b\r\n \xff*", 8);
    Subscription sub = subscribe(engine, channel, inbox);
    std::string every_byte;
    for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
    for (const std::string& payload : {every_byte, std::string(), std::string(1, '\0'), std::string("\r\n")}) {
        EXPECT_EQ(publish(engine, channel, payload), 1u);
        const Seen seen = next_of(inbox, FANWIRE_EVENT_MESSAGE);
        EXPECT_EQ(seen.channel, channel);
        EXPECT_EQ(seen.payload, payload);
    }
}

TEST_F(Roundtrip, LargeMessages) {
    Inbox inbox;
    Engine engine = open_on(server->url());
    Subscription sub = subscribe(engine, "big", inbox);
    for (const std::size_t size : {4095u, 16384u, 65536u, 1000003u, 16u * 1024 * 1024}) {
        std::string payload(size, 'x');
        for (std::size_t i = 0; i < size; i += 97) payload[i] = static_cast<char>(i);
        publish(engine, "big", payload);
        ASSERT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, payload) << size;
    }
    const std::string too_large(16 * 1024 * 1024 + 1, 'x');
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, fanwire_publish(engine, "big", 3, too_large.data(), too_large.size()));
}

TEST_F(Roundtrip, PatternsAndOverlaps) {
    Inbox inbox;
    Engine engine = open_on(server->url());
    int exact = 0, one = 0, two = 0;
    Subscription s1 = subscribe(engine, "room:1", inbox, &exact);
    Subscription s2 = psubscribe(engine, "room:*", inbox, &one);
    Subscription s3 = psubscribe(engine, "room:[0-9]", inbox, &two);
    Subscription fence = subscribe(engine, "fence", inbox);
    EXPECT_EQ(publish(engine, "room:1", "x"), 3u);
    publish(engine, "fence", "end");
    std::map<void*, std::vector<std::string>> seen;
    for (Seen event = next_of(inbox, FANWIRE_EVENT_MESSAGE); event.payload != "end";
         event = next_of(inbox, FANWIRE_EVENT_MESSAGE))
        seen[event.user_data].push_back(event.channel + " by " + event.pattern.value_or("name"));
    EXPECT_EQ(seen[&exact], std::vector<std::string>{"room:1 by name"});
    EXPECT_EQ(seen[&one], std::vector<std::string>{"room:1 by room:*"});
    EXPECT_EQ(seen[&two], std::vector<std::string>{"room:1 by room:[0-9]"});
}

TEST_F(Roundtrip, NamespacesAreApartAndPatternsStayInTheirs) {
    Inbox inbox_a, inbox_b;
    Engine a = open_on(server->url(), {{"namespace", "t[ab]*?"}}), b = open_on(server->url(), {{"namespace", "ta"}});
    Subscription sub_a = psubscribe(a, "*", inbox_a), sub_b = psubscribe(b, "*", inbox_b);
    EXPECT_EQ(publish(a, "x", "from a"), 1u);  // unescaped, the pattern of `a` would match the channels of `b`
    EXPECT_EQ(publish(b, "x", "from b"), 1u);
    EXPECT_EQ(next_of(inbox_a, FANWIRE_EVENT_MESSAGE).payload, "from a");
    EXPECT_EQ(next_of(inbox_b, FANWIRE_EVENT_MESSAGE).payload, "from b");

    Inbox inbox_c;
    Engine c = open_on(server->url(), {{"namespace", ""}});
    Subscription sub_c = subscribe(c, "ta:x", inbox_c);
    EXPECT_EQ(publish(b, "x", "seen without a prefix"), 2u);
    EXPECT_EQ(next_of(inbox_c, FANWIRE_EVENT_MESSAGE).channel, "ta:x");
}

#ifdef __linux__
// Whether a read has been put off in this process: there is a timer for it from then on.
bool read_timer_exists() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) == "anon_inode:[timerfd]") return true;
    }
    return false;
}

TEST_F(Roundtrip, WhatFollowsAStreamIsReadToo) {
    Inbox inbox;
    Engine engine = open_on(server->url(), {{"max_read_delay_us", "4000"}, {"reconnect_delay_ms", "1"}});
    Subscription sub = subscribe(engine, "flow", inbox);
    const std::string large(8 * 1024 * 1024, 'x');
    ASSERT_TRUE(until([&] {
        publish(engine, "flow", large);
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, large);
        return read_timer_exists();
    }));
    publish(engine, "flow", "small");
    EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "small");
    publish(engine, "flow", large);
    RawClient(server->port()).call({"CLIENT", "KILL", "TYPE", "pubsub"});  // while reading may be put off
    EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_RESUMED).kind, FANWIRE_EVENT_RESUMED);
    publish(engine, "flow", "after");
    EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "after");
}
#endif

// How seldom it is written is judged without a clock (FlushModeration.AStreamOfPublishesIsWrittenSeldom).
TEST_F(Roundtrip, AStreamThatIsWrittenAtIntervalsComesWholeAndInOrder) {
    constexpr int publishes = 20000;
    Inbox inbox{{"inbox_count", "1000000"}};
    Engine subscriber = open_on(server->url()), engine = open_on(server->url(), {{"max_flush_delay_us", "4000"}});
    Subscription sub = subscribe(subscriber, "flow", inbox);
    for (int i = 0; i < publishes; ++i) {
        const std::string payload = std::to_string(i);
        ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "flow", 4, payload.data(), payload.size()));
    }
    for (int i = 0; i < publishes; ++i) ASSERT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, std::to_string(i));
    publish(engine, "flow", "alone");  // nothing follows that would have it written
    EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "alone");
}

TEST_F(Roundtrip, ManyMessagesInOrder) {
    constexpr int count = 200000;
    Inbox inbox{{"inbox_count", "1000000"}, {"inbox_bytes", "1GiB"}};
    Engine engine = open_on(server->url(), {{"publish_buffer_bytes", "1GiB"}});
    Subscription sub = subscribe(engine, "flow", inbox);
    std::thread publisher([&] {
        for (int i = 0; i < count; ++i) {
            const std::string payload = std::to_string(i);
            ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "flow", 4, payload.data(), payload.size()));
        }
    });
    for (int next = 0; next < count;) {
        if (!until([&] { return fanwire_inbox_wait(inbox, 1000) == FANWIRE_OK; })) break;
        for (const Seen& seen : inbox.drain()) ASSERT_EQ(seen.payload, std::to_string(next++));
    }
    publisher.join();
}

TEST_F(Roundtrip, SeveralThreadsPublishAndEachOneIsInOrder) {
    constexpr int threads = 4, each = 5000;
    Inbox inbox;
    Engine engine = open_on(server->url());
    Subscription sub = subscribe(engine, "flow", inbox);
    std::vector<std::thread> publishers;
    for (int t = 0; t < threads; ++t)
        publishers.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
                const std::string payload = std::to_string(t) + " " + std::to_string(i);
                ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "flow", 4, payload.data(), payload.size()));
            }
        });
    std::vector<int> next(threads, 0);
    for (int received = 0; received < threads * each;) {
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
        for (const Seen& seen : inbox.drain()) {
            const auto space = seen.payload.find(' ');
            ASSERT_EQ(std::stoi(seen.payload.substr(space)), next[static_cast<size_t>(std::stoi(seen.payload))]++);
            ++received;
        }
    }
    for (std::thread& thread : publishers) thread.join();
}

TEST_F(Roundtrip, OutcomesComeOnceForEachPublish) {
    Inbox inbox, outcomes;
    Engine engine = open_on(server->url());
    Subscription sub = subscribe(engine, "chat", inbox);
    int keys[1000];
    for (int& key : keys) ASSERT_STATUS(FANWIRE_OK, fanwire_publish_async(engine, "chat", 4, "x", 1, outcomes, &key));
    for (int& key : keys) {
        const Seen outcome = outcomes.next();
        ASSERT_EQ(outcome.kind, FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(outcome.status, FANWIRE_OK);
        EXPECT_EQ(outcome.count, 1u);
        EXPECT_EQ(outcome.user_data, &key);
    }
    fanwire_engine_stats stats;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine, &stats, sizeof stats));
    EXPECT_EQ(stats.published, 1000u);
    EXPECT_EQ(stats.publish_ok, 1000u);
    EXPECT_EQ(stats.publish_queued, 0u);
}

TEST_F(Roundtrip, CloseFlushesWhatWasAccepted) {
    Inbox inbox;
    Engine listener = open_on(server->url());
    Subscription sub = subscribe(listener, "chat", inbox);
    Engine engine = open_on(server->url());
    for (int i = 0; i < 20000; ++i) ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "chat", 4, "x", 1));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    fanwire_engine_stats stats;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine, &stats, sizeof stats));
    EXPECT_EQ(stats.publish_ok, 20000u);
    for (std::size_t received = 0; received < 20000;) {
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
        received += inbox.drain().size();
    }
}

TEST_F(Roundtrip, UnsubscribedMeansUnsubscribedInRedisToo) {
    Inbox inbox;
    Engine engine = open_on(server->url(), {{"unsubscribe_linger_ms", "0"}});
    RawClient foreign(server->port());
    {
        Subscription sub = subscribe(engine, "gone", inbox);
        EXPECT_EQ(foreign.call({"PUBSUB", "NUMSUB", "ws:gone"}), "[ws:gone,1]");
    }
    EXPECT_TRUE(until([&] { return foreign.call({"PUBSUB", "NUMSUB", "ws:gone"}) == "[ws:gone,0]"; }));
}

TEST_F(Roundtrip, SubscribeUnsubscribeSubscribeEndsSubscribed) {
    Inbox inbox;
    Engine engine = open_on(server->url(), {{"unsubscribe_linger_ms", "0"}});
    for (int i = 0; i < 200; ++i) {
        Subscription sub;
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(sub.out(), engine, "storm", 5, inbox, nullptr));
        if (i % 3 == 0) fanwire_subscription_wait_active(sub, deadline_ms);
    }
    Inbox last;
    Subscription sub = subscribe(engine, "storm", last);
    EXPECT_EQ(publish(engine, "storm", "x"), 1u);
    EXPECT_EQ(next_of(last, FANWIRE_EVENT_MESSAGE).payload, "x");
}

TEST_F(Roundtrip, TheClientNameIsSet) {
    Engine engine = open_on(server->url(), {{"client_name", "gateway-7"}});
    const std::string list = RawClient(server->port()).call({"CLIENT", "LIST"});
    std::size_t links = 0;
    for (std::size_t at = 0; (at = list.find("name=gateway-7 ", at)) != std::string::npos; ++at) ++links;
    EXPECT_EQ(links, 2u);
}

}  // namespace
}  // namespace integration_test
