// The link that sends: what happens to publishes as it comes, goes and gives up.
#include "core/protocol/publishing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/protocol/error_reply.h"
#include "core/protocol/link.h"
#include "core/protocol/publish_command.h"

namespace fanwire::core {
namespace {

struct PublishingTest : testing::Test, Link::Listener, Publishing::Listener {
    void link_ready() override { events.push_back("ready"); }
    void link_lost(const Error& why) override { events.push_back("lost: " + why.text); }
    void link_failed(const Error&, bool) override {}
    void link_retry(std::uint32_t, TimeMs) override {}
    void link_login_refused(const Error& why) override { events.push_back("refused: " + why.text); }
    void probe_answered(const Outcome& outcome) override {
        events.push_back(outcome.error ? "probe: " + outcome.error.text : "probe " + std::to_string(outcome.receivers));
    }

    Rejection publish_rejected(const Reply& reply) override {
        if (!rejection) return rejection_by_one_server(reply);
        events.push_back("rejected: " + std::string(reply.text()));
        return *rejection;
    }
    void numsub_answered(const Reply& reply) override {
        events.push_back(reply.is(ReplyType::error) ? "numsub: " + std::string(reply.text())
                                                    : "numsub " + std::to_string(reply.size()));
    }

    void open(Offline offline) {
        LinkConfig config;
        config.handshake = {"fanwire", 0};
        link = nullptr;
        publishing = std::make_unique<Publishing>(
            offline, *this,
            [this](const SettledRun& run) {
                for (const Settled& publish : run.publishes) {
                    const std::string name = find_status(static_cast<int>(run.error.status))->name;
                    events.push_back(link_detail ? text_of(run, publish) : name);
                }
            },
            [](std::size_t, std::size_t) {}, CommandQueue::Retention::until_answered);
        link = std::make_unique<Link>(
            config, [] { return 0.5; }, login, *publishing, *this);
    }
    void connect(TimeMs now = 0) {
        link->start(now);
        link->request();
        link->opened(now);
        link->wrote(link->output(now).size(), now);
        link->received("+OK\r\n+PONG\r\n", now);
    }
    void publish(const std::string& payload, TimeMs deadline = never) {
        PublishBatch batch;
        batch.deadline = deadline;
        batch.add(publish_command, "ws:", "a", payload);
        publishing->publish(batch);
    }
    void set_credentials(const char* username, const char* password, TimeMs now) {
        login.set(username, password);
        link->credentials_set(now);
    }
    static std::string text_of(const SettledRun& run, const Settled& publish) {
        return std::to_string(reinterpret_cast<std::uintptr_t>(publish.user_data)) + " " +
               find_status(static_cast<int>(run.error.status))->name + " " + std::to_string(publish.receivers);
    }
    std::vector<std::string> take() { return std::exchange(events, {}); }

    std::vector<std::string> events;
    std::optional<Rejection>
        rejection;             // what becomes of publishes that are not answered by a number, if not the usual
    bool link_detail = false;  // tell of each publish which it was and how many received it
    Login login;
    std::unique_ptr<Publishing> publishing;
    std::unique_ptr<Link> link;
};

using Strings = std::vector<std::string>;

TEST_F(PublishingTest, WaitsForTheConnection) {
    open(Offline::queue);
    publish("early");
    EXPECT_TRUE(link->output(0).empty());
    connect();
    EXPECT_NE(link->output(0).find("early"), std::string_view::npos);
    link->wrote(link->output(0).size(), 0);
    link->received(":1\r\n", 1);
    EXPECT_EQ(take(), (Strings{"ready", "OK"}));
}

TEST_F(PublishingTest, OfflineFailDoesNotWait) {
    open(Offline::fail);
    publish("early");
    EXPECT_EQ(take(), Strings{"NOT_CONNECTED"});
    connect();
    publish("unsent");
    link->closed({Status::CONNECTION_LOST, "reset"}, 1);
    EXPECT_EQ(take(), (Strings{"ready", "NOT_CONNECTED", "lost: reset"}));
}

// What cannot be the outcome of a publish says nothing about it, and must not make it forgotten.
TEST_F(PublishingTest, AnAnswerOfTheWrongKindBreaksTheLinkAndSettlesThePublish) {
    for (const char* answer : {"+OK\r\n", "$-1\r\n", "*0\r\n", "$1\r\nx\r\n"}) {
        open(Offline::queue);
        connect();
        publish("first");
        publish("second");
        link->wrote(link->output(0).size(), 0);
        link->received(std::string(":1\r\n") + answer, 1);
        EXPECT_EQ(link->state(), Link::State::waiting) << answer;
        const Strings seen = take();
        ASSERT_EQ(seen.size(), 4u) << answer;
        EXPECT_EQ(seen[1], "OK");
        EXPECT_EQ(seen[2], "OUTCOME_UNKNOWN");
        EXPECT_EQ(publishing->queue().unsettled(), 0u) << answer;
    }
}

// The owner may know where it belongs; what Redis says of it does not end the link.
TEST_F(PublishingTest, ARejectedPublishIsTakenOutAndTheLinkGoesOn) {
    open(Offline::queue);
    connect();
    rejection = Rejection::take_out;
    for (const char* payload : {"1", "2", "3"}) publish(payload);
    while (!link->output(0).empty()) link->wrote(link->output(0).size(), 0);
    link->received("-MOVED 12 h:7001\r\n:1\r\n+what?\r\n", 1);
    EXPECT_EQ(take(), (Strings{"ready", "rejected: MOVED 12 h:7001", "OK", "rejected: what?"}));
    EXPECT_EQ(link->state(), Link::State::ready);
    EXPECT_EQ(link->deadline(), 1001) << "nothing is expected of it any more";
    std::string bytes;
    for (const PublishBatch& batch : publishing->take_rejected())
        for (const ByteChunk& chunk : batch.chunks) bytes += chunk.view();
    EXPECT_NE(bytes.find("\r\n1\r\n*3"), bytes.npos) << bytes;
    EXPECT_TRUE(bytes.ends_with("\r\n3\r\n")) << bytes;
    EXPECT_EQ(publishing->queue().unsettled(), 0u);
}

TEST_F(PublishingTest, ANumsubIsAnsweredAmongPublishesByAnArrayOrAnError) {
    open(Offline::queue);
    connect();
    publish("1");
    publishing->ask_numsub("*2\r\n$6\r\nPUBSUB\r\n$6\r\nNUMSUB\r\n");
    publishing->ask_numsub("*2\r\n$6\r\nPUBSUB\r\n$6\r\nNUMSUB\r\n");
    publish("2");
    while (!link->output(0).empty()) link->wrote(link->output(0).size(), 0);
    link->received(":1\r\n*2\r\n$1\r\nx\r\n:3\r\n-NOPERM no\r\n:2\r\n", 1);
    EXPECT_EQ(take(), (Strings{"ready", "OK", "numsub 2", "numsub: NOPERM no", "OK"}));
    EXPECT_FALSE(publishing->queue().awaits_reply());

    publishing->ask_numsub("*2\r\n$6\r\nPUBSUB\r\n$6\r\nNUMSUB\r\n");
    link->wrote(link->output(1).size(), 1);
    link->received(":1\r\n", 2);
    EXPECT_EQ(link->state(), Link::State::waiting) << "a number is no answer to it";
    EXPECT_TRUE(publishing->queue().idle()) << "and it is forgotten with the link";
}

// A number is read by one way, an error by another: in one read, both leave the link owing nothing.
TEST_F(PublishingTest, MixedAnswersInOneReadLeaveAnIdleLinkAlive) {
    for (const char* answers : {":1\r\n-ERR no\r\n:1\r\n", "-ERR no\r\n:1\r\n:1\r\n", ":1\r\n:1\r\n-ERR no\r\n"}) {
        open(Offline::queue);
        connect();
        for (const char* payload : {"1", "2", "3"}) publish(payload);
        link->wrote(link->output(0).size(), 0);
        link->received(answers, 10);
        EXPECT_EQ(link->deadline(), 1010) << "asked when it has been idle, owing nothing";
        link->tick(1010);
        EXPECT_NE(link->output(1010).find("PING"), std::string_view::npos);
        link->wrote(link->output(1010).size(), 1010);
        link->received("+PONG\r\n", 1020);
        link->tick(5000);
        EXPECT_EQ(link->state(), Link::State::ready) << answers;
    }
}

TEST_F(PublishingTest, NoPingQueuesUpBehindWhatCannotBeWritten) {
    open(Offline::queue);
    connect();
    publish(std::string(1000, 'x'));
    link->wrote(10, 0);
    for (TimeMs now = 1000; now < 3000; now += 100) link->tick(now);
    const std::string rest(link->output(3000));
    EXPECT_EQ(rest.find("PING"), rest.npos);
    EXPECT_EQ(publishing->queue().has_unsent(), true);
    link->wrote(rest.size(), 3000);
    EXPECT_TRUE(link->output(3000).empty());
}

// The answer to an AUTH that a break has swallowed is not awaited on the next connection.
TEST_F(PublishingTest, APasswordStaysUntoldAfterABreakDuringALogin) {
    open(Offline::queue);
    connect();
    set_credentials("", "first1", 1);
    link->wrote(link->output(1).size(), 1);
    link->closed({Status::CONNECTION_LOST, "reset"}, 2);
    link->start(3);
    link->request();
    link->opened(3);
    link->wrote(link->output(3).size(), 3);
    link->received("+OK\r\n+OK\r\n+PONG\r\n", 3);
    ASSERT_EQ(link->state(), Link::State::ready);
    take();
    set_credentials("", "hunter2", 4);
    link->wrote(link->output(4).size(), 4);
    link->received("-ERR what is hunter2?\r\n", 5);
    EXPECT_EQ(take(), Strings{"refused: AUTH: the server does not accept the command"});
}

// Of a batch of which a part is written.
TEST_F(PublishingTest, AnAnswerToWhatIsNotSentBreaksTheLink) {
    open(Offline::queue);
    connect();
    PublishBatch batch;
    batch.deadline = never;
    for (const char* payload : {"1", "2"}) batch.add(publish_command, "ws:", "a", payload);
    publishing->publish(batch);
    link->wrote(link->output(0).size() / 2, 0);
    link->received(":1\r\n:1\r\n", 1);
    EXPECT_EQ(link->state(), Link::State::waiting);
    EXPECT_EQ(take()[1], "OK");
    EXPECT_EQ(publishing->queue().unsettled(), 1u) << "the second one is still to be sent";
}

TEST_F(PublishingTest, AnAnswerToNothingBreaksTheLink) {
    open(Offline::queue);
    connect();
    link->received(":1\r\n", 1);
    EXPECT_EQ(link->state(), Link::State::waiting);
}

TEST_F(PublishingTest, PingsAnIdleLinkOnly) {
    open(Offline::queue);
    connect();
    link->tick(1000);
    EXPECT_EQ(link->output(1000), "*1\r\n$4\r\nPING\r\n");
    link->wrote(link->output(1000).size(), 1000);
    link->received("+PONG\r\n", 1001);
    publish("x");
    link->wrote(link->output(1500).size(), 1500);
    EXPECT_EQ(link->deadline(), 5500);  // the answer to the publish is awaited instead
    link->tick(5500);
    EXPECT_EQ(take(), (Strings{"ready", "OUTCOME_UNKNOWN", "lost: no answer to PUBLISH within 4000 ms"}));
}

// The reader gets the answer that a read has cut in two, and no more: the others are told in runs.
TEST_F(PublishingTest, AnAnswerCutInTwoLeavesTheOthersToTheScan) {
    const std::size_t count = 60;
    std::string answers;
    std::vector<std::size_t> expected;
    for (std::size_t i = 0; i < count; ++i) {
        expected.push_back(i * i * i);
        answers += ":" + std::to_string(i * i * i) + "\r\n";
    }
    for (std::size_t cut = 0; cut <= answers.size(); ++cut) {
        SCOPED_TRACE(cut);
        std::vector<std::size_t> receivers;
        std::size_t runs = 0;
        LinkConfig config;
        config.handshake = {"fanwire", 0};
        Publishing several(
            Offline::queue, *this,
            [&](const SettledRun& run) {
                ++runs;
                for (const Settled& publish : run.publishes) receivers.push_back(publish.receivers);
            },
            [](std::size_t, std::size_t) {});
        Link its_link(
            config, [] { return 0.5; }, login, several, *this);
        its_link.start(0);
        its_link.request();
        its_link.opened(0);
        its_link.wrote(its_link.output(0).size(), 0);
        its_link.received("+OK\r\n+PONG\r\n", 0);
        ASSERT_EQ(its_link.state(), Link::State::ready);
        PublishBatch batch;
        for (std::size_t i = 0; i < count; ++i) batch.add(publish_command, "", "c", "p");
        several.publish(batch);
        its_link.wrote(its_link.output(0).size(), 0);
        its_link.received(std::string_view(answers).substr(0, cut), 1);
        its_link.received(std::string_view(answers).substr(cut), 1);
        EXPECT_EQ(receivers, expected);
        EXPECT_LE(runs, 3u);
        EXPECT_TRUE(several.queue().idle());
        EXPECT_EQ(its_link.state(), Link::State::ready);
    }
}

TEST_F(PublishingTest, ABurstOfAnswersLeavesAnIdleLink) {
    open(Offline::queue);
    connect();
    for (int i = 0; i < 3; ++i) publish("x");
    link->wrote(link->output(10).size(), 10);
    link->received(":1\r\n:1\r\n:1\r\n", 20);
    EXPECT_EQ(link->deadline(), 1020);  // nothing is awaited: the next thing to do is a PING
    link->tick(1020);
    EXPECT_EQ(link->output(1020), "*1\r\n$4\r\nPING\r\n");
    EXPECT_EQ(link->state(), Link::State::ready);
}

// A large publish takes its time on a slow connection: as long as bytes go out the link lives.
TEST_F(PublishingTest, ALargePublishOnASlowConnectionIsNoSilence) {
    open(Offline::queue);
    connect();
    publish(std::string(1000000, 'x'));
    TimeMs now = 0;
    while (link->output(now).size() > 10000) {
        link->wrote(10000, now);
        now += 500;
        link->tick(now);
        ASSERT_EQ(link->state(), Link::State::ready);
    }
    link->wrote(link->output(now).size(), now);
    link->received(":1\r\n", now + 10);
    EXPECT_EQ(take(), (Strings{"ready", "OK"}));

    publish(std::string(1000000, 'x'));
    link->wrote(10000, now);  // and then nothing goes out any more
    for (int i = 0; i < 20; ++i) link->tick(now += 500);
    EXPECT_EQ(link->state(), Link::State::waiting);
}

// Redis refuses a command that is too large by its first bytes and closes: the others go on, on a new connection.
TEST_F(PublishingTest, AnErrorWhileAPublishIsBeingWrittenIsItsOutcome) {
    link_detail = false;
    open(Offline::queue);
    connect();
    publish(std::string(1000000, 'x'));
    publish("small");
    link->wrote(5000, 1);
    link->received("-ERR Protocol error: invalid bulk length\r\n", 2);
    EXPECT_EQ(link->state(), Link::State::waiting);
    EXPECT_EQ(link->deadline(), 2) << "at once";
    EXPECT_EQ(
        take(),
        (Strings{"ready", "REDIS_ERROR",
                 "lost: the server refused what was being sent: PUBLISH: ERR Protocol error: invalid bulk length"}));
    connect(3);
    EXPECT_NE(link->output(3).find("small"), std::string_view::npos);
    link->wrote(link->output(3).size(), 3);
    link->received(":1\r\n", 4);
    EXPECT_EQ(take(), (Strings{"ready", "OK"}));
    publish("next");
    link->received("-ERR out of the blue\r\n", 5);
    EXPECT_EQ(link->state(), Link::State::waiting) << "nothing is written: it answers nothing";
}

TEST_F(PublishingTest, HavingGivenUpItFailsEverything) {
    open(Offline::queue);
    connect();
    publish("sent");
    link->wrote(link->output(0).size(), 0);
    publish("unsent");
    link->give_up({Status::CONNECT_FAILED, "refused"}, 0);
    publish("late");
    EXPECT_EQ(take(), (Strings{"ready", "OUTCOME_UNKNOWN", "NOT_CONNECTED", "NOT_CONNECTED"}));
}

TEST_F(PublishingTest, StartedAgainItPublishesAgain) {
    open(Offline::queue);
    connect();
    link->give_up({Status::CONNECT_FAILED, "refused"}, 0);
    publish("refused");
    EXPECT_EQ(take(), (Strings{"ready", "NOT_CONNECTED"}));
    link->start(1);
    publish("again");
    connect(1);
    link->wrote(link->output(1).size(), 1);
    link->received(":1\r\n", 2);
    EXPECT_EQ(take(), (Strings{"ready", "OK"}));
}

TEST_F(PublishingTest, WhatIsHeldGoesWhenItIsReleasedOrItsTimeHasCome) {
    for (const bool in_time : {true, false}) {
        open(Offline::queue);
        publish("queued");
        connect();
        publishing->hold(900);
        EXPECT_EQ(link->output(0), "");
        publish("behind it");
        EXPECT_EQ(link->deadline(), 900);
        link->tick(899);
        EXPECT_EQ(link->output(899), "");
        in_time ? publishing->release() : link->tick(900);
        EXPECT_FALSE(publishing->held());
        const std::string said(link->output(900));
        EXPECT_LT(said.find("queued"), said.find("behind it"));
        EXPECT_NE(said.find("behind it"), said.npos);
    }
}

TEST_F(PublishingTest, AHoldEndsWithItsConnection) {
    open(Offline::queue);
    connect();
    publishing->hold(1000);
    link->closed({Status::CONNECTION_LOST, "reset"}, 10);
    publish("queued");
    connect(20);
    EXPECT_NE(link->output(20), "");
}

// A link that is held is alive, and what it says for itself stands in front of what is held, as do the answers.
TEST_F(PublishingTest, TheLinksOwnCommandsAreNotHeld) {
    link_detail = true;
    open(Offline::queue);
    publish("queued");
    connect();
    publishing->hold(600000);
    link->tick(1000);
    EXPECT_EQ(link->output(1000), "*1\r\n$4\r\nPING\r\n");
    link->wrote(5, 1000);
    set_credentials("me", "new", 1001);
    publishing->probe("p", "1");
    publishing->release();
    std::string said;
    for (std::string_view part; !(part = link->output(1002)).empty(); link->wrote(part.size(), 1002)) said += part;
    EXPECT_EQ(said.substr(0, 9), "4\r\nPING\r\n");
    EXPECT_LT(said.find("PING"), said.find("AUTH"));
    EXPECT_LT(said.find("AUTH"), said.find("$1\r\np\r\n"));
    EXPECT_LT(said.find("$1\r\np\r\n"), said.find("queued"));
    take();
    link->received("+PONG\r\n+OK\r\n:3\r\n:7\r\n", 1003);
    EXPECT_EQ(take(), (Strings{"probe 3", "0 OK 7"}));
    link->tick(6000);
    EXPECT_EQ(link->state(), Link::State::ready) << "everything is answered";
}

TEST_F(PublishingTest, AHeldLinkThatAnswersNothingIsDead) {
    open(Offline::queue);
    publish("queued");
    connect();
    publishing->hold(600000);
    link->tick(1000);
    link->wrote(link->output(1000).size(), 1000);
    link->tick(5000);
    EXPECT_EQ(link->state(), Link::State::waiting);
    connect(6000);
    link->received("+PONG\r\n", 6001);  // which nothing asked for on this connection
    EXPECT_EQ(link->state(), Link::State::waiting);
}

TEST_F(PublishingTest, NewCredentialsAreUsedOnTheLiveLinkInTheirPlace) {
    open(Offline::queue);
    connect();
    publish("before");
    set_credentials("me", "new", 5);
    publish("after");
    const std::string said(link->output(5));
    EXPECT_NE(said.find("before"), said.npos);
    const auto auth = said.find("*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$3\r\nnew\r\n");
    EXPECT_TRUE(said.find("before") < auth && auth < said.find("after")) << said;
    link->wrote(said.size(), 5);
    link->received(":1\r\n+OK\r\n:2\r\n", 6);
    EXPECT_EQ(take(), (Strings{"ready", "OK", "OK"}));
}

TEST_F(PublishingTest, RefusedCredentialsLeaveTheLinkAndTheirPasswordUntold) {
    open(Offline::queue);
    connect();
    set_credentials("", "hunter2", 5);
    EXPECT_EQ(link->output(5), "*2\r\n$4\r\nAUTH\r\n$7\r\nhunter2\r\n");
    link->wrote(link->output(5).size(), 5);
    link->received("-WRONGPASS invalid username-password pair\r\n", 6);
    EXPECT_EQ(link->state(), Link::State::ready);
    EXPECT_EQ(take(), (Strings{"ready", "refused: AUTH: WRONGPASS invalid username-password pair"}));
    set_credentials("", "hunter3", 7);
    link->wrote(link->output(7).size(), 7);
    link->received("-ERR unknown command AUTH hunter3\r\n", 8);
    EXPECT_EQ(take(), Strings{"refused: AUTH: the server does not accept the command"});
}

TEST_F(PublishingTest, CredentialsSetDuringTheGreetingAreUsedBehindIt) {
    open(Offline::queue);
    link->start(0);
    link->request();
    link->opened(0);
    link->wrote(link->output(0).size(), 0);
    set_credentials("me", "new", 1);
    link->received("+OK\r\n+PONG\r\n", 2);
    EXPECT_EQ(link->state(), Link::State::ready);
    EXPECT_EQ(link->output(2), "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$3\r\nnew\r\n");
}

TEST_F(PublishingTest, CredentialsEndTheWaitForTheNextAttempt) {
    open(Offline::queue);
    link->start(0);
    link->request();
    link->opened(0);
    link->wrote(link->output(0).size(), 0);
    link->received("-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n", 1);
    EXPECT_EQ(link->state(), Link::State::waiting);
    EXPECT_GT(link->deadline(), 1);
    set_credentials("me", "new", 2);
    EXPECT_EQ(link->deadline(), 2);
    link->tick(2);
    link->opened(3);
    EXPECT_TRUE(link->output(3).starts_with("*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$3\r\nnew\r\n"));
}

TEST_F(PublishingTest, CredentialsThatWereRefusedMayBeSetAgain) {
    open(Offline::queue);
    connect();
    for (TimeMs now : {5, 7}) {
        set_credentials("me", "new", now);
        EXPECT_TRUE(link->output(now).starts_with("*3\r\n$4\r\nAUTH\r\n")) << now;
        link->wrote(link->output(now).size(), now);
        link->received("-WRONGPASS not yet\r\n", now + 1);
    }
}

TEST_F(PublishingTest, APasswordOfBeforeIsNotRepeatedEither) {
    open(Offline::queue);
    connect();
    set_credentials("me", "s3cret-A", 5);
    set_credentials("me", "s3cret-B", 5);
    link->wrote(link->output(5).size(), 5);
    link->received("-ERR AUTH me s3cret-A: denied\r\n-ERR AUTH me s3cret-B: denied\r\n", 6);
    for (const std::string& event : take()) EXPECT_EQ(event.find("s3cret"), event.npos) << event;
}

TEST_F(PublishingTest, CredentialsSetDuringAGreetingThatFailsAreTriedAtOnce) {
    open(Offline::queue);
    link->start(0);
    link->request();
    link->opened(0);
    link->wrote(link->output(0).size(), 0);
    set_credentials("me", "new", 1);
    link->received("-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n", 2);
    EXPECT_EQ(link->state(), Link::State::waiting);
    EXPECT_EQ(link->deadline(), 2);
}

TEST_F(PublishingTest, NoCredentialsAtAllNeedANewConnection) {
    open(Offline::queue);
    connect();
    set_credentials("", "", 4);  // it is so already
    EXPECT_EQ(link->state(), Link::State::ready);
    set_credentials("me", "secret", 5);
    set_credentials("", "", 5);
    EXPECT_EQ(link->state(), Link::State::waiting);
    EXPECT_EQ(link->deadline(), 5);
    EXPECT_EQ(take(), (Strings{"ready", "lost: connecting again, without a login"}));
}

TEST_F(PublishingTest, ProbesAreNoPublishes) {
    open(Offline::queue);
    connect();
    publishing->probe("p", "1");
    EXPECT_EQ(publishing->queue().unsettled(), 0u);
    EXPECT_EQ(link->output(0), "*3\r\n$7\r\nPUBLISH\r\n$1\r\np\r\n$1\r\n1\r\n");
    link->wrote(link->output(0).size(), 0);
    link->received(":1\r\n", 1);
    publishing->probe("p", "2");
    link->wrote(link->output(1).size(), 1);
    link->received("-NOPERM no\r\n", 2);
    EXPECT_EQ(take(), (Strings{"ready", "probe 1", "probe: PUBLISH: NOPERM no"}));
}

// Plain answers are read by a scan: what comes of them must not differ from what the reader makes of them, however the
// bytes are cut.
class ScanTest : public PublishingTest, public testing::WithParamInterface<unsigned> {
 protected:
    std::string answer() {
        static const char* const unusual[] = {":-1",
                                              ":007",
                                              ":00",
                                              ":+5",
                                              ":",
                                              ":x",
                                              ":1x",
                                              ": 1",
                                              ":9223372036854775807",
                                              ":9223372036854775808",
                                              ":99999999999999999999",
                                              ":1234567890123456789",
                                              "-NOPERM no",
                                              "+OK",
                                              "$-1",
                                              "*0",
                                              "$1\r\nx",
                                              "%1",
                                              ":1\r"};
        if (pick(30) == 0) return unusual[pick(std::size(unusual))] + std::string("\r\n");
        if (pick(30) == 0) return "-ERR no\r\n";
        static const std::uint64_t tops[] = {10, 10, 10, 11, 1000, 1000000000000000000u};
        return ":" + std::to_string(random_() % tops[pick(std::size(tops))]) + "\r\n";
    }
    std::size_t pick(std::size_t below) { return random_() % below; }

    std::mt19937_64 random_{GetParam()};
};

TEST_P(ScanTest, SaysWhatTheReaderSays) {
    Strings expected;
    CommandQueue reference{
        [&](const SettledRun& run) {
            for (const Settled& publish : run.publishes) expected.push_back(text_of(run, publish));
        },
        [](std::size_t, std::size_t) {},
        [&](CommandRecord::Purpose, const Reply& reply) {
            expected.push_back(reply.is(ReplyType::error)
                                   ? "probe: " + error_of_reply("PUBLISH", reply.text()).text
                                   : "probe " + std::to_string(std::max<std::int64_t>(reply.integer(), 0)));
        }};
    open(Offline::queue);
    connect();
    take();
    link_detail = true;
    PublishBatch batch, same;
    std::size_t commands = 0;
    bool soon = pick(2) == 0;
    for (std::size_t batches = 1 + pick(20); batches > 0; --batches) {
        for (std::size_t i = 1 + pick(pick(5) ? 5 : 400); i > 0; --i, ++commands) {
            batch.add(publish_command, "ws:", "a", "x", nullptr, reinterpret_cast<void*>(commands));
            same.add(publish_command, "ws:", "a", "x", nullptr, reinterpret_cast<void*>(commands));
        }
        soon = soon && pick(4) > 0;
        batch.deadline = same.deadline = soon ? 10 : 1000;
        publishing->publish(batch);
        reference.append(same);
        if (pick(4) == 0) {
            publishing->probe("p", "x");
            reference.append_own(CommandRecord::Purpose::probe, "x");
            ++commands;
        }
    }
    while (!link->output(0).empty()) link->wrote(link->output(0).size(), 0);
    while (!reference.output().empty()) reference.wrote(reference.output().size());
    std::string bytes;
    // Not always all, and sometimes one more.
    for (std::size_t i = commands + 1 - std::min(commands, pick(4)); i > 0; --i) bytes += answer();
    if (pick(2)) {  // some are expired when they are answered
        link->tick(10);
        reference.tick(10);
    }

    ReplyReader reader;
    bool fine = true;
    for (std::size_t at = 0; at < bytes.size() && fine; ++at) {
        reader.feed(bytes.substr(at, 1));
        ReplyReader::Result result;
        while ((result = reader.next()) == ReplyReader::Result::reply && fine) fine = reference.reply(reader.reply());
        fine = fine && result != ReplyReader::Result::broken;
    }
    if (!fine) reference.link_down({Status::PROTOCOL_ERROR, "not that"});

    for (std::string_view rest = bytes; !rest.empty();) {
        const std::size_t size = std::min(rest.size(), 1 + pick(pick(3) ? 10 : 20000));
        link->received(rest.substr(0, size), 20);
        rest.remove_prefix(size);
    }
    EXPECT_EQ(link->state() == Link::State::ready, fine);
    Strings seen = take();
    if (!fine) {
        ASSERT_FALSE(seen.empty());
        EXPECT_TRUE(seen.back().starts_with("lost")) << seen.back();
        seen.pop_back();
    }
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(publishing->queue().unsettled(), reference.unsettled());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ScanTest, testing::Range(0u, 300u));

}  // namespace
}  // namespace fanwire::core
