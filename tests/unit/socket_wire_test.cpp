// The dialer and the stream together: when a connection is given up for another address.
#include "core/net/socket_wire.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/unit/scripted_sockets.h"

namespace fanwire::core {
namespace {

using namespace scripted;

class Client : public RunningLoop, private Wire::Owner {
 public:
    explicit Client(std::vector<Address> addresses, TimeMs connect_timeout = patience)
        : resolver_(knowing(std::move(addresses))),
          wire(loop(), resolver_, *this),
          endpoint{"redis.test", 1, "", connect_timeout, 0, nullptr, ""} {}

    bool connect() {
        opened = false;
        broken.reset();
        wire.open(endpoint);
        return until([&] { return opened || broken; }) && opened;
    }

    bool opened = false;
    std::string received;
    std::optional<Error> broken;
    std::string log;  // what happened, in order

 private:
    void wire_opened() override {
        opened = true;
        log += "opened ";
    }
    void wire_received(std::string_view bytes) override {
        received += bytes;
        log += "received ";
    }
    std::span<char> wire_room() override { return {}; }
    void wire_writable() override {}
    void wire_broken(Error why) override {
        broken = std::move(why);
        log += "broken ";
    }
    Error wire_moving_on(Error why) override {
        opened = false;
        log += "moving-on ";
        why.text += " (as the owner says)";
        return why;
    }

    Resolver resolver_;

 public:
    SocketWire wire;
    Endpoint endpoint;  // of the next open()
};

// Within the same attempt: what opens an engine and waits for it shall find the address that works.
TEST(SocketWire, AfterOneThatClosesOrIsSilentBeforeItGreetsTheNextOneHasItsTurn) {
    Listener a, b, c;
    Client client({a.address(), b.address(), c.address()}, 600);
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.wire.peer(), a.text());
    a.accept().close();
    ASSERT_TRUE(client.until([&] { return client.log == "opened moving-on opened "; }));
    EXPECT_EQ(client.wire.peer(), b.text());
    EXPECT_EQ(client.wire.write("PING\r\n"), 6u);
    ASSERT_TRUE(client.until([&] { return client.log == "opened moving-on opened moving-on opened "; }))
        << "b is silent";
    EXPECT_EQ(client.wire.peer(), c.text());
    Fd left = b.accept();
    EXPECT_EQ(read_available(left), "PING\r\n");
    EXPECT_TRUE(sees_the_end(left));
    c.accept().close();
    EXPECT_TRUE(client.until([&] { return client.broken.has_value(); }));
    // Next time they are all known to be sick: then one has all the time, and the next one the next attempt.
    client.log.clear();
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.wire.peer(), a.text());
    const TimeMs later = now_ms() + 300;  // a share would be 200
    EXPECT_TRUE(client.until([&] { return now_ms() > later; }));
    EXPECT_EQ(client.log, "opened ");
}

TEST(SocketWire, WhenAllFailTheTextSaysWhatEachDid) {
    Listener a, b, c;
    c.close();
    Client client({a.address(), b.address(), c.address()});
    ASSERT_TRUE(client.connect());
    for (Listener* one : {&a, &b}) {
        ASSERT_TRUE(client.until([&] { return one->waiting(); }));
        one->accept().close();
    }
    ASSERT_TRUE(client.until([&] { return client.broken.has_value(); }));
    EXPECT_EQ(client.broken->status, Status::CONNECTION_LOST);
    const std::string& text = client.broken->text;
    EXPECT_TRUE(text.starts_with("cannot connect to " + a.text() + " closed the connection")) << text;
    EXPECT_NE(text.find("(as the owner says); " + b.text() + " closed"), std::string::npos) << text;
    EXPECT_NE(text.find("; " + c.text() + ": Connection refused"), std::string::npos) << text;
}

TEST(SocketWire, OneThatGreetedIsNotLeftForAnother) {
    Listener a, b;
    Client client({a.address(), b.address()});
    ASSERT_TRUE(client.connect());
    client.wire.greeted();
    a.accept().close();
    EXPECT_TRUE(client.until([&] { return client.broken.has_value(); })) << "the owner decides when it is tried again";
    EXPECT_FALSE(b.waiting());
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.wire.peer(), b.text()) << "it greeted, and never did what it is for";
}

TEST(SocketWire, AGoodOneThatEndsIsTheFirstChoice) {
    Listener a, b;
    Client client({a.address(), b.address()});
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(client.connect());
        EXPECT_EQ(client.wire.peer(), a.text());
        client.wire.greeted();
        client.wire.good();
        a.accept().close();
        ASSERT_TRUE(client.until([&] { return client.broken.has_value(); }));
    }
}

TEST(SocketWire, OpeningEndsWhatWasOpen) {
    Listener a;
    Client client({a.address()});
    ASSERT_TRUE(client.connect());
    Fd first = a.accept();
    ASSERT_TRUE(client.connect());
    EXPECT_TRUE(sees_the_end(first));
    EXPECT_EQ(client.wire.write("hello"), 5u);
    Fd second = a.accept();
    EXPECT_EQ(read_available(second), "hello");
    EXPECT_EQ(client.log, "opened opened ");
}

TEST(SocketWire, AChildClosesNothingOfTheParents) {
    Listener a;
    Client client({a.address()});
    ASSERT_TRUE(client.connect());
    Fd server = a.accept();
    Child child([&] { client.wire.abandon(); });
    EXPECT_EQ(child.finish(), 0);
    EXPECT_EQ(client.wire.write("hello"), 5u);
    EXPECT_EQ(read_available(server), "hello");
    ASSERT_EQ(send(server, "+PONG\r\n", 7, 0), 7);
    EXPECT_TRUE(client.until([&] { return client.received == "+PONG\r\n" || client.broken; }));
    EXPECT_FALSE(client.broken);
}

}  // namespace
}  // namespace fanwire::core
