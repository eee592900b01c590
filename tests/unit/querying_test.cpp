// The link that asks: replies go to whoever asked, in order, through breaks and deadlines.
#include "core/protocol/querying.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/protocol/link.h"

namespace fanwire::core {
namespace {

using Strings = std::vector<std::string>;

struct QueryingTest : testing::Test, Link::Listener {
    void link_ready() override {}
    void link_lost(const Error& why) override { events.push_back("lost: " + why.text); }
    void link_failed(const Error&, bool) override {}
    void link_retry(std::uint32_t, TimeMs) override {}

    void connect(TimeMs now = 0) {
        link.start(now);
        greet(now);
    }
    void greet(TimeMs now) {
        link.request();
        link.opened(now);
        link.wrote(link.output(now).size(), now);
        link.received("+PONG\r\n", now);
        EXPECT_EQ(link.state(), Link::State::ready);
    }
    Querying::Answer note(const std::string& name) {
        return [this, name](const Reply* reply, const Error& why) {
            events.push_back(
                name + ": " +
                (reply ? reply->size() > 0 ? std::to_string(reply->size()) + " elements" : std::string(reply->text())
                       : why.text));
        };
    }
    Error ask(const std::string& name, TimeMs deadline = never) {
        return querying.ask(name, "*1\r\n$1\r\n" + name + "\r\n", deadline, note(name));
    }
    std::string write(TimeMs now) {
        const std::string bytes(link.output(now));
        link.wrote(bytes.size(), now);
        return bytes;
    }
    Strings take() { return std::exchange(events, {}); }

    Strings events;
    Login login;
    Querying querying{{4, 100}};
    Link link{{}, [] { return 0.5; }, login, querying, *this};
};

TEST_F(QueryingTest, AsksInOrderAndGivesEachItsReply) {
    EXPECT_FALSE(ask("A"));
    EXPECT_EQ(link.output(0), "");
    connect();
    EXPECT_FALSE(ask("B"));
    EXPECT_EQ(write(1), "*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n");
    link.received("*2\r\n$1\r\nh\r\n$4\r\n6379\r\n-ERR no such", 2);
    EXPECT_EQ(take(), Strings{"A: 2 elements"});
    link.received(" master\r\n", 3);
    EXPECT_EQ(take(), Strings{"B: ERR no such master"});
    EXPECT_EQ(querying.size(), 0u);
    EXPECT_EQ(link.deadline(), 1003) << "nothing is expected of it";
}

// A reply is where one learns what to ask next.
TEST_F(QueryingTest, AnAnswerMayAsk) {
    connect();
    EXPECT_FALSE(querying.ask("A", "*1\r\n$1\r\nA\r\n", never, [this](const Reply*, const Error&) { ask("B"); }));
    write(1);
    link.received("+OK\r\n", 2);
    EXPECT_EQ(write(2), "*1\r\n$1\r\nB\r\n");
    querying.fail_all({Status::CLOSED, "closed"});
    EXPECT_EQ(take(), Strings{"B: closed"});
}

TEST_F(QueryingTest, AsksAgainOnTheNextConnection) {
    connect();
    ask("A");
    ask("B");
    write(1);
    link.received("+1\r\n", 2);
    link.tick(link.deadline() - 1);
    link.closed({Status::CONNECTION_LOST, "reset"}, 3);
    EXPECT_EQ(take(), (Strings{"A: 1", "lost: reset"}));
    link.tick(link.deadline());
    greet(100);
    EXPECT_EQ(write(100), "*1\r\n$1\r\nB\r\n");
    link.received("+2\r\n", 101);
    EXPECT_EQ(take(), Strings{"B: 2"});
}

TEST_F(QueryingTest, ALateOneKeepsItsTurnInTheReplies) {
    connect();
    ask("A", 50);
    ask("B", 80);
    EXPECT_EQ(link.deadline(), 50);
    write(1);
    link.tick(50);
    EXPECT_EQ(take(), Strings{"A: A was not answered in time"});
    link.received("+1\r\n+2\r\n", 60);
    EXPECT_EQ(take(), Strings{"B: 2"});
    ask("C", 90);
    write(61);
    link.tick(90);
    link.closed({Status::CONNECTION_LOST, "reset"}, 91);
    EXPECT_EQ(querying.size(), 0u) << "nobody waits for it";
    ask("D", 100);
    link.tick(100);
    EXPECT_EQ(take(), (Strings{"C: C was not answered in time", "lost: reset",
                               "D: D could not be asked in time, there is no connection: reset"}));
}

TEST_F(QueryingTest, AreBounded) {
    for (const char* name : {"A", "B", "C", "D"}) EXPECT_FALSE(ask(name));
    EXPECT_EQ(ask("E").status, Status::QUEUE_FULL);
    EXPECT_EQ(querying.ask("F", std::string(200, 'x'), never, note("F")).status, Status::QUEUE_FULL);
    connect();
    write(0);
    link.received("+1\r\n", 1);
    EXPECT_EQ(querying.ask("F", std::string(80, 'x'), never, note("F")).status, Status::QUEUE_FULL) << "too many bytes";
    EXPECT_FALSE(ask("G"));
}

TEST_F(QueryingTest, AnIdleLinkIsPingedAndAnUnaskedReplyEndsIt) {
    connect();
    link.tick(1000);
    EXPECT_EQ(write(1000), "*1\r\n$4\r\nPING\r\n");
    link.received("-NOPERM no PING\r\n", 1001);
    EXPECT_EQ(link.state(), Link::State::ready);
    link.tick(2001);
    write(2001);
    link.received("+what?\r\n", 2002);
    EXPECT_EQ(link.state(), Link::State::waiting) << "no answer to PING";
    link.tick(link.deadline());
    greet(3000);
    link.received("+unasked\r\n", 3001);
    EXPECT_EQ(link.state(), Link::State::waiting);
}

TEST_F(QueryingTest, SaysWhatWasNotAnswered) {
    connect();
    ask("ROLE");
    write(1);
    link.tick(4001);
    EXPECT_EQ(take(), Strings{"lost: no answer to ROLE within 4000 ms"});
}

TEST_F(QueryingTest, WhenNoConnectionWillComeNobodyWaits) {
    connect();
    ask("A");
    write(1);
    link.give_up({Status::CONNECT_FAILED, "refused"}, 2);
    EXPECT_EQ(take(), Strings{"A: gave up connecting: refused"});
    EXPECT_EQ(ask("B").status, Status::NOT_CONNECTED);
    link.start(3);
    EXPECT_FALSE(ask("B"));
}

}  // namespace
}  // namespace fanwire::core
