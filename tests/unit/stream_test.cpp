// The stream over real sockets whose other ends do what the test says.
#include "core/net/stream.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/net/dialer.h"
#include "tests/unit/scripted_sockets.h"

namespace fanwire::core {
namespace {

using namespace scripted;

// A stream and its owner.
class Client : public RunningLoop, public Stream::Owner {
 public:
    Client() : stream_(std::make_unique<Stream>(loop(), *this)) {}

    Stream& stream() { return *stream_; }
    void destroy() { stream_.reset(); }
    // Connects to the listener without a dialer.
    void open(const Listener& listener) {
        SocketHandle socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const Address address = listener.address();
        ASSERT_EQ(connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
        fcntl(socket.fd(), F_SETFL, O_NONBLOCK);
        ended.reset();
        stream_->open({std::move(socket), nullptr, listener.text(), false}, 0);
    }

    std::string received;
    std::optional<Error> ended;
    std::size_t room = 0;  // bytes that the owner wants at most at once; 0: any
    std::string log;       // what happened, in order
    std::function<void()> on_bytes = [] {};

 private:
    void stream_received(std::string_view bytes) override {
        received += bytes;
        log += "received ";
        on_bytes();
    }
    std::span<char> stream_room() override {
        room_.resize(room);
        return room_;
    }
    void stream_writable() override { log += "writable "; }
    void stream_ended(Error why) override {
        EXPECT_FALSE(stream_->is_open());
        ended = std::move(why);
        log += "ended ";
    }

    std::unique_ptr<Stream> stream_;
    std::vector<char> room_;
};

// ---- Ends ---------------------------------------------------------------------------------------------------------

// What the server says before it goes tells more than that it went, and a write may be the first to learn of that.
TEST(StreamEnds, TheLastWordsAreReadAfterAFailedWrite) {
    Listener listener;
    Client client;
    client.open(listener);
    Fd server = listener.accept();
    client.loop().post([] {});  // so that the loop's own descriptor is ready before the socket is
    const std::string words = "-ERR max number of clients reached\r\n";
    ASSERT_EQ(send(server, words.data(), words.size(), 0), static_cast<ssize_t>(words.size()));
    server.reset();
    EXPECT_EQ(client.stream().write("PING\r\n"), 0u);
    ASSERT_TRUE(client.until([&] { return client.ended.has_value(); }));
    EXPECT_EQ(client.received, words);
    EXPECT_EQ(client.log, "received ended ");
    EXPECT_EQ(client.ended->status, Status::CONNECTION_LOST);
}

TEST(StreamEnds, AFailedWriteIsReportedWithoutLastWordsToo) {
    Listener listener;
    Client client;
    client.open(listener);
    listener.accept().reset();
    EXPECT_EQ(client.stream().write("PING\r\n"), 0u);
    EXPECT_TRUE(client.until([&] { return client.ended.has_value(); }));
    EXPECT_EQ(client.log, "ended ");
}

TEST(StreamEnds, AServerThatSpeaksTlsIsRecognised) {
    Listener listener;
    Client client;
    client.open(listener);
    Fd server = listener.accept();
    ASSERT_EQ(send(server, "\x15\x03\x01\x00\x02\x02\x0a", 7, 0), 7);
    ASSERT_TRUE(client.until([&] { return client.ended.has_value(); }));
    EXPECT_EQ(client.ended->status, Status::PROTOCOL_ERROR);
    EXPECT_NE(client.ended->text.find("rediss://"), std::string::npos) << client.ended->text;
}

TEST(StreamEnds, AServerThatLeavesWithoutAWordMaySpeakTls) {
    Listener listener;
    Client client;
    client.open(listener);
    listener.accept().close();
    ASSERT_TRUE(client.until([&] { return client.ended.has_value(); }));
    EXPECT_EQ(client.ended->text, listener.text() +
                                      " closed the connection; perhaps it speaks TLS, which rediss:// or tls=true "
                                      "turns on");
}

// ---- Writing and reading ------------------------------------------------------------------------------------------

TEST(Stream, WhatTheSystemDoesNotTakeIsAskedForLater) {
    Listener listener;
    Client client;
    client.open(listener);
    Fd server = listener.accept();
    const std::string much(16u << 20, 'x');
    const std::size_t written = client.stream().write(much);
    EXPECT_LT(written, much.size());
    EXPECT_GT(client.stream().unconfirmed(), 0u);
    std::size_t read = 0;
    EXPECT_TRUE(
        client.until([&] { return client.log == "writable "; }, [&] { read += read_available(server).size(); }));
    EXPECT_TRUE(client.until([&] { return client.stream().unconfirmed() == 0; },
                             [&] { read += read_available(server).size(); }));
    EXPECT_EQ(read + read_available(server).size(), written);
    EXPECT_EQ(client.log, "writable ") << "once";
}

TEST(Stream, ItMayBeClosedAndOpenedFromWithin) {
    Listener listener;
    Client client;
    client.open(listener);
    Fd first = listener.accept();
    client.on_bytes = [&, again = false]() mutable {
        if (std::exchange(again, true)) return;
        client.stream().close();
        client.open(listener);
    };
    ASSERT_EQ(send(first, "one", 3, 0), 3);
    ASSERT_TRUE(client.until([&] { return listener.waiting(); }));
    EXPECT_TRUE(sees_the_end(first));
    Fd second = listener.accept();
    ASSERT_EQ(send(second, "two", 3, 0), 3);
    ASSERT_TRUE(client.until([&] { return client.received == "onetwo"; }));
    EXPECT_EQ(client.stream().write("answer"), 6u);
    EXPECT_EQ(read_available(second), "answer");
    EXPECT_FALSE(client.ended);
}

TEST(Stream, ClosedItTakesNothing) {
    Listener listener;
    Client client;
    EXPECT_EQ(client.stream().write("bytes"), 0u);
    EXPECT_EQ(client.stream().unconfirmed(), 0u);
    client.open(listener);
    client.stream().close();
    EXPECT_EQ(client.stream().write("bytes"), 0u);
}

// ---- fork() -------------------------------------------------------------------------------------------------------

TEST(StreamForks, AChildKeepsNoClosedConnectionOpen) {
    Listener listener;
    Client client;
    client.open(listener);
    Fd server = listener.accept();
    Child child;
    client.stream().close();
    EXPECT_TRUE(sees_the_end(server)) << "while the child has a copy of the socket";
}

TEST(StreamForks, AChildClosesNothingOfTheParents) {
    Listener listener;
    Client client;
    client.open(listener);
    Fd server = listener.accept();
    Child child([&] { client.stream().abandon(); });
    EXPECT_EQ(child.finish(), 0);
    EXPECT_EQ(client.stream().write("hello"), 5u);
    EXPECT_EQ(read_available(server), "hello");
    ASSERT_EQ(send(server, "+PONG\r\n", 7, 0), 7);
    EXPECT_TRUE(client.until([&] { return client.received == "+PONG\r\n" || client.ended; }));
    EXPECT_FALSE(client.ended);
}

// ---- TLS ----------------------------------------------------------------------------------------------------------

struct StreamTls : testing::Test, private Dialer::Owner {
    Listener listener;
    TlsServer server{listener};
    Client client;
    Resolver resolver;
    Dialer dialer{client.loop(), resolver, *this};

    bool until(const std::function<bool()>& done) {
        return client.until(done, [&] { server.step(); });
    }
    void SetUp() override {
        dialer.dial({"127.0.0.1", listener.port(), "", patience, 0, trusting(), "localhost"});
        ASSERT_TRUE(until([&] { return client.stream().is_open() && server.open(); }));
    }
    void dialed(Dialed dialed) override { client.stream().open(std::move(dialed), 0); }
    void dial_failed(Error why) override { ADD_FAILURE() << why.text; }
    void dialed_in_vain(Error) override {}
};

// The descriptor is silent about what was taken from it already.
TEST_F(StreamTls, WhatWasReceivedAlreadyIsReadOn) {
    std::string all;
    for (int i = 0; i < 20000; ++i) all += static_cast<char>('a' + i % 26);
    client.room = 100;  // so that several turns are needed for what comes in one
    server.write(all.substr(0, 100));
    server.write(all.substr(100, 10000));
    server.write(all.substr(10100));
    EXPECT_TRUE(until([&] { return client.received.size() == all.size() || client.ended; }));
    EXPECT_EQ(client.received, all);
}

TEST_F(StreamTls, ClosingSaysGoodbye) {
    EXPECT_EQ(client.stream().write("last"), 4u);
    client.stream().close();
    std::string read;
    EXPECT_TRUE(until([&] {
        read += server.read();
        return !server.end().empty();
    }));
    EXPECT_EQ(read, "last");
    EXPECT_EQ(server.end(), "goodbye");
}

TEST_F(StreamTls, DestroyingSaysNothing) {
    client.destroy();
    EXPECT_TRUE(client.until([&] {
        server.read();
        return !server.end().empty();
    }));
    EXPECT_EQ(server.end(), "cut off");
}

TEST_F(StreamTls, AChildClosesNothingOfTheParents) {
    Child child([&] { client.stream().abandon(); });
    EXPECT_EQ(child.finish(), 0);
    EXPECT_EQ(client.stream().write("hello"), 5u);
    std::string read;
    EXPECT_TRUE(until([&] {
        read += server.read();
        return read == "hello" || !server.end().empty();
    }));
    EXPECT_EQ(server.end(), "");
    server.write("+PONG\r\n");
    EXPECT_TRUE(until([&] { return client.received == "+PONG\r\n" || client.ended; }));
    EXPECT_FALSE(client.ended);
}

// What came with the handshake's last bytes is with the session at the handover, and the descriptor is silent about it:
// the dialer reads all of it at once, and the stream is told nothing more by the system.
TEST(StreamTlsHandover, WhatCameWithTheHandshakeIsRead) {
    Listener listener;
    TlsServer server(listener);
    Client client;
    SocketHandle socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Address address = listener.address();
    ASSERT_EQ(connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
    fcntl(socket.fd(), F_SETFL, O_NONBLOCK);
    auto pipe = std::make_unique<TlsPipe>(trusting(), "localhost");
    const auto exchange = [&] {
        server.step();
        if (!server.open()) pipe->receive(socket.fd());
        pipe->session().advance();
        EXPECT_EQ(pipe->flush(socket.fd()), 0);
        server.step();
    };
    const TimeMs deadline = now_ms() + patience;
    while (!server.open() && now_ms() < deadline) exchange();
    ASSERT_EQ(pipe->session().state(), TlsSession::State::open);
    // The server's session tickets would wake the stream all the same.
    while (pipe->receive(socket.fd()) > 0)
        while (!pipe->session().hungry()) {
            char byte;
            EXPECT_EQ(pipe->session().read(&byte, 1), 0u);
        }
    server.write("first words");
    pollfd poll_fd{socket.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&poll_fd, 1, static_cast<int>(patience)), 1);
    ASSERT_GT(pipe->receive(socket.fd()), 0);
    client.stream().open({std::move(socket), std::move(pipe), listener.text(), false}, 0);
    EXPECT_TRUE(client.until([&] { return client.received == "first words" || client.ended; }));
    EXPECT_EQ(client.received, "first words");
}

}  // namespace
}  // namespace fanwire::core
