// The transport over real sockets whose other ends do what the test says, step by step and in this thread.
#include "core/net/transport.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fanwire::core {
namespace {

constexpr TimeMs patience = 20000;

std::string file(const std::string& name) {
    static const std::string directory = FANWIRE_CERTIFICATES "/";
    return directory + name;
}

// A descriptor.
class Fd {
 public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    ~Fd() { close(); }
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        close();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }
    operator int() const { return fd_; }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    // Ends the connection by a reset.
    void reset() {
        const linger now{1, 0};
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

 private:
    int fd_;
};

// A socket that listens on 127.0.0.1.
class Listener {
 public:
    explicit Listener(int backlog = 16) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof any;
        EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
        EXPECT_EQ(listen(fd_, backlog), 0);
        getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size);
        port_ = ntohs(any.sin_port);
    }
    std::uint16_t port() const { return port_; }
    Address address() const { return look_up("127.0.0.1", port_, AI_NUMERICHOST).addresses.at(0); }
    std::string text() const { return "127.0.0.1:" + std::to_string(port_); }
    bool waiting() const {
        pollfd poll_fd{fd_, POLLIN, 0};
        return poll(&poll_fd, 1, 0) == 1;
    }
    Fd accept() { return Fd(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)); }
    void close() { fd_.close(); }

 private:
    Fd fd_;
    std::uint16_t port_ = 0;
};

// Does not answer those who connect: its queue is full.
struct Silent {
    Listener listener{0};
    std::vector<Fd> queue;

    Silent() {
        const Address address = listener.address();
        for (int i = 0; i < 4; ++i) {
            queue.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            connect(queue.back(), reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        }
    }
};

// A transport and its owner, in a loop that runs while the test waits for something.
class Client : public Transport::Owner {
 public:
    explicit Client(std::vector<Address> addresses, std::shared_ptr<const TlsContext> tls = nullptr,
                    TimeMs connect_timeout = patience)
        : resolver_([addresses](const std::string& host, std::uint16_t port, int flags) {
              return host == "redis.test" ? Resolved{addresses, {}} : look_up(host, port, flags);
          }),
          transport_(std::make_unique<Transport>(loop_, resolver_, *this)),
          endpoint{"redis.test", 1, "", connect_timeout, 0, std::move(tls), "localhost"} {}

    Transport& transport() { return *transport_; }
    void open() { transport_->open(endpoint); }
    void destroy() { transport_.reset(); }
    Loop& loop() { return loop_; }

    // Whether it came to be, in good time; `step` is what the other end does meanwhile.
    bool until(
        const std::function<bool()>& done, const std::function<void()>& step = [] {}) {
        const TimeMs deadline = now_ms() + patience;
        bool is_done = false;
        Loop::Timer timer(loop_, [&] {
            step();
            is_done = done();
            if (is_done || now_ms() > deadline)
                loop_.stop();
            else
                timer_at_(now_ms() + 1);
        });
        timer_at_ = [&timer](TimeMs time) { timer.at(time); };
        timer.at(now_ms());
        loop_.run();
        return is_done;
    }
    bool connect() {
        opened = false;
        broken.reset();
        open();
        return until([&] { return opened || broken; }) && opened;
    }

    bool opened = false;
    std::string received;
    std::optional<Error> broken;
    std::size_t room = 0;  // bytes that the owner wants at most at once; 0: any
    std::string log;       // what happened, in order

 private:
    void transport_opened() override {
        opened = true;
        log += "opened ";
    }
    void transport_received(std::string_view bytes) override {
        received += bytes;
        log += "received ";
    }
    std::span<char> transport_room() override {
        room_.resize(room);
        return room_;
    }
    void transport_writable() override {}
    void transport_broken(Error why) override {
        broken = std::move(why);
        log += "broken ";
    }
    Error transport_moving_on(Error why) override {
        opened = false;
        log += "moving-on ";
        why.text += " (as the owner says)";
        return why;
    }

    Loop loop_{[] {}};
    Resolver resolver_;
    std::unique_ptr<Transport> transport_;
    std::vector<char> room_;
    std::function<void(TimeMs)> timer_at_;

 public:
    Endpoint endpoint;  // of the next open()
};

std::string read_available(int fd) {
    std::string all;
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) all.append(bytes, static_cast<std::size_t>(n));
    return all;
}

// Whether the other end has ended the connection; waits for it.
bool sees_the_end(int fd) {
    pollfd poll_fd{fd, POLLIN, 0};
    if (poll(&poll_fd, 1, static_cast<int>(patience)) != 1) return false;
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

// ---- Which address ------------------------------------------------------------------------------------------------

// The link gives an attempt up at its deadline; before that the addresses behind silent ones must have had their turn.
TEST(TransportAddresses, SilentOnesLeaveTimeForThoseBehindThem) {
    Silent first, second;
    Listener healthy;
    constexpr TimeMs timeout = 1800;
    Client client({first.listener.address(), second.listener.address(), healthy.address()}, nullptr, timeout);
    bool given_up = false;
    Loop::Timer deadline(client.loop(), [&] {
        given_up = true;
        client.transport().close();
    });
    deadline.at(now_ms() + timeout);
    client.open();
    EXPECT_TRUE(client.until([&] { return client.opened || client.broken || given_up; }));
    EXPECT_TRUE(client.opened) << (client.broken ? client.broken->text : "given up");
    EXPECT_EQ(client.transport().peer(), healthy.text());
}

TEST(TransportAddresses, AfterAFailedGreetingTheNextOneIsNext) {
    Listener a, b, c;
    Client client({a.address(), b.address(), c.address()});
    for (int round = 0; round < 2; ++round) {
        for (const Listener* expected : {&a, &b, &c}) {
            ASSERT_TRUE(client.connect());
            EXPECT_EQ(client.transport().peer(), expected->text());
            client.transport().close();  // before it was good
        }
    }
}

// Within the same attempt: what opens an engine and waits for it shall find the address that works.
TEST(TransportAddresses, AfterOneThatClosesOrIsSilentBeforeItGreetsTheNextOneHasItsTurn) {
    Listener a, b, c;
    Client client({a.address(), b.address(), c.address()}, nullptr, 600);
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), a.text());
    a.accept().close();
    ASSERT_TRUE(client.until([&] { return client.log == "opened moving-on opened "; }));
    EXPECT_EQ(client.transport().peer(), b.text());
    EXPECT_EQ(client.transport().write("PING\r\n"), 6u);
    ASSERT_TRUE(client.until([&] { return client.log == "opened moving-on opened moving-on opened "; }))
        << "b is silent";
    EXPECT_EQ(client.transport().peer(), c.text());
    c.accept().close();
    EXPECT_TRUE(client.until([&] { return client.broken.has_value(); }));
    // Next time they are all known to be sick: then one has all the time, and the next one the next attempt.
    client.log.clear();
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), a.text());
    const TimeMs later = now_ms() + 300;  // a share would be 200
    EXPECT_TRUE(client.until([&] { return now_ms() > later; }));
    EXPECT_EQ(client.log, "opened ");
}

TEST(TransportAddresses, WhenAllFailTheTextSaysWhatEachDid) {
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

TEST(TransportAddresses, OneThatGreetedIsNotLeftForAnother) {
    Listener a, b;
    Client client({a.address(), b.address()}, nullptr, 200);
    ASSERT_TRUE(client.connect());
    client.transport().greeted();
    Fd server = a.accept();
    const TimeMs later = now_ms() + 250;  // its share of the time was 100
    EXPECT_TRUE(client.until([&] { return now_ms() > later; }));
    EXPECT_EQ(client.log, "opened ");
    server.close();
    EXPECT_TRUE(client.until([&] { return client.broken.has_value(); })) << "the owner decides when it is tried again";
    EXPECT_FALSE(b.waiting());
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), b.text()) << "it greeted, and never did what it is for";
}

TEST(TransportAddresses, AGoodOneStaysTheFirstChoice) {
    Listener a, b;
    Client client({a.address(), b.address()});
    ASSERT_TRUE(client.connect());
    client.transport().close();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.connect());
        EXPECT_EQ(client.transport().peer(), b.text());
        client.transport().good();
        client.transport().close();
    }
    // Until it fails itself: of two that have, the one that failed first is the next.
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), b.text());
    client.transport().close();
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), a.text());
}

// As when a Sentinel names another master.
TEST(TransportAddresses, EachAttemptMayGoToAnotherEndpoint) {
    Listener a, b;
    Client client({a.address()});
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), a.text());
    client.endpoint.unix_path = "/nowhere/redis.sock";
    EXPECT_FALSE(client.connect());
    EXPECT_NE(client.broken->text.find("/nowhere/redis.sock"), std::string::npos) << client.broken->text;
    client.endpoint.unix_path.clear();
    client.endpoint.host = "127.0.0.1";
    client.endpoint.port = b.port();
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), b.text());
}

TEST(TransportAddresses, OneThatRefusesIsPassedOverInTheSameAttempt) {
    Listener dead, b;
    dead.close();
    Client client({dead.address(), b.address()});
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.transport().peer(), b.text());
}

TEST(TransportAddresses, SilentInTheHandshakeOfTlsIsSickToo) {
    Listener silent, other;
    const auto tls = std::make_shared<TlsContext>(TlsContext::Config{file("ca.pem"), "", "", TlsVerify::full});
    Client client({silent.address(), other.address()}, tls, 400);
    client.open();
    EXPECT_TRUE(client.until([&] { return other.waiting(); })) << "in the same attempt";
    client.transport().close();
    client.open();
    EXPECT_TRUE(client.until([&] { return client.transport().peer() == silent.text(); })) << "both are sick";
}

// ---- Ends ---------------------------------------------------------------------------------------------------------

// What the server says before it goes tells more than that it went, and a write may be the first to learn of that.
TEST(TransportEnds, TheLastWordsAreReadAfterAFailedWrite) {
    Listener listener;
    Client client({listener.address()});
    ASSERT_TRUE(client.connect());
    Fd server = listener.accept();
    client.loop().post([] {});  // so that the loop's own descriptor is ready before the socket is
    const std::string words = "-ERR max number of clients reached\r\n";
    ASSERT_EQ(send(server, words.data(), words.size(), 0), static_cast<ssize_t>(words.size()));
    server.reset();
    EXPECT_EQ(client.transport().write("PING\r\n"), 0u);
    ASSERT_TRUE(client.until([&] { return client.broken.has_value(); }));
    EXPECT_EQ(client.received, words);
    EXPECT_EQ(client.log, "opened received broken ");
    EXPECT_EQ(client.broken->status, Status::CONNECTION_LOST);
}

TEST(TransportEnds, AFailedWriteIsToldWithoutLastWordsToo) {
    Listener listener;
    Client client({listener.address()});
    ASSERT_TRUE(client.connect());
    listener.accept().reset();
    EXPECT_EQ(client.transport().write("PING\r\n"), 0u);
    EXPECT_TRUE(client.until([&] { return client.broken.has_value(); }));
    EXPECT_EQ(client.log, "opened broken ");
}

TEST(TransportEnds, AServerThatSpeaksTlsIsRecognised) {
    Listener listener;
    Client client({listener.address()});
    ASSERT_TRUE(client.connect());
    Fd server = listener.accept();
    ASSERT_EQ(send(server, "\x15\x03\x01\x00\x02\x02\x0a", 7, 0), 7);
    ASSERT_TRUE(client.until([&] { return client.broken.has_value(); }));
    EXPECT_EQ(client.broken->status, Status::PROTOCOL_ERROR);
    EXPECT_NE(client.broken->text.find("rediss://"), std::string::npos) << client.broken->text;
}

// ---- fork() -------------------------------------------------------------------------------------------------------

// A child that waits until it is let go.
class Child {
 public:
    explicit Child(const std::function<void()>& task = [] {}) {
        EXPECT_EQ(pipe(pipe_), 0);
        pid_ = fork();
        if (pid_ != 0) return;
        close(pipe_[1]);
        task();
        char byte;
        [[maybe_unused]] const ssize_t n = read(pipe_[0], &byte, 1);
        _exit(0);
    }
    ~Child() { finish(); }
    int finish() {
        if (pid_ <= 0) return 0;
        close(pipe_[0]);
        close(pipe_[1]);
        int status = 0;
        waitpid(std::exchange(pid_, -1), &status, 0);
        return status;
    }

 private:
    int pipe_[2] = {-1, -1};
    pid_t pid_ = -1;
};

TEST(TransportForks, AChildKeepsNoClosedConnectionOpen) {
    Listener listener;
    Client client({listener.address()});
    ASSERT_TRUE(client.connect());
    Fd server = listener.accept();
    Child child;
    client.transport().close();
    EXPECT_TRUE(sees_the_end(server)) << "while the child has a copy of the socket";
}

TEST(TransportForks, AChildClosesNothingOfTheParents) {
    Listener listener;
    Client client({listener.address()});
    ASSERT_TRUE(client.connect());
    Fd server = listener.accept();
    Child child([&] { client.transport().abandon(); });
    EXPECT_EQ(child.finish(), 0);
    EXPECT_EQ(client.transport().write("hello"), 5u);
    EXPECT_EQ(read_available(server), "hello");
    ASSERT_EQ(send(server, "+PONG\r\n", 7, 0), 7);
    EXPECT_TRUE(client.until([&] { return client.received == "+PONG\r\n" || client.broken; }));
    EXPECT_FALSE(client.broken);
}

// ---- TLS ----------------------------------------------------------------------------------------------------------

// The other end, over a socket.
class TlsServer {
 public:
    explicit TlsServer(Listener& listener) : listener_(listener), context_(SSL_CTX_new(TLS_server_method())) {
        SSL_CTX_use_certificate_file(context_, file("server.pem").c_str(), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(context_, file("server.key").c_str(), SSL_FILETYPE_PEM);
        signal(SIGPIPE, SIG_IGN);  // OpenSSL says something even to those who are gone
    }
    ~TlsServer() {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
        ERR_clear_error();
    }
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    // Goes on with the handshake, as far as the client has come.
    void step() {
        if (!ssl_) {
            if (!listener_.waiting()) return;
            socket_ = listener_.accept();
            fcntl(socket_, F_SETFL, O_NONBLOCK);
            ssl_ = SSL_new(context_);
            SSL_set_fd(ssl_, socket_);
        }
        if (!SSL_is_init_finished(ssl_)) SSL_accept(ssl_);
    }
    bool open() const { return ssl_ && SSL_is_init_finished(ssl_); }
    void write(const std::string& bytes) {
        ASSERT_EQ(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())), static_cast<int>(bytes.size()));
    }
    // What there is; the end goes to end().
    std::string read() {
        std::string all;
        char bytes[4096];
        ERR_clear_error();
        int n;
        while ((n = SSL_read(ssl_, bytes, sizeof bytes)) > 0) all.append(bytes, static_cast<std::size_t>(n));
        const int error = SSL_get_error(ssl_, n);
        end_ = error == SSL_ERROR_WANT_READ ? "" : error == SSL_ERROR_ZERO_RETURN ? "goodbye" : "cut off";
        return all;
    }
    const std::string& end() const { return end_; }

 private:
    Listener& listener_;
    SSL_CTX* context_;
    Fd socket_;
    SSL* ssl_ = nullptr;
    std::string end_;
};

struct TransportTls : testing::Test {
    Listener listener;
    TlsServer server{listener};
    Client client{{listener.address()},
                  std::make_shared<TlsContext>(TlsContext::Config{file("ca.pem"), "", "", TlsVerify::full})};

    bool until(const std::function<bool()>& done) {
        return client.until(done, [&] { server.step(); });
    }
    void SetUp() override {
        client.open();
        ASSERT_TRUE(until([&] { return (client.opened && server.open()) || client.broken; }));
        ASSERT_TRUE(client.opened) << client.broken->text;
    }
};

// One context, whatever the name.
TEST_F(TransportTls, EachAttemptMayExpectAnotherName) {
    for (const auto& [name, status] :
         {std::pair("elsewhere.test", Status::TLS_WRONG_NAME), std::pair("127.0.0.1", Status::OK),
          std::pair(".no-name", Status::INVALID_OPTION)}) {
        TlsServer other(listener);
        client.opened = false;
        client.broken.reset();
        client.endpoint.tls_name = name;
        client.open();
        ASSERT_TRUE(client.until([&] { return client.opened || client.broken; }, [&] { other.step(); }));
        EXPECT_EQ(client.broken ? client.broken->status : Status::OK, status) << name;
    }
}

// The descriptor is silent about what was taken from it already.
TEST_F(TransportTls, WhatWasReceivedAlreadyIsReadOn) {
    std::string all;
    for (int i = 0; i < 20000; ++i) all += static_cast<char>('a' + i % 26);
    client.room = 100;  // so that several turns are needed for what comes in one
    server.write(all.substr(0, 100));
    server.write(all.substr(100, 10000));
    server.write(all.substr(10100));
    EXPECT_TRUE(until([&] { return client.received.size() == all.size() || client.broken; }));
    EXPECT_EQ(client.received, all);
}

TEST_F(TransportTls, ClosingSaysGoodbye) {
    EXPECT_EQ(client.transport().write("last"), 4u);
    client.transport().close();
    std::string read;
    EXPECT_TRUE(until([&] {
        read += server.read();
        return !server.end().empty();
    }));
    EXPECT_EQ(read, "last");
    EXPECT_EQ(server.end(), "goodbye");
}

TEST_F(TransportTls, DestroyingSaysNothing) {
    client.destroy();
    EXPECT_TRUE(until([&] {
        server.read();
        return !server.end().empty();
    }));
    EXPECT_EQ(server.end(), "cut off");
}

TEST_F(TransportTls, AChildClosesNothingOfTheParents) {
    Child child([&] { client.transport().abandon(); });
    EXPECT_EQ(child.finish(), 0);
    EXPECT_EQ(client.transport().write("hello"), 5u);
    std::string read;
    EXPECT_TRUE(until([&] {
        read += server.read();
        return read == "hello" || !server.end().empty();
    }));
    EXPECT_EQ(server.end(), "");
    server.write("+PONG\r\n");
    EXPECT_TRUE(until([&] { return client.received == "+PONG\r\n" || client.broken; }));
    EXPECT_FALSE(client.broken);
}

}  // namespace
}  // namespace fanwire::core
