// The dialer over real sockets: which address has its turn when, and the handshake of TLS.
#include "core/net/dialer.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/unit/scripted_sockets.h"

namespace fanwire::core {
namespace {

using namespace scripted;

// Takes what is dialed, and keeps it until the next dial().
class Client : public RunningLoop, private Dialer::Owner {
 public:
    explicit Client(std::vector<Address> addresses, std::shared_ptr<const TlsContext> tls = nullptr,
                    TimeMs connect_timeout = patience)
        : resolver_(knowing(std::move(addresses))),
          dialer(loop(), resolver_, *this),
          endpoint{"redis.test", 1, "", connect_timeout, 0, std::move(tls), "localhost"} {}

    void dial() {
        dialed_.reset();
        failed.reset();
        in_vain.reset();
        dialer.dial(endpoint);
    }
    bool connect() {
        dial();
        return until([&] { return dialed_ || failed; }) && dialed_;
    }
    bool connected() const { return dialed_.has_value(); }
    int fd() const { return dialed_->socket.fd(); }
    TlsSession& tls() { return dialed_->tls->session(); }

    std::optional<Error> failed, in_vain;

 private:
    void dialed(Dialed dialed) override {
        EXPECT_FALSE(dialed_) << "one at a time";
        EXPECT_EQ(dialed.peer, dialer.peer());
        dialed_ = std::move(dialed);
    }
    void dial_failed(Error why) override { failed = std::move(why); }
    void dialed_in_vain(Error why) override {
        EXPECT_TRUE(dialer.has_another());
        in_vain = std::move(why);
        dialed_.reset();
        dialer.move_on(*in_vain);
    }

    Resolver resolver_;
    std::optional<Dialed> dialed_;

 public:
    Dialer dialer;
    Endpoint endpoint;  // of the next dial()
};

// ---- Which address ------------------------------------------------------------------------------------------------

// The link gives an attempt up at its deadline; before that the addresses behind silent ones must have had their turn.
TEST(Dialer, SilentAddressesLeaveTimeForThoseBehindThem) {
    Silent first, second;
    Listener healthy;
    constexpr TimeMs timeout = 1800;
    Client client({first.listener.address(), second.listener.address(), healthy.address()}, nullptr, timeout);
    bool given_up = false;
    Loop::Timer deadline(client.loop(), [&] {
        given_up = true;
        client.dialer.close();
    });
    deadline.at(now_ms() + timeout);
    client.dial();
    EXPECT_TRUE(client.until([&] { return client.connected() || client.failed || given_up; }));
    EXPECT_TRUE(client.connected()) << (client.failed ? client.failed->text : "given up");
    EXPECT_EQ(client.dialer.peer(), healthy.text());
}

TEST(Dialer, AfterAFailedGreetingTheNextOneIsNext) {
    Listener a, b, c;
    Client client({a.address(), b.address(), c.address()});
    for (int round = 0; round < 2; ++round) {
        for (const Listener* expected : {&a, &b, &c}) {
            ASSERT_TRUE(client.connect());
            EXPECT_EQ(client.dialer.peer(), expected->text());
            client.dialer.close();  // before it was good
        }
    }
}

TEST(Dialer, OneThatIsSilentUntilItsTimeIsOverIsInVain) {
    Listener a, b;
    Client client({a.address(), b.address()}, nullptr, 400);
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), a.text());
    ASSERT_TRUE(client.until([&] { return client.in_vain && client.connected(); }));
    EXPECT_EQ(client.in_vain->status, Status::CONNECT_TIMEOUT);
    EXPECT_EQ(client.dialer.peer(), b.text());
    EXPECT_FALSE(client.dialer.has_another());
}

TEST(Dialer, OneThatGreetedHasAllTheTime) {
    Listener a, b;
    Client client({a.address(), b.address()}, nullptr, 200);
    ASSERT_TRUE(client.connect());
    EXPECT_TRUE(client.dialer.has_another());
    client.dialer.greeted();
    EXPECT_FALSE(client.dialer.has_another());
    const TimeMs later = now_ms() + 250;  // its share of the time was 100
    EXPECT_TRUE(client.until([&] { return now_ms() > later; }));
    EXPECT_FALSE(client.in_vain);
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), b.text()) << "it greeted, and never did what it is for";
}

TEST(Dialer, AGoodOneStaysTheFirstChoice) {
    Listener a, b;
    Client client({a.address(), b.address()});
    ASSERT_TRUE(client.connect());
    client.dialer.close();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.connect());
        EXPECT_EQ(client.dialer.peer(), b.text());
        client.dialer.good();
        client.dialer.close();
    }
    // Until it fails itself: of two that have, the one that failed first is the next.
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), b.text());
    client.dialer.close();
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), a.text());
}

// As when a Sentinel names another master.
TEST(Dialer, EachAttemptMayGoToAnotherEndpoint) {
    Listener a, b;
    Client client({a.address()});
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), a.text());
    client.endpoint.unix_path = "/nowhere/redis.sock";
    EXPECT_FALSE(client.connect());
    EXPECT_NE(client.failed->text.find("/nowhere/redis.sock"), std::string::npos) << client.failed->text;
    client.endpoint.unix_path.clear();
    client.endpoint.host = "127.0.0.1";
    client.endpoint.port = b.port();
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), b.text());
}

TEST(Dialer, OneThatRefusesIsPassedOverInTheSameAttempt) {
    Listener dead, b;
    dead.close();
    Client client({dead.address(), b.address()});
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), b.text());
}

TEST(Dialer, WhenNoneIsLeftTheTextSaysWhatEachDid) {
    Listener a, b;
    b.close();
    Client client({a.address(), b.address()});
    ASSERT_TRUE(client.connect());
    client.dialer.move_on({Status::AUTH_FAILED, "refused the password"});
    ASSERT_TRUE(client.until([&] { return client.failed.has_value(); }));
    EXPECT_EQ(client.failed->status, Status::AUTH_FAILED) << "more telling than that b refuses";
    EXPECT_EQ(client.failed->text,
              "cannot connect to " + a.text() + ": refused the password; " + b.text() + ": Connection refused");
}

TEST(Dialer, WhatIsClosedMovesOnNoMore) {
    Listener a, b;
    Client client({a.address(), b.address()});
    ASSERT_TRUE(client.connect());
    client.dialer.move_on({Status::CONNECTION_LOST, "lost"});
    client.dialer.close();
    EXPECT_TRUE(client.until([turns = 0]() mutable { return ++turns > 20; }));
    EXPECT_FALSE(b.waiting());
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.dialer.peer(), b.text()) << "a has failed, once";
}

// ---- The handshake of TLS -----------------------------------------------------------------------------------------

TEST(DialerTls, SilentInTheHandshakeIsSickToo) {
    Listener silent, other;
    Client client({silent.address(), other.address()}, trusting(), 400);
    client.dial();
    EXPECT_TRUE(client.until([&] { return other.waiting(); })) << "in the same attempt";
    client.dialer.close();
    client.dial();
    EXPECT_TRUE(client.until([&] { return client.dialer.peer() == silent.text(); })) << "both are sick";
}

// One context, whatever the name.
TEST(DialerTls, EachAttemptMayExpectAnotherName) {
    Listener listener;
    Client client({listener.address()}, trusting());
    for (const auto& [name, status] :
         {std::pair("elsewhere.test", Status::TLS_WRONG_NAME), std::pair("127.0.0.1", Status::OK),
          std::pair("localhost", Status::OK), std::pair(".no-name", Status::INVALID_OPTION)}) {
        TlsServer server(listener);
        client.endpoint.tls_name = name;
        client.dial();
        ASSERT_TRUE(client.until([&] { return client.connected() || client.failed; }, [&] { server.step(); }));
        EXPECT_EQ(client.failed ? client.failed->status : Status::OK, status) << name;
        if (!client.connected()) continue;
        EXPECT_EQ(client.tls().state(), TlsSession::State::open);
    }
}

TEST(DialerTls, AServerThatLeavesInTheHandshakeIsNamed) {
    Listener listener;
    Client client({listener.address()}, trusting());
    client.dial();
    ASSERT_TRUE(client.until([&] { return listener.waiting(); }));
    Fd server = listener.accept();
    ASSERT_TRUE(client.until([&] { return !read_available(server).empty(); })) << "the client's first words";
    server.reset();
    ASSERT_TRUE(client.until([&] { return client.failed.has_value(); }));
    EXPECT_EQ(client.failed->status, Status::TLS_FAILED);
    EXPECT_NE(client.failed->text.find("during the TLS handshake"), std::string::npos) << client.failed->text;
}

// It waits for the end of a line; a PING on another connection finds out.
TEST(DialerTls, APlainServerIsFoundOut) {
    Listener listener;
    Client client({listener.address()}, trusting(), 1000);
    client.dial();
    std::vector<Fd> accepted;
    ASSERT_TRUE(client.until([&] { return client.failed.has_value(); },
                             [&] {
                                 if (listener.waiting()) accepted.push_back(listener.accept());
                                 for (const Fd& fd : accepted)
                                     if (read_available(fd) == "PING\r\n") send(fd, "+PONG\r\n", 7, 0);
                             }));
    EXPECT_EQ(client.failed->status, Status::TLS_NOT_SPOKEN) << client.failed->text;
    EXPECT_NE(client.failed->text.find("+PONG"), std::string::npos) << client.failed->text;
}

// ---- fork() -------------------------------------------------------------------------------------------------------

TEST(Dialer, AChildEndsNoAttemptOfTheParents) {
    Listener listener;
    TlsServer server(listener);
    Client client({listener.address()}, trusting());
    client.dial();
    ASSERT_TRUE(client.until([&] { return listener.waiting(); }));
    Child child([&] { client.dialer.abandon(); });
    EXPECT_EQ(child.finish(), 0);
    EXPECT_TRUE(client.until([&] { return client.connected() || client.failed; }, [&] { server.step(); }));
    EXPECT_TRUE(client.connected()) << client.failed->text;
}

}  // namespace
}  // namespace fanwire::core
