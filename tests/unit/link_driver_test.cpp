// How a driver carries out what its link wishes, over a wire, a timer and a time that the test decides about.
#include "core/backend/link_driver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace fanwire::core {
namespace {

using Log = std::vector<std::string>;

// One wire, one timer, and a time that stands still.
struct TestNetwork : Network {
    struct TestWire : Wire {
        TestWire(TestNetwork& its, Wire::Owner& who) : network(its), owner(who) {}
        void open(const Endpoint& endpoint) override {
            network.log.push_back("open " + endpoint.host);
            network.peer = endpoint.host;
        }
        void close() override { network.log.push_back("close"); }
        void greeted() override { network.log.push_back("greeted"); }
        void good() override { network.log.push_back("good"); }
        void abandon() noexcept override { network.log.push_back("abandon"); }
        std::size_t write(std::string_view bytes) override {
            const std::size_t size = std::min(bytes.size(), network.takes);
            network.takes -= size;
            network.written += bytes.substr(0, size);
            return size;
        }
        std::size_t unconfirmed() const override { return network.unconfirmed; }
        const std::string& peer() const override { return network.peer; }
        TestNetwork& network;
        Wire::Owner& owner;
    };
    struct TestTimer : Timer {
        TestTimer(TestNetwork& its, std::function<void()> what) : network(its), callback(std::move(what)) {}
        void at(TimeMs when) override { network.due = when, ++network.armed; }
        TestNetwork& network;
        std::function<void()> callback;
    };

    std::unique_ptr<Wire> make_wire(Wire::Owner& owner) override {
        auto made = std::make_unique<TestWire>(*this, owner);
        wire = made.get();
        return made;
    }
    std::unique_ptr<Timer> make_timer(std::function<void()> callback) override {
        auto made = std::make_unique<TestTimer>(*this, std::move(callback));
        timer = made.get();
        return made;
    }
    TimeMs now() const override { return time; }
    std::uint64_t now_us() const override { return static_cast<std::uint64_t>(time) * 1000; }

    Wire::Owner& owner() const { return wire->owner; }
    void fire() {
        due = never;
        timer->callback();
    }
    Log take() { return std::exchange(log, {}); }

    Log log;
    std::string written, peer;
    std::size_t takes = SIZE_MAX, unconfirmed = 0;
    TimeMs time = 0, due = never;
    int armed = 0;
    TestWire* wire = nullptr;
    TestTimer* timer = nullptr;
};

// Says what the test wants, and has worked at the first answer that is no error.
struct Talk : Conversation {
    void on_reply(const Reply& reply, TimeMs) override {
        replies.emplace_back(reply.text());
        if (throws) throw std::bad_alloc();
        link().worked();
    }
    void on_down(const Error&, TimeMs) override {}
    std::string_view output(TimeMs) override { return link().words_left().empty() ? said : link().words_left(); }
    void wrote(std::size_t size, TimeMs) override {
        if (link().words_left().empty())
            said.erase(0, size);
        else
            link().wrote_words(size);
    }
    void send_ping(TimeMs) override { said += "PING\r\n"; }
    std::span<char> room() override { return {place, room_size}; }

    std::string said;
    Log replies;
    bool throws = false;
    char place[16];
    std::size_t room_size = 0;
};

struct LinkDriverTest : testing::Test, Link::Listener {
    static LinkConfig config() {
        LinkConfig c;
        c.heartbeat_interval = 1000;
        c.heartbeat_timeout = 4000;
        return c;
    }
    void link_ready() override {}
    void link_lost(const Error& why) override { lost = why; }
    void link_failed(const Error& why, bool) override { failed = why; }
    void link_retry(std::uint32_t, TimeMs) override {}

    void greet() {
        driver.start();
        network.owner().wire_opened();
        network.owner().wire_received("+PONG\r\n");
        EXPECT_EQ(link.state(), Link::State::ready);
        network.written.clear();
    }

    TestNetwork network;
    Talk talk;
    Login login;
    Link link{config(), [] { return 0.5; }, login, talk, *this};
    Endpoint endpoint{"a", 1, "", 2000, 0, nullptr, ""};
    std::size_t in = 0, out = 0;
    int turns = 0;
    std::optional<Error> lost, failed;
    LinkDriver driver{network, endpoint, link,
                      [this](std::size_t received, std::size_t sent) { in += received, out += sent; },
                      [this] { ++turns; }};
};

TEST_F(LinkDriverTest, EachAttemptGoesWhereTheEndpointIsThen) {
    driver.start();
    EXPECT_EQ(network.take(), Log{"open a"});
    EXPECT_EQ(driver.peer(), "a");
    EXPECT_EQ(network.due, 2000) << "the attempt's end";
    EXPECT_EQ(turns, 0) << "nothing came from the network yet";
    endpoint.host = "b";
    network.owner().wire_broken({Status::CONNECT_FAILED, "refused"});
    EXPECT_EQ(turns, 1);
    EXPECT_EQ(failed->text, "refused");
    ASSERT_LT(network.due, 2000);
    network.time = network.due;
    network.take();
    network.fire();
    EXPECT_EQ(network.take(), Log{"open b"});
}

TEST_F(LinkDriverTest, TheWireLearnsOfEachConnectionHowFarItCame) {
    driver.start();
    network.owner().wire_opened();
    EXPECT_EQ(network.take(), Log{"open a"});
    EXPECT_EQ(network.written, "*1\r\n$4\r\nPING\r\n");
    network.owner().wire_received("+PONG\r\n");
    EXPECT_EQ(network.take(), Log{"greeted"});
    network.owner().wire_received("+done\r\n");
    EXPECT_EQ(network.take(), Log{"good"});
    network.owner().wire_received("+done\r\n");
    EXPECT_EQ(network.take(), Log{}) << "once";
    EXPECT_EQ(in, 7u + 7u + 7u);
    EXPECT_EQ(out, 14u);
    network.owner().wire_broken({Status::CONNECTION_LOST, "closed"});
    network.time = network.due;
    network.fire();
    network.owner().wire_opened();
    network.owner().wire_received("+PONG\r\n+done\r\n");
    EXPECT_EQ(network.take(), (Log{"close", "open a", "greeted", "good"}));
}

TEST_F(LinkDriverTest, ItGreetsAgainOnTheNextAddress) {
    driver.start();
    network.owner().wire_opened();
    network.owner().wire_received("+PO");
    const Error why = network.owner().wire_moving_on({Status::CONNECTION_LOST, "a closed the connection"});
    EXPECT_TRUE(why.text.starts_with("a closed the connection")) << why.text;
    EXPECT_FALSE(failed) << "it is the same attempt";
    network.written.clear();
    network.owner().wire_opened();
    EXPECT_EQ(network.written, "*1\r\n$4\r\nPING\r\n");
    network.owner().wire_received("+PONG\r\n");
    EXPECT_EQ(link.state(), Link::State::ready);
    EXPECT_EQ(network.take(), (Log{"open a", "greeted"}));
}

TEST_F(LinkDriverTest, WhatTheWireDoesNotTakeFollowsWhenItIsWritable) {
    greet();
    talk.said = "0123456789";
    network.takes = 4;
    driver.flush();
    EXPECT_EQ(network.written, "0123");
    network.takes = 3;
    network.owner().wire_writable();
    EXPECT_EQ(network.written, "0123456");
    network.takes = SIZE_MAX;
    network.owner().wire_writable();
    EXPECT_EQ(network.written, "0123456789");
}

TEST_F(LinkDriverTest, TheTimerIsOnlyMovedEarlier) {
    greet();
    ASSERT_EQ(network.due, 1000);
    const int armed = network.armed;
    for (network.time = 100; network.time <= 900; network.time += 100) network.owner().wire_received("+message\r\n");
    EXPECT_EQ(network.armed, armed) << "the deadline moved away";
    network.time = 1000;
    network.fire();
    EXPECT_EQ(network.written, "") << "nothing is due";
    EXPECT_EQ(network.due, 1900);
    network.time = 1900;
    network.fire();
    EXPECT_EQ(network.written, "PING\r\n");
    EXPECT_EQ(network.due, 1900 + 4000);
    network.owner().wire_broken({Status::CONNECTION_LOST, "closed"});
    EXPECT_LT(network.due, 1900 + 4000) << "the next attempt is due earlier";
}

TEST_F(LinkDriverTest, ItIsOffWhenNothingIsDue) {
    greet();
    driver.stop();
    EXPECT_EQ(network.due, never);
    EXPECT_EQ(network.take().back(), "close");
}

TEST_F(LinkDriverTest, ASilentServerIsGivenUpAtItsTime) {
    greet();
    network.time = network.due;
    network.fire();
    network.time = network.due;
    network.fire();
    ASSERT_TRUE(lost);
    EXPECT_EQ(network.time, 5000);
    EXPECT_EQ(network.take().back(), "close");
}

// As on a slow network: the answer cannot come before the question is there.
TEST_F(LinkDriverTest, WhatIsStillGoingOutPutsTheEndOff) {
    greet();
    talk.said = std::string(3000, 'x');
    driver.flush();
    network.unconfirmed = 2900;
    network.time = network.due;
    network.fire();  // asks, and sees how much has arrived
    for (const std::size_t left : {2000u, 900u, 10u}) {
        network.unconfirmed = left;
        network.time = network.due;
        network.fire();
        EXPECT_FALSE(lost) << left << " are still to go";
    }
    network.time = network.due;
    network.fire();
    EXPECT_TRUE(lost) << "nothing has moved";
}

TEST_F(LinkDriverTest, WithoutMemoryTheConnectionIsRenewed) {
    greet();
    talk.throws = true;
    network.take();
    network.owner().wire_received("+more\r\n");
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->status, Status::NO_MEMORY);
    EXPECT_EQ(network.take().back(), "close");
    EXPECT_EQ(link.state(), Link::State::waiting);
    talk.throws = false;
    network.time = network.due;
    network.fire();
    EXPECT_EQ(network.take(), Log{"open a"});
}

TEST_F(LinkDriverTest, WhatComesIsPutWhereTheLinkWantsIt) {
    talk.room_size = 16;
    driver.start();
    network.owner().wire_opened();
    EXPECT_TRUE(network.owner().wire_room().empty()) << "while greeting: anywhere";
    network.owner().wire_received("+PONG\r\n");
    EXPECT_EQ(network.owner().wire_room().data(), talk.place);
}

TEST_F(LinkDriverTest, AChildOfForkAbandonsTheWire) {
    greet();
    network.take();
    driver.close_inherited();
    EXPECT_EQ(network.take(), Log{"abandon"});
}

}  // namespace
}  // namespace fanwire::core
