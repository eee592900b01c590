// How many subscribers channels have: PUBSUB NUMSUB of a running Redis.
#include "tests/capi/asking.h"
#include "tests/integration/support.h"

namespace integration_test {
namespace {

TEST(Numsub, IsWhatRedisCounts) {
    RedisServer server;
    Engine a = open_on(server.url()), b = open_on(server.url()),
           other = open_on(server.url(), {{"namespace", "other"}});
    Inbox inbox;
    const std::string binary("b\0\r\nb", 5);
    Subscription x = subscribe(a, "x", inbox), again = subscribe(a, "x", inbox), more = subscribe(b, "x", inbox),
                 pattern = psubscribe(b, "*", inbox), bytes = subscribe(b, binary, inbox),
                 apart = subscribe(other, "x", inbox);
    RawClient foreign(server.port());
    foreign.call({"SUBSCRIBE", "ws:x"});
    EXPECT_EQ(numsub(a, {"x", "y", binary, "x"}), (Counts{3, 0, 1, 3}));
    EXPECT_EQ(numsub(other, {"x"}), Counts{1});
    EXPECT_EQ(numsub(a, std::vector<std::string>(1024, "x")), Counts(1024, 3));
    EXPECT_EQ(numsub(a, {}), Counts{});
}

TEST(Numsub, StandsAmongPublishes) {
    RedisServer server;
    Engine engine = open_on(server.url());
    Inbox outcomes;
    for (int i = 0; i < 300; ++i) {
        ASSERT_STATUS(FANWIRE_OK,
                      publish_async(engine, "x", std::string(static_cast<std::size_t>(i * 50), 'x'), outcomes));
        if (i % 3 == 0) {
            ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"x"}, outcomes));
        }
    }
    int published = 0, answered = 0;
    while (published + answered < 400) {
        const Seen seen = outcomes.next();
        ASSERT_EQ(FANWIRE_OK, seen.status) << seen.text;
        ++(seen.kind == FANWIRE_EVENT_PUBLISHED ? published : answered);
    }
    EXPECT_EQ(100, answered);
}

TEST(Numsub, IsAskedAgainAfterABreak) {
    RedisServer server;
    Engine engine = open_on(server.url(), {{"reconnect_delay_ms", "5"}, {"publish_timeout_ms", "60000"}});
    Inbox inbox, numbers;
    Subscription x = subscribe(engine, "x", inbox);
    server.pause();
    ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"x"}, numbers));  // written, and never answered
    fanwire_engine_stats stats{};
    ASSERT_TRUE(until([&] {
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine, &stats, sizeof stats));
        return stats.bytes_out > 0;
    }));
    server.kill();
    next_of(inbox, FANWIRE_EVENT_LOST);
    ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"x"}, numbers));
    server.start();
    for (int i = 0; i < 2; ++i) {
        const Seen seen = numbers.next(FANWIRE_EVENT_NUMSUB);
        EXPECT_EQ(FANWIRE_OK, seen.status) << seen.text;
        EXPECT_EQ(8u, seen.payload.size());
    }
    next_of(inbox, FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(numsub(engine, {"x"}), Counts{1});
}

TEST(Numsub, WhatIsForbiddenSaysSoAndHurtsNothingElse) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ("OK", admin.call({"ACL", "SETUSER", "app", "on", ">secret", "resetchannels", "-@all", "&ws:*", "+publish",
                                "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe", "+ping",
                                "+client|setname", "+info"}));
    Engine engine = open_on(server.url(), {{"username", "app"}, {"password", "secret"}});
    Inbox numbers;
    ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"x"}, numbers));
    const Seen seen = numbers.next(FANWIRE_EVENT_NUMSUB);
    EXPECT_EQ(FANWIRE_NO_PERMISSION, seen.status);
    EXPECT_NE(std::string::npos, seen.text.find("NUMSUB")) << seen.text;
    EXPECT_EQ(0u, publish(engine, "x", "m"));
    ASSERT_EQ("OK", admin.call({"ACL", "SETUSER", "app", "+pubsub|numsub"}));
    EXPECT_EQ(numsub(engine, {"x"}), Counts{0});
}

TEST(Numsub, AServerThatDoesNotAnswerIsATimeout) {
    RedisServer server;
    Engine engine = open_on(server.url(), {{"publish_timeout_ms", "50"}});
    Inbox numbers;
    server.pause();
    ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"x"}, numbers));
    EXPECT_EQ(FANWIRE_TIMEOUT, numbers.next(FANWIRE_EVENT_NUMSUB).status);
    server.resume();
    EXPECT_EQ(numsub(engine, {"x"}), Counts{0});
}

}  // namespace
}  // namespace integration_test
