#include "core/net/stream.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

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

// Linux makes room for the mark below which a socket is not readable (tcp_set_rcvlowat), and goes on to fit the buffer
// to the connection, which it would not if SO_RCVBUF was set.
void grow_receive_buffer([[maybe_unused]] int fd) {
#ifdef __linux__
    for (const int mark : {static_cast<int>(ReadModeration::bytes_wanted * ReadModeration::buffer_part / 2), 1})
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
#endif
}

}  // namespace

Stream::Stream(Loop& loop, Owner& owner) : loop_(loop), owner_(owner), buffer_(read_size) {}

Stream::~Stream() {
    drop();
}

// Calls back from the loop, if the connection is still the one that it is now.
void Stream::later(Loop::Callback callback) {
    loop_.post([this, weak = std::weak_ptr(generation_), now = *generation_, callback = std::move(callback)] {
        const auto generation = weak.lock();
        if (generation && *generation == now) attempt(callback);
    });
}

// Runs a step that came from the loop: without the memory for it the connection is broken off, so that it is made
// again.
template <class Step>
void Stream::attempt(Step&& step) {
    try {
        step();
    } catch (const std::bad_alloc&) {
        drop();
        owner_.stream_ended({Status::NO_MEMORY, "out of memory"});
    }
}

void Stream::open(Dialed dialed, std::uint32_t read_delay_max_us) {
    drop();
    socket_ = std::move(dialed.socket);
    tls_ = std::move(dialed.tls);
    peer_ = std::move(dialed.peer);
    local_ = dialed.local;
    received_ = in_large_ = false;
    turn_bytes_ = 0;
    // A unix socket's buffer is emptied before waiting could pay, and the sender would have to wait for us.
    moderation_ = ReadModeration(local_ ? 0 : read_delay_max_us);
    watch_ = std::make_unique<Loop::Watch>(
        loop_, socket_.fd(), [this] { attempt([this] { readable(); }); }, [this] { attempt([this] { writable(); }); });
    watch_->read(true);
    if (!tls_) return;
    flush_tls();
    resume();
}

void Stream::close() {
    if (tls_ && is_open()) {
        tls_->session().finish();
        if (!write_failing_) tls_->send_rest(socket_.fd());
    }
    drop();
}

void Stream::drop() {
    ++*generation_;
    if (read_timer_) read_timer_->off();
    moderation_.reset();
    watch_.reset();
    tls_.reset();
    socket_.end();
    write_failing_ = tls_waits_ = resume_posted_ = false;
    drained_ = true;
}

void Stream::readable() {
    const std::uint64_t generation = *generation_;
    if (std::exchange(drained_, true)) {
        turn_bytes_ = 0;
        if (moderation_.moderating()) turn_began_us_ = now_us();
    }
    if (tls_)
        tls_readable();
    else
        plain_readable();
    if (*generation_ != generation) return;
    if (!drained_) {
        if (moderation_.moderating()) read_timer_->in(1);
    } else if (moderation_.concerns(turn_bytes_)) {
        moderate();
    }
}

std::size_t Stream::receive_buffer() const {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    getsockopt(socket_.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, &size);
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

// Whether to read on when there is something, or later. The timer is one more descriptor: without it there is no
// waiting.
void Stream::moderate() {
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
        grow_receive_buffer(socket_.fd());
    }
    read_timer_->in(delay);
}

void Stream::plain_readable() {
    const std::uint64_t generation = *generation_;
    for (int turn = 0; turn < reads_per_turn; ++turn) {
        const std::span<char> into = read_into();
        const ssize_t n = recv(socket_.fd(), into.data(), into.size(), 0);
        if (n < 0 && would_block(errno)) return;
        if (n < 0) return ended(std::strerror(errno));
        if (n == 0) return ended("closed the connection");
        const std::string_view bytes(into.data(), static_cast<std::size_t>(n));
        if (!std::exchange(received_, true) && bytes.starts_with("\x15\x03"))  // an alert of TLS
            return fail({Status::PROTOCOL_ERROR,
                         peer_ + " speaks TLS, and this connection does not: rediss:// or tls=true turns it on"});
        turn_bytes_ += bytes.size();
        owner_.stream_received(bytes);
        if (*generation_ != generation) return;
        if (static_cast<std::size_t>(n) < into.size()) return;
    }
    drained_ = false;
}

void Stream::tls_readable() {
    const std::uint64_t generation = *generation_;
    TlsSession& session = tls_->session();
    bool drained = false;
    for (int turn = 0; turn < reads_per_turn; ++turn) {
        if (session.hungry()) {
            if (drained) return;
            const std::ptrdiff_t n = tls_->receive(socket_.fd());
            if (n < 0 && would_block(errno)) return;
            if (n <= 0) return ended(n < 0 ? std::strerror(errno) : "closed the connection");
            drained = static_cast<std::size_t>(n) < TlsPipe::piece;
            turn_bytes_ += static_cast<std::size_t>(n);
        }
        const std::span<char> into = read_into();
        const std::size_t size = session.read(into.data(), into.size());
        // What TLS itself answered, and before the owner does.
        flush_tls();
        if (size > 0) owner_.stream_received({into.data(), size});
        if (*generation_ != generation) return;
        if (session.state() == TlsSession::State::open && std::exchange(tls_waits_, false)) owner_.stream_writable();
        if (*generation_ != generation) return;
        if (session.state() == TlsSession::State::ended) return ended("closed the connection");
        if (session.state() == TlsSession::State::failed) return tls_failed();
    }
    drained_ = drained;
    resume();
}

// The descriptor is silent about what was received already.
void Stream::resume() {
    if (tls_->session().hungry() || std::exchange(resume_posted_, true)) return;
    later([this] {
        resume_posted_ = false;
        readable();
    });
}

std::span<char> Stream::read_into() {
    const std::span<char> room = owner_.stream_room();
    const bool after_large = std::exchange(in_large_, !room.empty());
    if (!room.empty()) return room;
    return {buffer_.data(), after_large ? read_size_in_large : buffer_.size()};
}

void Stream::writable() {
    if (tls_ && !flush_tls()) return;
    watch_->write(false);
    owner_.stream_writable();
}

std::size_t Stream::write(std::string_view bytes) {
    if (!is_open()) return 0;
    return tls_ ? tls_write(bytes) : plain_write(bytes);
}

std::size_t Stream::plain_write(std::string_view bytes) {
    std::size_t done = 0;
    while (!write_failing_ && done < bytes.size()) {
        const ssize_t n = send(socket_.fd(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
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

std::size_t Stream::tls_write(std::string_view bytes) {
    TlsSession& session = tls_->session();
    std::size_t done = 0;
    while (!write_failing_ && done < bytes.size() && flush_tls()) {
        const std::string_view piece = bytes.substr(done, TlsPipe::piece);
        if (!session.write(piece)) {
            if (session.state() == TlsSession::State::failed) later([this] { tls_failed(); });
            tls_waits_ = true;
            return done;
        }
        done += piece.size();
    }
    flush_tls();
    return done;
}

// Whether everything that TLS has made is out. When not, writable() goes on with it.
bool Stream::flush_tls() {
    if (write_failing_) return tls_->session().output().empty();
    const int error = tls_->flush(socket_.fd());
    if (error == 0) return true;
    if (error == EAGAIN)
        watch_->write(true);
    else
        write_failed(error);
    return false;
}

// What the server said before it went away tells more than that it is gone: it is read first.
void Stream::write_failed(int error) {
    if (std::exchange(write_failing_, true)) return;
    watch_->write(false);
    later([this, why = std::string(std::strerror(error))] {
        const std::uint64_t generation = *generation_;
        readable();
        if (*generation_ == generation) ended(why);
    });
}

std::size_t Stream::unconfirmed() const {
    int size = 0;
#ifdef TIOCOUTQ
    if (!is_open() || ioctl(socket_.fd(), TIOCOUTQ, &size) != 0) return 0;
#endif
    return size > 0 ? static_cast<std::size_t>(size) : 0;
}

void Stream::ended(const std::string& why) {
    Error error{Status::CONNECTION_LOST, peer_ + (why.starts_with("closed") ? " " : ": ") + why};
    if (tls_)
        error = tls_->session().explain_end(std::move(error));
    else if (!received_ && !local_)
        error.text += "; perhaps it speaks TLS, which rediss:// or tls=true turns on";
    fail(std::move(error));
}

void Stream::tls_failed() {
    const Error& error = tls_->session().error();
    fail({error.status, peer_ + ": " + error.text});
}

void Stream::fail(Error why) {
    close();
    owner_.stream_ended(std::move(why));
}

}  // namespace fanwire::core
