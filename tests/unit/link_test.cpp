// The life of a link, played without a socket: greeting, refusals, timeouts, breaks, giving up.
#include "core/protocol/link.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fanwire::core {
namespace {

struct Told : Link::Listener {
    std::vector<std::string> events;
    void link_ready() override { events.push_back("ready"); }
    void link_lost(const Error& why) override { events.push_back("lost " + status(why)); }
    void link_failed(const Error& why, bool will_retry) override {
        events.push_back("failed " + status(why) + (will_retry ? "" : " for good"));
        text = why.text;
    }
    void link_retry(std::uint32_t attempt, TimeMs delay) override {
        events.push_back("retry " + std::to_string(attempt) + " in " + std::to_string(delay));
    }
    bool server_answers(TimeMs) override { return answers; }
    bool answers = true;
    static std::string status(const Error& why) { return find_status(static_cast<int>(why.status))->name; }
    std::vector<std::string> take() { return std::exchange(events, {}); }
    std::string text;
};

// Keeps what the link was answered.
struct Talk : Conversation {
    std::vector<std::string> replies;
    int pings = 0;
    bool held_back = false;

    bool may_be_held_back() const override { return held_back; }
    void on_reply(const Reply& reply, TimeMs) override {
        replies.emplace_back(reply.text());
        if (!reply.is(ReplyType::error)) link().worked();
    }
    void on_down(const Error&, TimeMs) override {}
    std::string_view output(TimeMs) override { return link().words_left(); }
    void wrote(std::size_t size, TimeMs) override { link().wrote_words(size); }
    void send_ping(TimeMs) override { ++pings; }
};

struct Talks {
    Talk talk;
    Login login;
};

struct TestLink : Talks, Link {
    TestLink(LinkConfig config, Random random, Listener& listener)
        : Link(std::move(config), std::move(random), login, talk, listener) {}
};

using Events = std::vector<std::string>;

struct LinkTest : testing::Test {
    LinkConfig config() {
        LinkConfig c;
        c.handshake = {"fanwire", 0};
        return c;
    }
    // Half of the jitter: delays are three quarters of their ceiling, 75 for the first.
    std::unique_ptr<TestLink> make(const LinkConfig& c, const Credentials& credentials = {}) {
        auto link = std::make_unique<TestLink>(
            c, [] { return 0.5; }, told);
        link->login.set(credentials.username, credentials.password);
        return link;
    }
    // Brings the link to the greeting at time 0 and returns what it says there.
    std::string greet(TestLink& link) {
        link.start(0);
        EXPECT_EQ(link.request(), Link::Request::open);
        link.opened(0);
        const std::string said(link.output(0));
        link.wrote(said.size(), 0);
        EXPECT_TRUE(link.output(0).empty());
        return said;
    }
    Told told;
};

TEST_F(LinkTest, GreetsAndIsReady) {
    auto link = make(config());
    EXPECT_EQ(greet(*link), "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$7\r\nfanwire\r\n*1\r\n$4\r\nPING\r\n");
    link->received("+OK\r\n+PO", 5);
    EXPECT_EQ(link->state(), Link::State::greeting);
    link->received("NG\r\n+early\r\n", 6);
    EXPECT_EQ(link->state(), Link::State::ready);
    EXPECT_EQ(told.take(), Events{"ready"});
    EXPECT_EQ(link->talk.replies, Events{"early"});
}

TEST_F(LinkTest, AuthenticatesAndSelectsInOnePipeline) {
    LinkConfig c = config();
    c.handshake = {"n", 3};
    auto link = make(c, {"me", "secret"});
    EXPECT_EQ(greet(*link),
              "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
              "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$1\r\nn\r\n*1\r\n$4\r\nPING\r\n");
    link->received("+OK\r\n+OK\r\n+OK\r\n+PONG\r\n", 1);
    EXPECT_EQ(told.take(), Events{"ready"});

    c.handshake = {"", 0};
    EXPECT_EQ(greet(*make(c, {"", "secret"})), "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n");
}

// Another address of the same host, in the same attempt.
TEST_F(LinkTest, GreetsAgainOnAnotherConnectionOfTheSameAttempt) {
    auto link = make(config());
    const std::string first = greet(*link);
    EXPECT_NE(first.find("SETNAME"), std::string::npos);
    link->received("+O", 5);
    const Error why = link->reopening({Status::CONNECTION_LOST, "h:1 closed the connection"});
    EXPECT_TRUE(why.text.starts_with("h:1 closed the connection at CLIENT SETNAME;")) << why.text;
    EXPECT_EQ(link->state(), Link::State::opening);
    EXPECT_EQ(link->request(), Link::Request::none) << "whoever says so has done it already";
    EXPECT_TRUE(link->output(6).empty());
    EXPECT_EQ(link->deadline(), 2000) << "no more time than before";
    link->opened(7);
    const std::string second(link->output(7));
    EXPECT_EQ(second, "*1\r\n$4\r\nPING\r\n") << "what is optional may have been to blame";
    link->wrote(second.size(), 7);
    EXPECT_EQ(link->reopening({Status::TIMEOUT, "no greeting"}).text, "no greeting");
    link->opened(8);
    link->wrote(link->output(8).size(), 8);
    link->received("+PONG\r\n", 9);
    EXPECT_EQ(told.take(), Events{"ready"}) << "nothing has failed";

    auto failing = make(config());
    greet(*failing);
    failing->reopening({Status::TIMEOUT, "no greeting"});
    failing->closed({Status::CONNECT_FAILED, "nobody there"}, 9);
    EXPECT_EQ(told.take(), (Events{"failed CONNECT_FAILED", "retry 1 in 75"})) << "one attempt, whatever it tried";
    EXPECT_EQ(failing->reopening({Status::TIMEOUT, "x"}).text, "x");
    EXPECT_EQ(failing->state(), Link::State::waiting);
}

TEST_F(LinkTest, ARefusedNameIsNotFatal) {
    auto link = make(config());
    greet(*link);
    link->received("-NOPERM no setname\r\n+PONG\r\n", 1);
    EXPECT_EQ(told.take(), Events{"ready"});
}

TEST_F(LinkTest, AServerThatRefusesTheConnectionIsQuoted) {
    for (const std::string words : {"DENIED Redis is running in protected mode", "ERR max number of clients reached"}) {
        auto link = make(config());
        greet(*link);
        link->received("-" + words + "\r\n", 1);
        link->closed({Status::CONNECTION_LOST, "closed"}, 2);
        EXPECT_EQ(told.take(), (Events{"failed REDIS_ERROR", "retry 1 in 75"}));
        EXPECT_EQ(told.text, "the server refused the connection: " + words);
    }
}

TEST_F(LinkTest, AServerThatQuotesThePasswordIsNotQuoted) {
    LinkConfig c = config();
    c.handshake = {"n", 0};
    for (const std::string words : {"ERR unknown command `AUTH`, with args beginning with: `hunter2`, ",
                                    "ERR unknown command `AUTH`, with args beginning with: `hunt", "ERR hunter2?"}) {
        auto link = make(c, {"", "hunter2"});
        greet(*link);
        link->received("-" + words + "\r\n", 1);
        EXPECT_EQ(told.take().front(), "failed AUTH_FAILED");
        EXPECT_EQ(told.text.find("hunt"), std::string::npos) << told.text;
    }
}

TEST_F(LinkTest, AUserWhoMayNotPingIsReady) {
    auto link = make(config());
    greet(*link);
    link->received("+OK\r\n-NOPERM this user has no permissions to run the 'ping' command\r\n", 1);
    EXPECT_EQ(told.take(), Events{"ready"});
}

TEST_F(LinkTest, RefusalsHaveTheirStatus) {
    const struct {
        const char* replies;
        const char* status;
    } cases[] = {
        {"-WRONGPASS invalid username-password pair\r\n", "AUTH_FAILED"},
        {"-ERR AUTH <password> called without any password configured\r\n", "AUTH_FAILED"},
        {"+OK\r\n-ERR DB index is out of range\r\n", "REDIS_ERROR"},
        {"+OK\r\n+OK\r\n-NOAUTH Authentication required.\r\n", "AUTH_FAILED"},
        {"+OK\r\n+OK\r\n+OK\r\n-LOADING Redis is loading the dataset in memory\r\n", "REDIS_ERROR"},
        {"+OK\r\n+OK\r\n+OK\r\n+WHAT\r\n", "PROTOCOL_ERROR"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "PROTOCOL_ERROR"},
        {"$what\r\n", "PROTOCOL_ERROR"},
    };
    for (const auto& item : cases) {
        LinkConfig c = config();
        c.handshake = {"n", 7};
        auto link = make(c, {"", "secret"});
        greet(*link);
        link->received(item.replies, 10);
        EXPECT_EQ(told.take(), (Events{std::string("failed ") + item.status, "retry 1 in 75"})) << item.replies;
        EXPECT_EQ(link->request(), Link::Request::close);
        EXPECT_EQ(link->state(), Link::State::waiting);
        EXPECT_EQ(link->deadline(), 85);
        EXPECT_EQ(told.text.find("secret"), std::string::npos) << told.text;
    }
}

TEST_F(LinkTest, AGreetingIsShort) {
    for (const std::string bytes : {"$400000000\r\n", "$65537\r\n", "*100000\r\n"}) {
        auto link = make(config());
        greet(*link);
        link->received(bytes, 1);
        EXPECT_EQ(told.take(), (Events{"failed PROTOCOL_ERROR", "retry 1 in 75"})) << bytes;
    }
    auto link = make(config());
    greet(*link);
    link->received("+OK\r\n+PONG\r\n$65537\r\n", 1);
    EXPECT_EQ(link->state(), Link::State::ready);
    link->received("$536870913\r\n", 2);
    EXPECT_EQ(link->state(), Link::State::ready) << "that is inside the string";
    link->received(std::string(65537 - 12, 'x') + "\r\n$536870913\r\n", 3);
    EXPECT_EQ(told.take(), (Events{"ready", "lost PROTOCOL_ERROR", "retry 1 in 75"}));
}

TEST_F(LinkTest, AnHttpServerIsQuoted) {
    auto link = make(config());
    greet(*link);
    link->received("HTTP/1.1 400 Bad Request\r\nServer: x\r\n", 1);
    EXPECT_EQ(told.text, "the server does not speak the Redis protocol: it answered \"HTTP/1.1 400 Bad Request\"");
}

TEST_F(LinkTest, SilenceHasADeadline) {
    auto link = make(config());
    link->start(100);
    EXPECT_EQ(link->deadline(), 2100);
    link->tick(2099);
    EXPECT_EQ(link->state(), Link::State::opening);
    link->opened(1500);
    EXPECT_EQ(link->deadline(), 2100);  // one deadline for connecting and greeting together
    link->tick(2100);
    EXPECT_EQ(told.take(), (Events{"failed CONNECT_TIMEOUT", "retry 1 in 75"}));
}

TEST_F(LinkTest, ComesBackAfterABreakWithAFreshReader) {
    auto link = make(config());
    greet(*link);
    link->received("+OK\r\n+PONG\r\n$10\r\nhalf", 1);
    link->closed({Status::CONNECTION_LOST, "reset"}, 1000);
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "retry 1 in 75"}));
    EXPECT_EQ(link->request(), Link::Request::close);
    link->tick(1074);
    EXPECT_EQ(link->request(), Link::Request::none);
    link->tick(1075);
    EXPECT_EQ(link->request(), Link::Request::open);
    link->closed({Status::CONNECT_FAILED, "refused"}, 1080);
    EXPECT_EQ(told.take(), (Events{"failed CONNECT_FAILED", "retry 2 in 150"}));
    link->tick(link->deadline());
    link->opened(1300);
    EXPECT_FALSE(link->output(1300).empty());
    link->received("+OK\r\n+PONG\r\n", 1301);
    EXPECT_EQ(told.take(), Events{"ready"});
    EXPECT_TRUE(link->talk.replies.empty());  // the half reply of the old connection is gone
    link->received("+work\r\n", 1302);
    link->closed({Status::CONNECTION_LOST, "reset"}, 2000);
    EXPECT_EQ(told.take(), (Events{"lost CONNECTION_LOST", "retry 1 in 75"}));  // a good connection resets the backoff
}

TEST_F(LinkTest, PingsWhenIdleAndDiesWithoutAnAnswer) {
    auto link = make(config());
    greet(*link);
    link->received("+OK\r\n+PONG\r\n", 0);
    link->tick(link->deadline());
    EXPECT_EQ(link->talk.pings, 1);
    EXPECT_EQ(link->deadline(), 5000);
    link->received("+PONG\r\n", 4999);
    link->tick(5000);
    EXPECT_EQ(link->state(), Link::State::ready);
    link->tick(5999);
    EXPECT_EQ(link->talk.pings, 2);
    link->tick(9999);
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "retry 1 in 75"}));
}

// Each condition by itself: the answer may be held back, the server answers elsewhere, all has arrived there.
TEST_F(LinkTest, WaitsForAnAnswerThatIsHeldBackButNotForEver) {
    LinkConfig c = config();
    c.pause_max = 2000;
    const auto silent = [&] {
        auto link = make(c);
        greet(*link);
        link->received("+OK\r\n+PONG\r\n", 0);
        link->talk.held_back = true;
        link->expecting(0);
        told.take();
        return link;
    };
    auto link = silent();
    for (TimeMs now = 4000; now < 6000; now += 500) {
        EXPECT_EQ(link->deadline(), now);
        link->tick(now);
        EXPECT_EQ(link->state(), Link::State::ready) << now;
    }
    link->tick(6000);
    EXPECT_EQ(told.take(), (Events{"lost CONNECTION_LOST", "retry 1 in 75"}));

    link = silent();
    link->tick(4000);
    link->received("+work\r\n", 5900);  // the pause is over; the next one has all its time
    link->expecting(5900);
    for (TimeMs now = 9900; now < 11900; now += 500) {
        EXPECT_EQ(link->deadline(), now);
        link->tick(now);
        EXPECT_EQ(link->state(), Link::State::ready) << now;
    }
    link->tick(11900);
    EXPECT_EQ(told.take(), (Events{"lost CONNECTION_LOST", "retry 1 in 75"}));

    link = silent();
    link->talk.held_back = false;
    link->tick(4000);
    EXPECT_EQ(told.take(), (Events{"lost CONNECTION_LOST", "retry 1 in 75"}));

    link = silent();
    link->delivered(false);
    link->tick(4000);
    EXPECT_EQ(told.take(), (Events{"lost CONNECTION_LOST", "retry 1 in 75"}));

    link = silent();
    link->tick(4000);
    told.answers = false;
    link->tick(4500);
    EXPECT_EQ(told.take(), (Events{"lost CONNECTION_LOST", "retry 1 in 75"}));
}

TEST_F(LinkTest, GivesUpAfterSoManyFailedAttemptsInARow) {
    LinkConfig c = config();
    c.reconnect_attempts_max = 2;
    auto link = make(c);
    link->start(0);
    link->closed({Status::CONNECT_FAILED, "refused"}, 1);
    link->tick(link->deadline());
    link->opened(100);
    link->received("+OK\r\n+PONG\r\n+work\r\n", 100);
    link->closed({Status::CONNECTION_LOST, "reset"}, 200);  // a connection that has worked starts the count again
    EXPECT_EQ(told.take(),
              (Events{"failed CONNECT_FAILED", "retry 1 in 75", "ready", "lost CONNECTION_LOST", "retry 1 in 75"}));
    link->tick(link->deadline());
    link->closed({Status::CONNECT_FAILED, "refused"}, 300);
    link->tick(link->deadline());
    link->closed({Status::CONNECT_FAILED, "refused"}, 500);
    EXPECT_EQ(told.take(), (Events{"failed CONNECT_FAILED", "retry 2 in 150", "failed CONNECT_FAILED for good"}));
    EXPECT_EQ(link->state(), Link::State::stopped);
    EXPECT_EQ(link->deadline(), never);
}

TEST_F(LinkTest, AConnectionThatGreetsAndEndsBeforeItHasWorkedIsAFailedAttempt) {
    LinkConfig c = config();
    c.reconnect_attempts_max = 3;
    auto link = make(c);
    link->start(0);
    const auto greet_and_close = [&](TimeMs now) {
        link->opened(now);
        link->received("+OK\r\n+PONG\r\n", now);
        link->received("-ERR not now\r\n", now);  // a refusal is no work
        link->closed({Status::CONNECTION_LOST, "closed"}, now);
    };
    greet_and_close(1);  // the first connection is no attempt to reconnect
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "retry 1 in 75"}));
    link->tick(link->deadline());
    greet_and_close(100);
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "retry 2 in 150"}));
    link->tick(link->deadline());
    greet_and_close(300);
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "retry 3 in 300"}));
    link->tick(link->deadline());
    greet_and_close(700);
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "failed CONNECTION_LOST for good"}));
    EXPECT_EQ(link->state(), Link::State::stopped);
}

TEST_F(LinkTest, AnIdleConnectionHasWorkedOnceItAnswersPing) {
    auto link = make(config());
    greet(*link);
    link->received("+OK\r\n+PONG\r\n", 0);
    link->tick(link->deadline());
    link->received("+PONG\r\n", 1001);
    link->closed({Status::CONNECTION_LOST, "closed"}, 1002);
    link->tick(link->deadline());
    link->opened(1100);
    link->received("+OK\r\n+PONG\r\n", 1100);
    link->closed({Status::CONNECTION_LOST, "closed"}, 1101);
    EXPECT_EQ(told.take(), (Events{"ready", "lost CONNECTION_LOST", "retry 1 in 75", "ready", "lost CONNECTION_LOST",
                                   "retry 2 in 150"}));
}

TEST_F(LinkTest, HurryMakesAWaitingLinkTryAtOnceButOnlyOnceUntilItWorks) {
    auto link = make(config());
    link->start(0);
    link->hurry(0);
    EXPECT_EQ(link->request(), Link::Request::open);
    link->closed({Status::CONNECT_FAILED, "refused"}, 1);
    EXPECT_EQ(link->deadline(), 76);
    link->hurry(10);
    EXPECT_EQ(link->deadline(), 10);
    link->tick(10);
    EXPECT_EQ(link->request(), Link::Request::open);
    link->closed({Status::CONNECT_FAILED, "refused"}, 11);
    link->hurry(12);  // the other link comes and goes
    EXPECT_EQ(link->deadline(), 161);
    link->tick(161);
    link->opened(162);
    link->received("+OK\r\n+PONG\r\n+work\r\n", 163);
    link->closed({Status::CONNECTION_LOST, "closed"}, 200);
    link->hurry(210);
    EXPECT_EQ(link->deadline(), 210);
    link->stop();
    link->hurry(220);
    EXPECT_EQ(link->deadline(), never);
}

TEST_F(LinkTest, WhoeverNeedsTheLinkEndsALongWaitButNotAShortOne) {
    LinkConfig c = config();
    c.reconnect = {20000, 30000, 2, Jitter::none};
    c.reconnect.first = 100;
    c.reconnect.factor = 10;
    auto link = make(c);
    link->start(0);
    link->needed(0);
    EXPECT_EQ(link->request(), Link::Request::open) << "it is being made";
    link->closed({Status::CONNECT_FAILED, "refused"}, 1);
    link->needed(2);
    EXPECT_EQ(link->deadline(), 101) << "the wait is short enough";
    link->tick(101);
    link->closed({Status::CONNECT_FAILED, "refused"}, 102);
    link->tick(1102);
    link->closed({Status::CONNECT_FAILED, "refused"}, 1103);
    EXPECT_EQ(link->deadline(), 11103);
    link->needed(1200);
    EXPECT_EQ(link->deadline(), 2103) << "no sooner than a second after the last attempt";
    link->tick(2103);
    EXPECT_EQ(link->state(), Link::State::opening);
    link->closed({Status::CONNECT_FAILED, "refused"}, 2104);
    link->needed(20000);
    EXPECT_EQ(link->deadline(), 20000);
    EXPECT_EQ(told.take().back(), "retry 4 in 30000") << "and it is an attempt like any other";

    c.reconnect = {5000, 30000, 2, Jitter::none};
    link = make(c);
    link->start(0);
    link->closed({Status::CONNECT_FAILED, "refused"}, 10);
    link->needed(20);
    EXPECT_EQ(link->deadline(), 5010) << "the shortest wait that was asked for is kept";
}

TEST_F(LinkTest, RetryEndsAnyWait) {
    auto link = make(config());
    link->start(0);
    link->closed({Status::CONNECT_FAILED, "refused"}, 1);
    link->retry(2);
    EXPECT_EQ(link->deadline(), 2);
    link->tick(2);
    link->retry(3);
    EXPECT_EQ(link->state(), Link::State::opening);
    EXPECT_EQ(link->deadline(), 2002) << "an attempt that is being made goes on";
    link->stop();
    link->retry(4);
    EXPECT_EQ(link->deadline(), never);
}

TEST_F(LinkTest, StartedAgainAfterGivingUpItCountsFromTheBeginning) {
    LinkConfig c = config();
    c.reconnect_attempts_max = 2;
    auto link = make(c);
    for (int round = 0; round < 2; ++round) {
        link->start(0);
        EXPECT_EQ(link->request(), Link::Request::open);
        link->closed({Status::CONNECT_FAILED, "refused"}, 1);
        EXPECT_EQ(link->failed_attempts(), 1);
        link->tick(link->deadline());
        link->closed({Status::CONNECT_FAILED, "refused"}, 100);
        EXPECT_EQ(told.take(), (Events{"failed CONNECT_FAILED", "retry 1 in 75", "failed CONNECT_FAILED for good"}));
        EXPECT_EQ(link->failed_attempts(), 2);
    }
    link->start(0);
    link->request();
    link->opened(1);
    EXPECT_FALSE(link->output(1).empty());
    link->wrote(link->output(1).size(), 1);
    link->received("+OK\r\n+PONG\r\n", 2);
    EXPECT_EQ(told.take(), Events{"ready"});
    link->give_up({Status::CONNECT_FAILED, "the other one"}, 3);
    EXPECT_EQ(link->request(), Link::Request::close);
    EXPECT_EQ(link->state(), Link::State::stopped);
    EXPECT_TRUE(told.take().empty()) << "whoever says so knows";
}

TEST_F(LinkTest, StoppedMeansStopped) {
    auto link = make(config());
    greet(*link);
    link->stop();
    EXPECT_EQ(link->request(), Link::Request::close);
    link->received("+OK\r\n+PONG\r\n", 1);
    link->closed({Status::CONNECTION_LOST, "reset"}, 2);
    link->tick(100000);
    EXPECT_TRUE(told.take().empty());
    EXPECT_EQ(link->request(), Link::Request::none);
}

TEST_F(LinkTest, AServerThatHasForgottenTheLoginIsToldAgain) {
    LinkConfig c = config();
    c.handshake = {"", 0};
    auto link = make(c, {"", "secret"});
    greet(*link);
    link->received("+OK\r\n+PONG\r\n", 1);
    link->received("-ERR something else\r\n", 2);
    EXPECT_EQ(link->state(), Link::State::ready);
    link->received("-NOAUTH Authentication required.\r\n", 3);
    EXPECT_EQ(link->talk.replies, (Events{"ERR something else", "NOAUTH Authentication required."}));
    EXPECT_EQ(told.take(), (Events{"ready", "lost AUTH_FAILED", "retry 1 in 75"}));
    link->tick(78);
    link->opened(79);
    EXPECT_TRUE(link->output(79).starts_with("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"));
}

}  // namespace
}  // namespace fanwire::core
