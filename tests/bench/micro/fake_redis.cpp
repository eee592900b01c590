#include "fake_redis.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "must.h"

namespace fanwire::bench {

namespace {

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (written <= 0) return;  // the engine is gone
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

// "*2\r\n" or "$5\r\n" at `at`, which moves behind it; npos: not all of it is there.
std::size_t header(std::string_view bytes, std::size_t& at) {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) return end;
    const std::size_t value = std::strtoul(bytes.data() + at + 1, nullptr, 10);
    at = end + 2;
    return value;
}

// The words of the command at the front of `bytes`, and its size; 0: not all of it is there.
std::size_t command(std::string_view bytes, std::vector<std::string_view>& words) {
    std::size_t at = 0;
    words.clear();
    const std::size_t count = bytes.empty() ? std::string_view::npos : header(bytes, at);
    if (count == std::string_view::npos) return 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t size = at < bytes.size() ? header(bytes, at) : std::string_view::npos;
        if (size == std::string_view::npos || bytes.size() - at < size + 2) return 0;
        words.push_back(bytes.substr(at, size));
        at += size + 2;
    }
    return at;
}

}  // namespace

FakeRedis::FakeRedis() {
    char folder[] = "/tmp/fanwire-micro.XXXXXX";
    must(::mkdtemp(folder) != nullptr, "no folder");
    folder_ = folder;
    path_ = folder_ + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    must(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "no socket");
    must(::listen(listener_, 8) == 0 && ::pipe(stop_) == 0, "no socket");
    thread_ = std::thread([this] { run(); });
}

FakeRedis::~FakeRedis() {
    must(::write(stop_[1], "", 1) == 1, "cannot stop");
    thread_.join();
    for (const Client& client : clients_) ::close(client.fd);
    for (const int fd : {listener_, stop_[0], stop_[1]}) ::close(fd);
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
}

void FakeRedis::send(std::string_view bytes) {
    write_all(subscribed_, bytes);
}

void FakeRedis::run() {
    for (;;) {
        std::vector<pollfd> wait = {{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
        for (const Client& client : clients_) wait.push_back({client.fd, POLLIN, 0});
        must(::poll(wait.data(), wait.size(), -1) > 0, "poll");
        if (wait[0].revents) return;
        for (std::size_t i = wait.size(); i-- > 2;) {
            if (!wait[i].revents || serve(clients_[i - 2])) continue;
            ::close(wait[i].fd);
            clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - 2));
        }
        if (wait[1].revents) clients_.push_back({::accept(listener_, nullptr, nullptr), {}});
    }
}

bool FakeRedis::serve(Client& client) {
    char buffer[65536];
    const ssize_t got = ::recv(client.fd, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    client.in.append(buffer, static_cast<std::size_t>(got));
    std::vector<std::string_view> words;
    std::string out;
    std::string_view rest = client.in;
    while (const std::size_t size = command(rest, words)) {
        out += answer(client, words);
        rest.remove_prefix(size);
    }
    client.in.erase(0, client.in.size() - rest.size());
    write_all(client.fd, out);
    return true;
}

std::string FakeRedis::answer(Client& client, const std::vector<std::string_view>& words) {
    if (words[0] == "PING") return client.channels ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n";
    if (words[0] == "INFO") return "$0\r\n\r\n";
    if (words[0] != "SUBSCRIBE") return "+OK\r\n";
    std::string out;
    subscribed_ = client.fd;
    for (std::size_t i = 1; i < words.size(); ++i)
        out += "*3\r\n$9\r\nsubscribe\r\n$" + std::to_string(words[i].size()) + "\r\n" + std::string(words[i]) +
               "\r\n:" + std::to_string(++client.channels) + "\r\n";
    return out;
}

}  // namespace fanwire::bench
