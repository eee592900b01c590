// The link that receives: what each frame of Redis becomes, and what must break the link.
#include "core/protocol/subscribing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/protocol/link.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

struct SubscribingTest : testing::Test, Link::Listener, Subscribing::Listener {
    void link_ready() override { events.push_back("ready"); }
    void link_lost(const Error& why) override { events.push_back("lost: " + why.text); }
    void link_failed(const Error&, bool) override { events.push_back("failed"); }
    void link_retry(std::uint32_t, TimeMs) override {}
    void confirmed(Topic& topic) override { events.push_back("+" + std::string(topic.view())); }
    void lost(std::span<Topic* const>, const Error&) noexcept override {}
    void refused(Topic& topic, const Error& why) override {
        events.push_back("!" + std::string(topic.view()) + " " + why.text);
    }
    void message(const PushFrame& frame, Topic* topic) override {
        EXPECT_EQ(topic, topics.find(frame.kind, frame.name));
        events.push_back((frame.kind == TargetKind::pattern ? "p " : "m ") + std::string(frame.name) + " " +
                         std::string(frame.channel) + " " + std::string(frame.payload));
    }

    bool revoked(std::string_view word, std::string_view name) override {
        revocations.push_back(std::string(word) + " " + std::string(name));
        return knows_revocations;
    }
    void message_arriving() override { ++arriving; }

    void connect() {
        link.start(0);
        link.request();
        link.opened(0);
        link.wrote(link.output(0).size(), 0);
        link.received("+OK\r\n+PONG\r\n", 0);
        events.clear();
    }
    std::string write(TimeMs now = 0) {
        const std::string bytes(link.output(now));
        link.wrote(bytes.size(), now);
        return bytes;
    }
    void set_credentials(const char* username, const char* password, TimeMs now) {
        login.set(username, password);
        link.credentials_set(now);
    }
    std::vector<std::string> take() { return std::exchange(events, {}); }
    void want(const char* name, TargetKind kind = TargetKind::channel) {
        subscribing.want(topic_of(topics, kind, name), 0);
    }

    std::vector<std::string> events, revocations;
    int arriving = 0;
    bool knows_revocations = false;
    Topics topics;
    Login login;
    Subscribing subscribing{500, 30000, topics, *this};
    Link link{[] {
                  LinkConfig config;
                  config.handshake = {"fanwire", 0};
                  return config;
              }(),
              [] { return 0.5; }, login, subscribing, *this};
};

using Strings = std::vector<std::string>;

TEST_F(SubscribingTest, SubscribesWhatIsWantedBeforeAndAfterTheConnection) {
    want("ws:a");
    connect();
    EXPECT_EQ(write(), "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nws:a\r\n");
    want("ws:b*", TargetKind::pattern);
    EXPECT_EQ(write(), "*2\r\n$10\r\nPSUBSCRIBE\r\n$5\r\nws:b*\r\n");
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:a\r\n:1\r\n*3\r\n$10\r\npsubscribe\r\n$5\r\nws:b*\r\n:2\r\n", 1);
    EXPECT_EQ(take(), (Strings{"+ws:a", "+ws:b*"}));
    EXPECT_TRUE(subscribing.tracker().settled());
}

// What was wanted before the connection was ready is awaited until Redis has answered for it, one way or the other.
TEST_F(SubscribingTest, CountsWhatItAwaits) {
    const auto awaited = [&] { return subscribing.tracker().awaited(); };
    for (const char* name : {"ws:a", "ws:b", "ws:c", "ws:d"}) want(name);
    want("ws:a");
    EXPECT_EQ(awaited(), 4u);
    subscribing.unwant(topic_of(topics, TargetKind::channel, "ws:d"), 0);
    EXPECT_EQ(awaited(), 3u);
    connect();
    write();
    want("ws:late");
    EXPECT_EQ(awaited(), 3u) << "the connection was ready";
    link.received("-NOPERM one of them\r\n", 1);
    EXPECT_EQ(awaited(), 3u) << "each is asked for by itself";
    write();
    link.received("*3\r\n$9\r\nsubscribe\r\n$7\r\nws:late\r\n:1\r\n", 2);
    EXPECT_EQ(awaited(), 3u);
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:a\r\n:1\r\n-NOPERM b\r\n", 2);
    EXPECT_EQ(awaited(), 1u);
    subscribing.unwant(topic_of(topics, TargetKind::channel, "ws:c"), 3);
    EXPECT_EQ(awaited(), 0u);
    link.closed({Status::CONNECTION_LOST, "reset"}, 4);
    EXPECT_EQ(awaited(), 3u) << "a, b and late";
}

// A server that greets well and closes at SUBSCRIBE is not a good one: the waits grow until a subscription is
// confirmed.
TEST_F(SubscribingTest, AServerThatClosesAtSubscribeMeetsTheBackoff) {
    want("ws:a");
    connect();
    TimeMs now = 0;
    const auto wait_after_a_close = [&] {
        link.closed({Status::CONNECTION_LOST, "closed"}, now);
        const TimeMs wait = link.deadline() - now;
        now = link.deadline();
        link.tick(now);
        link.opened(now);
        link.wrote(link.output(now).size(), now);
        link.received("+OK\r\n+PONG\r\n", now);
        EXPECT_FALSE(write(now).empty());  // SUBSCRIBE
        return wait;
    };
    EXPECT_EQ(wait_after_a_close(), 75);
    EXPECT_EQ(wait_after_a_close(), 150);
    EXPECT_EQ(wait_after_a_close(), 300);
    link.received("-ERR what?\r\n", now);
    EXPECT_EQ(wait_after_a_close(), 600);
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:a\r\n:1\r\n", now);
    EXPECT_EQ(wait_after_a_close(), 75);
}

TEST_F(SubscribingTest, DeliversMessages) {
    connect();
    link.received(
        "*3\r\n$7\r\nmessage\r\n$4\r\nws:a\r\n$5\r\nhello\r\n"
        "*4\r\n$8\r\npmessage\r\n$4\r\nws:*\r\n$4\r\nws:a\r\n$0\r\n\r\n",
        1);
    EXPECT_EQ(take(), (Strings{"m ws:a ws:a hello", "p ws:* ws:a "}));
}

TEST_F(SubscribingTest, UnderstandsBothShapesOfPong) {
    connect();
    link.tick(link.deadline());
    EXPECT_EQ(write(), "*1\r\n$4\r\nPING\r\n");
    link.received("*2\r\n$4\r\npong\r\n$0\r\n\r\n", 1001);
    link.tick(link.deadline());
    write();
    link.received("+PONG\r\n", 2002);
    EXPECT_EQ(link.state(), Link::State::ready);
    EXPECT_FALSE(subscribing.tracker().under_way());
}

TEST_F(SubscribingTest, AnUnansweredSubscribeEndsTheLink) {
    connect();
    want("ws:a");
    write(10);
    EXPECT_EQ(link.deadline(), 4010);
    link.tick(4010);
    EXPECT_EQ(take(), Strings{"lost: no answer to SUBSCRIBE within 4000 ms"});
}

TEST_F(SubscribingTest, FramesThatAnswerNothingBreakTheLink) {
    for (const char* frame :
         {":1\r\n", "+OK\r\n", "+PONG\r\n", "-ERR what\r\n", "$-1\r\n", "*0\r\n", "*1\r\n$7\r\nmessage\r\n",
          "*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\nb\r\n", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nws:a\r\n:0\r\n",
          "*3\r\n$5\r\nwhat?\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n*1\r\n:1\r\n:2\r\n",
          "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n"}) {
        connect();
        link.received(frame, 1);
        EXPECT_EQ(link.state(), Link::State::waiting) << frame;
        ASSERT_EQ(events.size(), 1u) << frame;
        EXPECT_NE(events[0].find("lost"), std::string::npos) << frame;
    }
}

TEST_F(SubscribingTest, ReplaysAfterABreak) {
    want("ws:a");
    connect();
    write();
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:a\r\n:1\r\n", 1);
    link.closed({Status::CONNECTION_LOST, "reset"}, 2);
    link.tick(link.deadline());
    take();
    connect();
    EXPECT_EQ(write(), "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nws:a\r\n");
}

TEST_F(SubscribingTest, TheSameUserIsNotDisturbedAndAnotherConnectsAgain) {
    want("ws:a");
    connect();
    write();
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:a\r\n:1\r\n", 1);
    take();
    set_credentials("", "new password", 2);
    EXPECT_EQ(link.state(), Link::State::ready);
    EXPECT_EQ(write(2), "");
    set_credentials("me", "secret", 2);
    EXPECT_EQ(link.state(), Link::State::ready);  // who knows whether they are right
    subscribing.login_proven(3);
    EXPECT_EQ(take(), Strings{"lost: connecting again as another user"});
    EXPECT_EQ(link.request(), Link::Request::close);
    EXPECT_EQ(link.deadline(), 3);
    link.tick(3);
    link.request();
    link.opened(3);
    EXPECT_TRUE(write(3).starts_with("*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n"));
    link.received("+OK\r\n+OK\r\n+PONG\r\n", 4);
    EXPECT_EQ(take(), Strings{"ready"});
    subscribing.login_proven(5);  // it is theirs already
    EXPECT_EQ(link.state(), Link::State::ready);
}

// What Redis ends without being asked is the owner's to judge: of one server it is a fault.
TEST_F(SubscribingTest, AnUnaskedUnsubscribeIsReported) {
    const std::string moved = "*3\r\n$12\r\nsunsubscribe\r\n$4\r\nws:s\r\n:0\r\n";
    const std::string ended = "*3\r\n$11\r\nunsubscribe\r\n$4\r\nws:a\r\n:0\r\n";
    want("ws:a");
    connect();
    write();
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:a\r\n:1\r\n", 1);
    take();
    knows_revocations = true;
    for (const std::string& bytes : {moved, ended, moved.substr(0, 9), moved.substr(9)}) link.received(bytes, 2);
    EXPECT_EQ(link.state(), Link::State::ready);
    EXPECT_EQ(revocations, (Strings{"sunsubscribe ws:s", "unsubscribe ws:a", "sunsubscribe ws:s"}));
    link.received("*3\r\n$9\r\nsubscribe\r\n$4\r\nws:x\r\n:1\r\n", 3);
    EXPECT_EQ(link.state(), Link::State::waiting) << "nobody revokes by subscribing";
}

TEST_F(SubscribingTest, AnUnaskedUnsubscribeOfOneServerEndsTheLink) {
    for (const char* word : {"sunsubscribe", "unsubscribe", "punsubscribe"}) {
        connect();
        link.received("*3\r\n$" + std::to_string(std::string(word).size()) + "\r\n" + word + "\r\n$1\r\na\r\n:0\r\n",
                      2);
        EXPECT_EQ(revocations.back(), std::string(word) + " a");
        EXPECT_EQ(take(), Strings{"lost: the server sent a reply that answers nothing we asked"});
        EXPECT_EQ(link.state(), Link::State::waiting);
    }
}

struct OutputBufferTest : SubscribingTest {
    Subscribing asking{500, 30000, topics, *this};
    Link asking_link{[] {
                         LinkConfig config;
                         config.handshake = {"", 0, true};
                         return config;
                     }(),
                     [] { return 0.5; }, login, asking, *this};

    // Connects to a server whose INFO stats says this.
    void greet(const std::string& info, TimeMs now) {
        asking_link.start(now);
        asking_link.request();
        asking_link.opened(now);
        EXPECT_EQ(asking_link.output(now), "*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n*1\r\n$4\r\nPING\r\n");
        asking_link.wrote(asking_link.output(now).size(), now);
        asking_link.received(info + "+PONG\r\n", now);
        EXPECT_EQ(asking_link.state(), Link::State::ready);
    }
    static std::string info(int connections, int kills) {
        const std::string text = "# Stats\r\ntotal_connections_received:" + std::to_string(connections) +
                                 "\r\nclient_query_buffer_limit_disconnections:9\r\n"
                                 "client_output_buffer_limit_disconnections:" +
                                 std::to_string(kills) + "\r\n";
        return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    }
    void lose(Status status, TimeMs now) { asking_link.closed({status, "closed"}, now); }
};

TEST_F(OutputBufferTest, AGrownCountTellsWhoClosedTheConnection) {
    greet(info(1, 3), 0);
    EXPECT_FALSE(asking.output_buffer_killed());
    lose(Status::CONNECTION_LOST, 10);
    greet(info(3, 4), 20);
    EXPECT_TRUE(asking.output_buffer_killed());
    lose(Status::CONNECTION_LOST, 30);
    greet(info(5, 4), 40);  // nobody was killed this time
    EXPECT_FALSE(asking.output_buffer_killed());
}

TEST_F(OutputBufferTest, WhatWeBreakOurselvesIsNotPutDownToRedis) {
    greet(info(1, 3), 0);
    asking_link.renew({Status::CONNECTION_LOST, "our own decision"}, 10);
    greet(info(3, 4), 20);  // another client was killed meanwhile
    EXPECT_FALSE(asking.output_buffer_killed());
}

TEST_F(SubscribingTest, PartsOfALargeMessageAreToldAndAPongIsNot) {
    connect();
    link.received("*3\r\n$7\r\nmessage\r\n$4\r\nws:a\r\n$100\r\nxx", 1);
    EXPECT_EQ(arriving, 1);
    link.received(std::string(50, 'x'), 2);
    EXPECT_EQ(arriving, 2);
    link.received(std::string(48, 'x') + "\r\n", 3);
    EXPECT_EQ(arriving, 2);
    link.tick(5000);  // asks
    link.received("*2\r\n$4\r\npong\r\n$0\r\n\r\n", 5001);
    EXPECT_EQ(arriving, 2);
}

TEST_F(OutputBufferTest, WhatCannotBeKnownIsNotClaimed) {
    greet(info(10, 3), 0);
    lose(Status::TIMEOUT, 10);  // it was us who closed it
    greet(info(12, 4), 20);
    EXPECT_FALSE(asking.output_buffer_killed());
    lose(Status::CONNECTION_LOST, 30);
    greet(info(2, 5), 40);  // another life of the server
    EXPECT_FALSE(asking.output_buffer_killed());
    for (const std::string silent : {"-NOPERM no info\r\n", "$0\r\n\r\n", "$7\r\n# Stats\r\n", "+OK\r\n"}) {
        lose(Status::CONNECTION_LOST, 50);
        greet(silent, 60);
        EXPECT_FALSE(asking.output_buffer_killed()) << silent;
    }
    lose(Status::CONNECTION_LOST, 70);
    greet(info(5, 6), 80);  // against nothing
    EXPECT_FALSE(asking.output_buffer_killed());
}

}  // namespace
}  // namespace fanwire::core
