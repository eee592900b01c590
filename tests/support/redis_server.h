// A private redis-server on a free port of 127.0.0.1, and a plain socket to talk to one without fanwire.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

extern char** environ;

namespace fanwire::test {

inline constexpr std::chrono::seconds patience{30};  // nothing waits that long unless it fails

// A port of 127.0.0.1 (or ::1) that was free a moment ago.
inline int free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error("no free port");
    close(fd);
    return ntohs(address.sin_port);
}

// A blocking connection that speaks RESP by hand.
class RawClient {
 public:
    explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(port));
        if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            close(fd_);
            throw std::runtime_error("no Redis on port " + std::to_string(port));
        }
    }
    ~RawClient() { close(fd_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void send(const std::vector<std::string>& words) {
        std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
        for (const std::string& word : words) bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) throw std::runtime_error("the connection broke");
            bytes.erase(0, static_cast<size_t>(n));
        }
    }
    // One reply as text: strings and statuses bare, errors with '-', arrays in brackets.
    std::string reply() {
        const std::string line = read_line();
        const std::string rest = line.substr(1);
        switch (line[0]) {
            case '$': {
                const int size = std::stoi(rest);
                return size < 0 ? "nil" : read_bytes(static_cast<size_t>(size));
            }
            case '*': {
                std::string text = "[";
                for (int i = 0; i < std::stoi(rest); ++i) text += (i ? "," : "") + reply();
                return text + "]";
            }
            case '-':
                return line;
            default:
                return rest;
        }
    }
    std::string call(const std::vector<std::string>& words) {
        send(words);
        return reply();
    }

 private:
    void fill() {
        pollfd ready{fd_, POLLIN, 0};
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
        char bytes[65536];
        const ssize_t n = poll(&ready, 1, static_cast<int>(ms)) == 1 ? recv(fd_, bytes, sizeof bytes, 0) : 0;
        if (n <= 0) throw std::runtime_error("no reply");
        buffer_.append(bytes, static_cast<size_t>(n));
    }
    std::string read_line() {
        size_t end;
        while ((end = buffer_.find("\r\n")) == std::string::npos) fill();
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 2);
        return line;
    }
    std::string read_bytes(size_t size) {
        while (buffer_.size() < size + 2) fill();
        std::string bytes = buffer_.substr(0, size);
        buffer_.erase(0, size + 2);
        return bytes;
    }

    int fd_;
    std::string buffer_;
};

class RedisServer {
 public:
    // More words of redis-server's command line: {"--requirepass", "secret"}.
    explicit RedisServer(std::vector<std::string> more = {}) : RedisServer(std::move(more), false) {}
    // One that speaks TLS on a second port. `more` says with which files: {"--tls-cert-file", ...}.
    static RedisServer with_tls(std::vector<std::string> more) { return RedisServer(std::move(more), true); }
    ~RedisServer() {
        stop();
        std::filesystem::remove_all(directory_);
    }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    int port() const { return port_; }
    int tls_port() const { return tls_port_; }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    std::string socket_path() const { return directory_ + "/redis.sock"; }

    // Ends it at once, as a crash would.
    void kill() { end(SIGKILL); }
    void stop() { end(SIGTERM); }
    // It hangs: connected, but silent.
    void pause() { ::kill(pid_, SIGSTOP); }
    void resume() { ::kill(pid_, SIGCONT); }
    // Starts it again on the same port.
    void start() {
        if (!try_start()) throw std::runtime_error("redis-server does not start again");
    }

 private:
    RedisServer(std::vector<std::string> more, bool tls) : more_(std::move(more)) {
        std::string pattern = (std::filesystem::temp_directory_path() / "fanwire-redis-XXXXXX").string();
        if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary directory");
        directory_ = pattern;
        for (int attempt = 0; attempt < 5; ++attempt) {
            port_ = free_port();
            if (tls) tls_port_ = free_port();
            if (try_start()) return;
        }
        throw std::runtime_error("redis-server does not start (is it installed?)");
    }

    bool try_start() {
        std::vector<std::string> words = {"redis-server",
                                          "--port",
                                          std::to_string(port_),
                                          "--bind",
                                          "127.0.0.1",
                                          "::1",
                                          "--save",
                                          "",
                                          "--appendonly",
                                          "no",
                                          "--dir",
                                          directory_,
                                          "--unixsocket",
                                          socket_path(),
                                          "--logfile",
                                          directory_ + "/log"};
        if (tls_port_ != 0) words.insert(words.end(), {"--tls-port", std::to_string(tls_port_)});
        words.insert(words.end(), more_.begin(), more_.end());
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        if (posix_spawnp(&pid_, "redis-server", nullptr, nullptr, argv.data(), environ) != 0) return false;
        const auto end_time = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < end_time) {
            int status;
            if (waitpid(pid_, &status, WNOHANG) == pid_) {  // the port was taken, or the words were wrong
                pid_ = 0;
                return false;
            }
            try {
                RawClient client(port_);
                const std::string pong = client.call({"PING"});
                if (pong == "PONG" || pong.starts_with("-NOAUTH")) return true;
            } catch (const std::runtime_error&) {
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        stop();
        return false;
    }
    void end(int signal) {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        resume();  // if it was paused, it could not end
        int status;
        waitpid(pid_, &status, 0);
        pid_ = 0;
    }

    std::vector<std::string> more_;
    std::string directory_;
    int port_ = 0, tls_port_ = 0;
    pid_t pid_ = 0;
};

}  // namespace fanwire::test
