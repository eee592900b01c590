// Real sockets whose other ends do what the test says, step by step and in the test's thread: for what is tested over a
// loop that runs while the test waits for something.
#pragma once

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
#include <string>
#include <utility>
#include <vector>

#include "core/net/loop.h"
#include "core/net/resolver.h"
#include "core/net/tls.h"

namespace fanwire::core::scripted {

constexpr TimeMs patience = 20000;

// One of the certificates that the build made.
inline std::string file(const std::string& name) {
    return FANWIRE_CERTIFICATES "/" + name;
}
inline std::shared_ptr<TlsContext> trusting() {
    return std::make_shared<TlsContext>(TlsContext::Config{file("ca.pem"), "", "", TlsVerify::full});
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

// A loop that runs until what the test waits for has come to be.
class RunningLoop {
 public:
    Loop& loop() { return loop_; }
    operator Loop&() { return loop_; }

    // Whether it came to be, in good time; `step` is what the other end does meanwhile.
    bool until(
        const std::function<bool()>& done, const std::function<void()>& step = [] {}) {
        const TimeMs deadline = now_ms() + patience;
        bool is_done = false;
        std::function<void()> look;
        Loop::Timer timer(loop_, [&] { look(); });
        look = [&] {
            step();
            is_done = done();
            if (is_done || now_ms() > deadline)
                loop_.stop();
            else
                timer.at(now_ms() + 1);
        };
        timer.at(now_ms());
        loop_.run();
        return is_done;
    }

 private:
    Loop loop_{[] {}};
};

// Knows the addresses of "redis.test", and what the system knows.
inline Resolver::LookUp knowing(std::vector<Address> addresses) {
    return [addresses = std::move(addresses)](const std::string& host, std::uint16_t port, int flags) {
        return host == "redis.test" ? Resolved{addresses, {}} : look_up(host, port, flags);
    };
}

inline std::string read_available(int fd) {
    std::string all;
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) all.append(bytes, static_cast<std::size_t>(n));
    return all;
}

// Whether the other end has ended the connection; waits for it.
inline bool sees_the_end(int fd) {
    pollfd poll_fd{fd, POLLIN, 0};
    if (poll(&poll_fd, 1, static_cast<int>(patience)) != 1) return false;
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

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

// A server that speaks TLS.
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

}  // namespace fanwire::core::scripted
