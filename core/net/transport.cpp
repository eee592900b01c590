#include "core/net/transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fanwire::core {

namespace {

constexpr std::size_t read_size = 64 * 1024;
constexpr int reads_per_turn = 16;  // then others have their turn

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

int make_socket(int family) {
#ifdef SOCK_CLOEXEC
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    const int fd = socket(family, SOCK_STREAM, 0);
    if (fd >= 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

void set_tcp_options(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Transport::Transport(Loop& loop, Resolver& resolver, Endpoint endpoint, Owner& owner)
    : loop_(loop),
      resolver_(resolver),
      endpoint_(std::move(endpoint)),
      owner_(owner),
      address_timer_(loop, [this] { address_failed("no answer"); }),
      buffer_(read_size) {}

Transport::~Transport() { close(); }

// Calls back from the loop, if the connection is still the one that it is now.
void Transport::later(Loop::Callback callback) {
    loop_.post([weak = std::weak_ptr(generation_), now = *generation_, callback = std::move(callback)] {
        const auto generation = weak.lock();
        if (generation && *generation == now) callback();
    });
}

void Transport::open() {
    close();
    failures_.clear();
    if (!endpoint_.unix_path.empty()) {
        peer_ = endpoint_.unix_path;
        later([this] { resolved({{Address::of_unix_path(endpoint_.unix_path)}, {}}); });
        return;
    }
    peer_ = endpoint_.host + ":" + std::to_string(endpoint_.port);
    resolver_.resolve(endpoint_.host, endpoint_.port,
                      [&loop = loop_, weak = std::weak_ptr(generation_), now = *generation_, this](Resolved found) {
                          loop.post([weak, now, this, found = std::move(found)] {
                              const auto generation = weak.lock();
                              if (generation && *generation == now) resolved(found);
                          });
                      });
}

void Transport::close() {
    ++*generation_;
    address_timer_.at(never);
    watch_.reset();
    if (fd_ >= 0) {
        shutdown(fd_, SHUT_RDWR);  // a child of fork() may hold a copy: close() alone would not end the connection
        ::close(fd_);
    }
    fd_ = -1;
    connected_ = false;
    addresses_.clear();
    next_address_ = 0;
}

void Transport::resolved(Resolved resolved) {
    if (resolved.error) {
        close();
        owner_.transport_broken(std::move(resolved.error));
        return;
    }
    addresses_ = std::move(resolved.addresses);
    try_next();
}

void Transport::try_next() {
    while (next_address_ < addresses_.size()) {
        const Address& address = addresses_[next_address_++];
        peer_ = address.text();
        fd_ = make_socket(address.family());
        if (fd_ < 0) {
            const bool resources = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            const std::string why = std::strerror(errno);
            if (resources) return broken(Status::SYSTEM_ERROR, "socket: " + why);
            failures_ += (failures_.empty() ? "" : "; ") + peer_ + ": " + why;
            continue;
        }
        if (address.family() != AF_UNIX) set_tcp_options(fd_);
        const int result = connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        if (result != 0 && errno != EINPROGRESS && errno != EINTR) {
            failures_ += (failures_.empty() ? "" : "; ") + peer_ + ": " + std::strerror(errno);
            ::close(fd_);
            fd_ = -1;
            continue;
        }
        watch_ = std::make_unique<Loop::Watch>(
            loop_, fd_, [this] { readable(); },
            [this] {
                if (!connected_) return connecting_done();
                watch_->write(false);
                owner_.transport_writable();
            });
        watch_->write(true);
        // A silent address must not use up the time of those behind it.
        if (addresses_.size() > 1)
            address_timer_.at(now_ms() + endpoint_.connect_timeout / static_cast<TimeMs>(addresses_.size()));
        return;
    }
    broken(Status::CONNECT_FAILED, "cannot connect to " + failures_);
}

void Transport::address_failed(const std::string& why) {
    failures_ += (failures_.empty() ? "" : "; ") + peer_ + ": " + why;
    watch_.reset();
    ::close(fd_);
    fd_ = -1;
    try_next();
}

void Transport::connecting_done() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        watch_->write(false);
        address_timer_.at(never);
        later([this, why = std::string(std::strerror(error))] { address_failed(why); });
        return;
    }
    address_timer_.at(never);
    connected_ = true;
    watch_->write(false);
    watch_->read(true);
    owner_.transport_opened();
}

void Transport::readable() {
    const std::uint64_t generation = *generation_;
    for (int turn = 0; turn < reads_per_turn; ++turn) {
        const ssize_t n = recv(fd_, buffer_.data(), buffer_.size(), 0);
        if (n < 0 && would_block(errno)) return;
        if (n < 0) return broken(Status::CONNECTION_LOST, peer_ + ": " + std::strerror(errno));
        if (n == 0) return broken(Status::CONNECTION_LOST, peer_ + " closed the connection");
        owner_.transport_received({buffer_.data(), static_cast<std::size_t>(n)});
        if (*generation_ != generation) return;
        if (static_cast<std::size_t>(n) < buffer_.size()) return;
    }
}

void Transport::abandon() noexcept {
    if (fd_ >= 0) ::close(fd_);
}

std::size_t Transport::write(std::string_view bytes) {
    std::size_t done = 0;
    while (connected_ && done < bytes.size()) {
        const ssize_t n = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (n >= 0) {
            done += static_cast<std::size_t>(n);
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            watch_->write(true);
        } else {
            later([this, why = peer_ + ": " + std::strerror(errno)] { broken(Status::CONNECTION_LOST, why); });
        }
        break;
    }
    return done;
}

void Transport::broken(Status status, const std::string& why) {
    const std::string text = why;  // why may be ours, and close() clears
    close();
    owner_.transport_broken({status, text});
}

}  // namespace fanwire::core
