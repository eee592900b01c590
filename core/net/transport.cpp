#include "core/net/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/net/socket.h"

namespace fanwire::core {

namespace {

constexpr std::size_t read_size = 64 * 1024;
// After a large part of a message: what follows may be another one, which is better not read with its head.
constexpr std::size_t read_size_in_large = 16 * 1024;
constexpr int reads_per_turn = 16;  // then others have their turn
// How much earlier than the owner we lose patience with a TLS handshake, so that it can be said what was waited for.
constexpr TimeMs patience_margin = 50;
constexpr TimeMs probe_after = 500;  // without an answer to the TLS handshake, or earlier when time is short

void set_tcp_options(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Linux makes room for the mark below which a socket is not readable (tcp_set_rcvlowat), and goes on to fit the buffer
// to the connection, which it would not if SO_RCVBUF was set.
void grow_receive_buffer([[maybe_unused]] int fd) {
#ifdef __linux__
    for (const int mark : {static_cast<int>(ReadModeration::bytes_wanted * ReadModeration::buffer_part / 2), 1})
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
#endif
}

}  // namespace

Transport::Transport(Loop& loop, Resolver& resolver, Owner& owner)
    : loop_(loop),
      resolver_(resolver),
      owner_(owner),
      address_timer_(loop, [this] { attempt([this] { address_timed_out(); }); }),
      buffer_(read_size) {}

Transport::~Transport() {
    forget();
}

// Calls back from the loop, if the connection is still the one that it is now.
void Transport::later(Loop::Callback callback) {
    loop_.post([this, weak = std::weak_ptr(generation_), now = *generation_, callback = std::move(callback)] {
        const auto generation = weak.lock();
        if (generation && *generation == now) attempt(callback);
    });
}

// Runs a step that came from the loop: without the memory for it the connection is broken off, so that it is made anew.
template <class Step>
void Transport::attempt(Step&& step) {
    try {
        step();
    } catch (const std::bad_alloc&) {
        forget();
        owner_.transport_broken({Status::NO_MEMORY, "out of memory"});
    }
}

void Transport::open(Endpoint endpoint) {
    close();
    if (endpoint.tls && wire_buffer_.empty()) wire_buffer_.resize(read_size);
    endpoint_ = std::move(endpoint);
    // A unix socket's buffer is emptied before waiting could pay, and the sender would have to wait for us.
    moderation_ = ReadModeration(endpoint_.unix_path.empty() ? endpoint_.read_delay_max_us : 0);
    failures_.clear();
    failure_ = Status::CONNECT_FAILED;
    opened_at_ = now_ms();
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
                              if (generation && *generation == now) attempt([&] { resolved(found); });
                          });
                      });
}

void Transport::close() {
    if (tls_ && connected_) {
        tls_->finish();
        send_rest_of_tls();
    }
    forget();
}

void Transport::forget() {
    ++*generation_;
    if (fd_ >= 0 && !good_) addresses_.failed();
    address_timer_.at(never);
    if (read_timer_) read_timer_->off();
    moderation_.reset();
    watch_.reset();
    probe_.reset();
    tls_.reset();
    close_socket();
    connected_ = greeted_ = good_ = false;
    write_failing_ = tls_waits_ = resume_posted_ = false;
    drained_ = true;
    addresses_.end();
}

void Transport::close_socket() {
    if (fd_ < 0) return;
    shutdown(fd_, SHUT_RDWR);  // a child of fork() may hold a copy: close() alone would not end the connection
    ::close(std::exchange(fd_, -1));
}

void Transport::resolved(Resolved resolved) {
    if (resolved.error) {
        close();
        owner_.transport_broken(std::move(resolved.error));
        return;
    }
    addresses_.begin(std::move(resolved.addresses));
    try_next();
}

// The server at this address is not the one that will do.
void Transport::move_on(Error why) {
    why = owner_.transport_moving_on(std::move(why));
    connected_ = false;
    address_failed_later(std::move(why));
}

void Transport::greeted() {
    greeted_ = true;
    address_timer_.at(never);
}

void Transport::good() {
    if (connected_ && !std::exchange(good_, true)) addresses_.good();
}

void Transport::try_next() {
    while (addresses_.next()) {
        const Address& address = addresses_.current();
        peer_ = address.text();
        received_ = false;
        fd_ = make_socket(address.family());
        if (fd_ < 0) {
            const bool resources = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            const std::string why = std::strerror(errno);
            if (resources) return broken(Status::SYSTEM_ERROR, "socket: " + why);
            failures_ += (failures_.empty() ? "" : "; ") + peer_ + ": " + why;
            addresses_.failed();
            continue;
        }
        if (address.family() != AF_UNIX) set_tcp_options(fd_);
        const int result = connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        if (result != 0 && errno != EINPROGRESS && errno != EINTR) {
            failures_ += (failures_.empty() ? "" : "; ") + peer_ + ": " + std::strerror(errno);
            ::close(fd_);
            fd_ = -1;
            addresses_.failed();
            continue;
        }
        watch_ = std::make_unique<Loop::Watch>(
            loop_, fd_, [this] { attempt([this] { readable(); }); }, [this] { attempt([this] { writable(); }); });
        watch_->write(true);
        // A silent address must not use up the time of those behind it. The last one has all that is left, which the
        // owner watches.
        const auto behind = static_cast<TimeMs>(addresses_.behind());
        address_deadline_ = now_ms() + (behind > 0 ? time_left() / (behind + 1)
                                                   : std::max(time_left() - patience_margin, time_left() / 2));
        if (behind > 0) address_timer_.at(address_deadline_);
        return;
    }
    broken(failure_, "cannot connect to " + failures_);
}

TimeMs Transport::time_left() const {
    return opened_at_ + endpoint_.connect_timeout - now_ms();
}

void Transport::address_timed_out() {
    if (connected_) return move_on({Status::CONNECT_TIMEOUT, "connected, but no greeting"});
    if (!tls_) return address_failed(Status::CONNECT_FAILED, "no answer");
    if (now_ms() >= address_deadline_)
        return address_failed(Status::CONNECT_TIMEOUT, "connected, but no answer to the TLS handshake");
    if (!tls_->answered() && !probe_)
        probe_ = std::make_unique<PlaintextProbe>(loop_, addresses_.current(), [this](std::string answer) {
            address_failed_later({Status::TLS_NOT_SPOKEN, TlsSession::not_spoken(answer)});
        });
    address_timer_.at(address_deadline_);
}

void Transport::address_failed(Status status, const std::string& why) {
    if (failure_ == Status::CONNECT_FAILED) failure_ = status;
    failures_ += (failures_.empty() ? "" : "; ") + (why.starts_with(peer_) ? "" : peer_ + ": ") + why;
    addresses_.failed();
    ++*generation_;
    address_timer_.at(never);
    watch_.reset();
    probe_.reset();
    tls_.reset();
    write_failing_ = tls_waits_ = resume_posted_ = false;
    close_socket();
    try_next();
}

// From a callback of the watch, which may not destroy itself.
void Transport::address_failed_later(Error why) {
    ++*generation_;
    watch_->write(false);
    watch_->read(false);
    address_timer_.at(never);
    later([this, why = std::move(why)] { address_failed(why.status, why.text); });
}

void Transport::connecting_done() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return address_failed_later({Status::CONNECT_FAILED, std::strerror(error)});
    watch_->write(false);
    watch_->read(true);
    if (endpoint_.tls)
        begin_tls();
    else
        opened();
}

void Transport::opened() {
    address_timer_.at(addresses_.healthy_behind() ? address_deadline_ : never);
    probe_.reset();
    connected_ = true;
    owner_.transport_opened();
}

void Transport::readable() {
    const std::uint64_t generation = *generation_;
    if (std::exchange(drained_, true)) {
        turn_bytes_ = 0;
        if (moderation_.moderating()) turn_began_us_ = now_us();
    }
    if (tls_)
        tls_readable();
    else
        plain_readable();
    if (*generation_ != generation || !connected_) return;
    if (!drained_) {
        if (moderation_.moderating()) read_timer_->in(1);
    } else if (moderation_.concerns(turn_bytes_)) {
        moderate();
    }
}

std::size_t Transport::receive_buffer() const {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    getsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

// Whether to read on when there is something, or later. The timer is one more descriptor: without it there is no
// waiting.
void Transport::moderate() {
    const bool before = moderation_.moderating();
    const std::uint64_t now = now_us();
    const std::uint32_t delay = moderation_.next(turn_bytes_, before ? turn_began_us_ : now, now, receive_buffer());
    if (delay == 0) {
        if (!before) return;
        read_timer_->off();
        watch_->read(true);
        return;
    }
    if (!read_timer_) {
        try {
            read_timer_ = std::make_unique<Loop::PreciseTimer>(loop_, [this] { attempt([this] { readable(); }); });
        } catch (const Failure&) {
            moderation_.reset();
            return;
        }
    }
    if (!before) {
        watch_->read(false);
        grow_receive_buffer(fd_);
    }
    read_timer_->in(delay);
}

void Transport::plain_readable() {
    const std::uint64_t generation = *generation_;
    for (int turn = 0; turn < reads_per_turn; ++turn) {
        const std::span<char> into = read_into();
        const ssize_t n = recv(fd_, into.data(), into.size(), 0);
        if (n < 0 && would_block(errno)) return;
        if (n < 0) return ended(std::strerror(errno));
        if (n == 0) return ended("closed the connection");
        const std::string_view bytes(into.data(), static_cast<std::size_t>(n));
        if (!std::exchange(received_, true) && bytes.starts_with("\x15\x03"))  // an alert of TLS
            return broken(Status::PROTOCOL_ERROR,
                          peer_ + " speaks TLS, and this connection does not: rediss:// or tls=true turns it on");
        turn_bytes_ += bytes.size();
        owner_.transport_received(bytes);
        if (*generation_ != generation) return;
        if (static_cast<std::size_t>(n) < into.size()) return;
    }
    drained_ = false;
}

std::span<char> Transport::read_into() {
    const std::span<char> room = owner_.transport_room();
    const bool after_large = std::exchange(in_large_, !room.empty());
    if (!room.empty()) return room;
    return {buffer_.data(), after_large ? read_size_in_large : buffer_.size()};
}

void Transport::writable() {
    if (!connected_ && !tls_) return connecting_done();
    if (tls_ && !flush_tls()) return;
    watch_->write(false);
    if (connected_) owner_.transport_writable();
}

void Transport::abandon() noexcept {
    if (fd_ >= 0) ::close(fd_);
    if (probe_) probe_->abandon();
}

std::size_t Transport::write(std::string_view bytes) {
    if (tls_) return tls_write(bytes);
    std::size_t done = 0;
    while (connected_ && !write_failing_ && done < bytes.size()) {
        const ssize_t n = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (n >= 0) {
            done += static_cast<std::size_t>(n);
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            watch_->write(true);
        else
            write_failed(errno);
        break;
    }
    return done;
}

std::size_t Transport::unconfirmed() const {
    int size = 0;
#ifdef TIOCOUTQ
    if (!connected_ || ioctl(fd_, TIOCOUTQ, &size) != 0) return 0;
#endif
    return size > 0 ? static_cast<std::size_t>(size) : 0;
}

// What the server said before it went away tells more than that it is gone: it is read first.
void Transport::write_failed(int error) {
    if (std::exchange(write_failing_, true)) return;
    watch_->write(false);
    later([this, why = std::string(std::strerror(error))] {
        const std::uint64_t generation = *generation_;
        readable();
        if (*generation_ != generation) return;
        if (connected_)
            ended(why);
        else
            address_failed_later(tls_->explain_end({Status::CONNECT_FAILED, why}));
    });
}

// The connection is over, and not by our will.
void Transport::ended(const std::string& why) {
    Error error{Status::CONNECTION_LOST, peer_ + (why.starts_with("closed") ? " " : ": ") + why};
    if (tls_)
        error = tls_->explain_end(std::move(error));
    else if (!received_ && endpoint_.unix_path.empty())
        error.text += "; perhaps it speaks TLS, which rediss:// or tls=true turns on";
    broken(error.status, error.text);
}

void Transport::broken(Status status, const std::string& why) {
    if (connected_ && !greeted_ && addresses_.behind() > 0) return move_on({status, why});
    const std::string text = why;  // why may be ours, and close() clears
    close();
    owner_.transport_broken({status, text});
}

// ---- TLS ----------------------------------------------------------------------------------------------------------

void Transport::begin_tls() {
    try {
        tls_ = std::make_unique<TlsSession>(endpoint_.tls, endpoint_.tls_name);
    } catch (const std::bad_alloc&) {
        return address_failed_later({Status::NO_MEMORY, "out of memory"});
    } catch (const Failure& failure) {
        return address_failed_later({failure.status(), failure.what()});
    }
    address_timer_.at(now_ms() + std::min(probe_after, std::max<TimeMs>(address_deadline_ - now_ms(), 0) / 2));
    tls_advance();
}

// Goes on with the handshake.
void Transport::tls_advance() {
    tls_->advance();
    if (tls_->state() == TlsSession::State::failed) {
        send_rest_of_tls();
        return address_failed_later(tls_->error());
    }
    flush_tls();
    if (tls_->state() == TlsSession::State::open) opened();
}

void Transport::tls_readable() {
    const std::uint64_t generation = *generation_;
    bool drained = false;
    for (int turn = 0; turn < reads_per_turn; ++turn) {
        if (tls_->hungry()) {
            if (drained) return;
            const ssize_t n = recv(fd_, wire_buffer_.data(), wire_buffer_.size(), 0);
            if (n < 0 && would_block(errno)) return;
            if (n <= 0) {
                const std::string why = n < 0 ? std::strerror(errno) : "closed the connection";
                if (connected_) return ended(why);
                return address_failed_later(tls_->explain_end({Status::CONNECT_FAILED, why}));
            }
            drained = static_cast<std::size_t>(n) < wire_buffer_.size();
            turn_bytes_ += static_cast<std::size_t>(n);
            tls_->feed({wire_buffer_.data(), static_cast<std::size_t>(n)});
        }
        if (!connected_) {
            tls_advance();
            if (*generation_ != generation) return;
            if (!connected_) continue;
        }
        const std::span<char> into = read_into();
        const std::size_t size = tls_->read(into.data(), into.size());
        // What TLS itself answered, and before the owner does.
        flush_tls();
        if (size > 0) owner_.transport_received({into.data(), size});
        if (*generation_ != generation) return;
        if (tls_->state() == TlsSession::State::open && std::exchange(tls_waits_, false)) owner_.transport_writable();
        if (*generation_ != generation) return;
        if (tls_->state() == TlsSession::State::ended) return ended("closed the connection");
        if (tls_->state() == TlsSession::State::failed)
            return broken(tls_->error().status, peer_ + ": " + tls_->error().text);
    }
    drained_ = drained;
    // The descriptor will not tell of what was received already.
    if (tls_->hungry() || std::exchange(resume_posted_, true)) return;
    later([this] {
        resume_posted_ = false;
        readable();
    });
}

std::size_t Transport::tls_write(std::string_view bytes) {
    std::size_t done = 0;
    while (connected_ && !write_failing_ && done < bytes.size() && flush_tls()) {
        const std::string_view piece = bytes.substr(done, read_size);
        if (!tls_->write(piece)) {
            if (tls_->state() == TlsSession::State::failed)
                later([this] { broken(tls_->error().status, peer_ + ": " + tls_->error().text); });
            tls_waits_ = true;
            return done;
        }
        done += piece.size();
    }
    if (connected_) flush_tls();
    return done;
}

// An alert or a goodbye, if the system takes it at once, before the connection is closed.
void Transport::send_rest_of_tls() {
    const std::string_view rest = tls_->output();
    if (rest.empty() || write_failing_) return;
    [[maybe_unused]] const ssize_t n = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
}

// Whether everything that TLS has made is out. When not, writable() goes on with it.
bool Transport::flush_tls() {
    while (!tls_->output().empty()) {
        if (write_failing_) return false;
        const std::string_view rest = tls_->output();
        const ssize_t n = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            tls_->sent(static_cast<std::size_t>(n));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            watch_->write(true);
        else
            write_failed(errno);
        return false;
    }
    return true;
}

}  // namespace fanwire::core
