// Whom Redis takes us for: rotating passwords, other users, refusals; and the smallest rights that are enough.
#include "tests/integration/support.h"
#include "tests/support/fault_proxy.h"

namespace integration_test {
namespace {

using fanwire::test::FaultProxy;

struct Credentials : testing::Test {
    RedisServer server;
    RawClient admin{server.port()};
    Inbox inbox, events;

    void acl(const std::vector<std::string>& words) {
        std::vector<std::string> command = {"ACL"};
        command.insert(command.end(), words.begin(), words.end());
        ASSERT_EQ(admin.call(command), "OK");
    }
    Engine open(const std::string& user, const std::string& password) {
        return open_on(server.url(),
                       {{"username", user},
                        {"password", password},
                        {"reconnect_delay_ms", "10"},
                        {"max_reconnect_delay_ms", "50"}},
                       &events);
    }
    // Who is logged in on our connections, "pub:user sub:user".
    std::string users() {
        std::string pub, sub;
        const std::string list = admin.call({"CLIENT", "LIST"});
        for (std::size_t at = 0; at < list.size();) {
            const std::size_t end = std::min(list.find('\n', at), list.size());
            const std::string line = list.substr(at, end - at);
            at = end + 1;
            if (line.find("name=fanwire") == line.npos) continue;
            const std::size_t user = line.find("user=") + 5;
            (line.find(" sub=0") == line.npos ? sub : pub) = line.substr(user, line.find(' ', user) - user);
        }
        return "pub:" + pub + " sub:" + sub;
    }
};

TEST_F(Credentials, ANewPasswordIsUsedWithoutABreak) {
    acl({"SETUSER", "app", "on", ">old", "~*", "&*", "+@all"});
    Engine engine = open("app", "old");
    Subscription subscription = subscribe(engine, "chat", inbox);
    acl({"SETUSER", "app", "<old", ">new"});
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "app", "new"));
    EXPECT_EQ(publish(engine, "chat", "goes on"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "goes on");
    EXPECT_EQ(stats_of(engine).disconnects, 0u);

    // A connection made later logs in with the new one.
    admin.call({"CLIENT", "KILL", "TYPE", "pubsub"});
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_LOST).status, FANWIRE_CONNECTION_LOST);
    inbox.next(FANWIRE_EVENT_GAP);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_TRUE(until([&] { return stats_of(engine).connected == 1; }));
    EXPECT_EQ(stats_of(engine).connect_errors, 0u);
}

TEST_F(Credentials, ARefusedPasswordIsToldAndChangesNothing) {
    acl({"SETUSER", "app", "on", ">right", "~*", "&*", "+@all"});
    Engine engine = open("app", "right");
    Subscription subscription = subscribe(engine, "chat", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "app", "hunter2"));
    const Seen error = next_of(events, FANWIRE_EVENT_ERROR);
    EXPECT_EQ(error.status, FANWIRE_AUTH_FAILED);
    EXPECT_NE(error.text.find("WRONGPASS"), std::string::npos) << error.text;
    EXPECT_EQ(error.text.find("hunter2"), std::string::npos);
    EXPECT_TRUE(error.will_reconnect);
    EXPECT_EQ(publish(engine, "chat", "goes on"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "goes on");
}

TEST_F(Credentials, AnotherUserMakesTheSubscribeLinkAnew) {
    acl({"SETUSER", "one", "on", ">1", "~*", "&*", "+@all"});
    acl({"SETUSER", "two", "on", ">2", "~*", "&*", "+@all"});
    Engine engine = open("one", "1");
    Subscription subscription = subscribe(engine, "chat", inbox);
    EXPECT_EQ(users(), "pub:one sub:one");
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "two", "2"));
    const Seen lost = inbox.next(FANWIRE_EVENT_LOST);
    EXPECT_NE(lost.text.find("another user"), std::string::npos) << lost.text;
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_GAP).reason, FANWIRE_GAP_RECONNECT);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(publish(engine, "chat", "as two"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "as two");
    EXPECT_EQ(users(), "pub:two sub:two");
}

TEST_F(Credentials, AnUnknownUserDoesNotTakeTheLiveLinksDown) {
    acl({"SETUSER", "app", "on", ">right", "~*", "&*", "+@all"});
    Engine engine = open("app", "right");
    Subscription subscription = subscribe(engine, "chat", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "nobody", "x"));
    EXPECT_EQ(next_of(events, FANWIRE_EVENT_ERROR).status, FANWIRE_AUTH_FAILED);
    EXPECT_EQ(publish(engine, "chat", "goes on"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "goes on");
    EXPECT_EQ(users(), "pub:app sub:app");

    // Another user while that one is still wrong: the links go over to it.
    acl({"SETUSER", "two", "on", ">2", "~*", "&*", "+@all"});
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "two", "2"));
    inbox.next(FANWIRE_EVENT_LOST);
    inbox.next(FANWIRE_EVENT_GAP);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(publish(engine, "chat", "as two"), 1u);
    EXPECT_EQ(users(), "pub:two sub:two");
}

// They come while both links greet with the old ones, and are wrong: the publish link finds out, the subscribe link is
// not risked for them.
TEST_F(Credentials, WhatNothingHasProvedRenewsNoLink) {
    acl({"SETUSER", "app", "on", ">right", "~*", "&*", "+@all"});
    FaultProxy proxy(server.port());
    FaultProxy::Shape slow;
    slow.latency = std::chrono::milliseconds(300);
    proxy.shape(slow);
    Options options(
        {{"url", proxy.url()}, {"username", "app"}, {"password", "right"}, {"connect_timeout_ms", "30000"}});
    ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, events, nullptr));
    Engine engine;
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "chat", 4, inbox, nullptr));
    ASSERT_TRUE(until([&] { return proxy.counts().accepted == 2 && stats_of(engine).bytes_out >= 200; }));
    ASSERT_EQ(stats_of(engine).bytes_in, 0u);  // both have asked, and nothing is answered
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "nobody", "x"));
    inbox.next(FANWIRE_EVENT_ACTIVE);
    EXPECT_EQ(next_of(events, FANWIRE_EVENT_ERROR).status, FANWIRE_AUTH_FAILED);
    proxy.shape({});
    EXPECT_EQ(publish(engine, "chat", "goes on"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "goes on");
    EXPECT_EQ(stats_of(engine).disconnects, 0u);
    EXPECT_EQ(stats_of(engine).connect_errors, 0u);
}

TEST_F(Credentials, TheyEndTheWaitOfAnEngineThatCouldNotLogIn) {
    acl({"SETUSER", "app", "on", ">right", "~*", "&*", "+@all"});
    Options options({{"url", server.url()},
                     {"username", "app"},
                     {"password", "wrong"},
                     {"reconnect_delay_ms", "600000"},
                     {"max_reconnect_delay_ms", "600000"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    EXPECT_STATUS(FANWIRE_AUTH_FAILED, fanwire_engine_wait_connected(engine, deadline_ms));
    EXPECT_TRUE(until([&] {  // both links have been refused
        return stats_of(engine).bytes_in >= 2 * std::string("-WRONGPASS").size() &&
               stats_of(engine).publish_link + stats_of(engine).subscribe_link == 0;
    }));
    EXPECT_TRUE(until([&] {
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_set_credentials(engine, "app", "right"));
        return stats_of(engine).connected == 1;
    }));
}

// The rule that the README gives.
TEST_F(Credentials, TheSmallestRightsAreEnough) {
    acl({"SETUSER", "app", "on", ">secret", "resetkeys", "resetchannels", "-@all", "&ws:*", "+publish", "+subscribe",
         "+psubscribe", "+unsubscribe", "+punsubscribe", "+ping", "+client|setname", "+info"});
    Engine engine = open("app", "secret");
    Subscription exact = subscribe(engine, "chat", inbox);
    EXPECT_EQ(publish(engine, "chat", "hello"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "hello");

    // A pattern has to stand in the rules as it is.
    Inbox patterns;
    Subscription pattern;
    ASSERT_STATUS(FANWIRE_OK, fanwire_psubscribe(pattern.out(), engine, "c*", 2, patterns, nullptr));
    EXPECT_EQ(patterns.next(FANWIRE_EVENT_FAILED).status, FANWIRE_NO_PERMISSION);
    Subscription all = psubscribe(engine, "*", inbox);
    EXPECT_EQ(publish(engine, "chat", "to both"), 2u);

    fanwire_health health{};
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_health(engine, &health, sizeof health));
    EXPECT_EQ(health.verdict, FANWIRE_HEALTH_DEGRADED);
    EXPECT_EQ(health.status, FANWIRE_NO_PERMISSION);
    EXPECT_EQ(health.refused, 1u);
}

}  // namespace
}  // namespace integration_test
