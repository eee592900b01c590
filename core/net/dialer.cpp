#include "core/net/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/net/socket.h"

namespace fanwire::core {

namespace {

// How much earlier than the owner we lose patience with a TLS handshake, so that it can be said what was waited for.
constexpr TimeMs patience_margin = 50;
constexpr TimeMs probe_after = 500;  // without an answer to the TLS handshake, or earlier when time is short

void set_tcp_options(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Dialer::Dialer(Loop& loop, Resolver& resolver, Owner& owner)
    : loop_(loop), resolver_(resolver), owner_(owner), timer_(loop, [this] { attempt([this] { timed_out(); }); }) {}

Dialer::~Dialer() {
    forget();
}

// Calls back from the loop, if what is under way is still what it is now.
void Dialer::later(Loop::Callback callback) {
    loop_.post([this, weak = std::weak_ptr(generation_), now = *generation_, callback = std::move(callback)] {
        const auto generation = weak.lock();
        if (generation && *generation == now) attempt(callback);
    });
}

// Runs a step that came from the loop: without the memory for it the attempt has failed.
template <class Step>
void Dialer::attempt(Step&& step) {
    try {
        step();
    } catch (const std::bad_alloc&) {
        fail({Status::NO_MEMORY, "out of memory"});
    }
}

void Dialer::dial(Endpoint endpoint) {
    close();
    endpoint_ = std::move(endpoint);
    failures_.clear();
    failure_ = Status::CONNECT_FAILED;
    began_at_ = now_ms();
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

void Dialer::close() {
    forget();
}

void Dialer::forget() {
    ++*generation_;
    if (trying_ && !good_) addresses_.failed();
    trying_ = false;
    forget_socket();
    greeted_ = good_ = false;
    addresses_.end();
}

void Dialer::forget_socket() {
    timer_.at(never);
    watch_.reset();
    probe_.reset();
    tls_.reset();
    socket_.end();
    handed_over_ = write_failing_ = false;
}

void Dialer::resolved(Resolved resolved) {
    if (resolved.error) return fail(std::move(resolved.error));
    addresses_.begin(std::move(resolved.addresses));
    try_next();
}

void Dialer::greeted() {
    greeted_ = true;
    timer_.at(never);
}

void Dialer::good() {
    if (handed_over_ && !std::exchange(good_, true)) addresses_.good();
}

void Dialer::try_next() {
    while (addresses_.next()) {
        const Address& address = addresses_.current();
        peer_ = address.text();
        socket_ = SocketHandle(make_socket(address.family()));
        if (socket_.fd() < 0) {
            const bool resources = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            const std::string why = std::strerror(errno);
            if (resources) return fail({Status::SYSTEM_ERROR, "socket: " + why});
            note_failure(why);
            addresses_.failed();
            continue;
        }
        if (address.family() != AF_UNIX) set_tcp_options(socket_.fd());
        const int result = connect(socket_.fd(), reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        if (result != 0 && errno != EINPROGRESS && errno != EINTR) {
            note_failure(std::strerror(errno));
            socket_.end();
            addresses_.failed();
            continue;
        }
        trying_ = true;
        watch_ = std::make_unique<Loop::Watch>(
            loop_, socket_.fd(), [this] { attempt([this] { readable(); }); },
            [this] { attempt([this] { writable(); }); });
        watch_->write(true);
        // A silent address must not use up the time of those behind it. The last one has all that is left, which the
        // owner watches.
        const auto behind = static_cast<TimeMs>(addresses_.behind());
        address_deadline_ = now_ms() + (behind > 0 ? time_left() / (behind + 1)
                                                   : std::max(time_left() - patience_margin, time_left() / 2));
        if (behind > 0) timer_.at(address_deadline_);
        return;
    }
    fail({failure_, "cannot connect to " + failures_});
}

TimeMs Dialer::time_left() const {
    return began_at_ + endpoint_.connect_timeout - now_ms();
}

void Dialer::timed_out() {
    if (handed_over_) return owner_.dialed_in_vain({Status::CONNECT_TIMEOUT, "connected, but no greeting"});
    if (!tls_) return address_failed({Status::CONNECT_FAILED, "no answer"});
    if (now_ms() >= address_deadline_)
        return address_failed({Status::CONNECT_TIMEOUT, "connected, but no answer to the TLS handshake"});
    if (!tls_->session().answered() && !probe_)
        probe_ = std::make_unique<PlaintextProbe>(loop_, addresses_.current(), [this](std::string answer) {
            address_failed_later({Status::TLS_NOT_SPOKEN, TlsSession::not_spoken(answer)});
        });
    timer_.at(address_deadline_);
}

void Dialer::note_failure(const std::string& why) {
    failures_ += (failures_.empty() ? "" : "; ") + (why.starts_with(peer_) ? "" : peer_ + ": ") + why;
}

void Dialer::address_failed(const Error& why) {
    if (failure_ == Status::CONNECT_FAILED) failure_ = why.status;
    note_failure(why.text);
    addresses_.failed();
    ++*generation_;
    trying_ = false;
    forget_socket();
    try_next();
}

// From a callback of the watch or the probe, which may not destroy itself.
void Dialer::address_failed_later(Error why) {
    ++*generation_;
    if (watch_) {
        watch_->write(false);
        watch_->read(false);
    }
    timer_.at(never);
    later([this, why = std::move(why)] { address_failed(why); });
}

void Dialer::move_on(Error why) {
    handed_over_ = false;
    address_failed_later(std::move(why));
}

void Dialer::fail(Error why) {
    forget();
    owner_.dial_failed(std::move(why));
}

void Dialer::abandon() noexcept {
    socket_.abandon();
    if (probe_) probe_->abandon();
}

void Dialer::connected() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return address_failed_later({Status::CONNECT_FAILED, std::strerror(error)});
    watch_->write(false);
    if (endpoint_.tls)
        begin_tls();
    else
        hand_over();
}

// The watch is destroyed in its own callback, which must not use it afterwards.
void Dialer::hand_over() {
    ++*generation_;
    timer_.at(addresses_.healthy_behind() ? address_deadline_ : never);
    watch_.reset();
    probe_.reset();
    handed_over_ = true;
    owner_.dialed({std::move(socket_), std::move(tls_), peer_, !endpoint_.unix_path.empty()});
}

// ---- The handshake of TLS -----------------------------------------------------------------------------------------

void Dialer::begin_tls() {
    try {
        tls_ = std::make_unique<TlsPipe>(endpoint_.tls, endpoint_.tls_name);
    } catch (const std::bad_alloc&) {
        return address_failed_later({Status::NO_MEMORY, "out of memory"});
    } catch (const Failure& failure) {
        return address_failed_later({failure.status(), failure.what()});
    }
    watch_->read(true);
    timer_.at(now_ms() + std::min(probe_after, std::max<TimeMs>(address_deadline_ - now_ms(), 0) / 2));
    advance();
}

void Dialer::advance() {
    TlsSession& session = tls_->session();
    session.advance();
    if (session.state() == TlsSession::State::failed) {
        if (!write_failing_) tls_->send_rest(socket_.fd());
        return address_failed_later(session.error());
    }
    flush();
    if (session.state() == TlsSession::State::open) hand_over();
}

// What does not come at once is the watch's business: it reports the rest at the next turn.
void Dialer::readable() {
    const std::ptrdiff_t n = tls_->receive(socket_.fd());
    if (n < 0 && would_block(errno)) return;
    if (n > 0) return advance();
    const std::string why = n < 0 ? std::strerror(errno) : "closed the connection";
    address_failed_later(tls_->session().explain_end({Status::CONNECT_FAILED, why}));
}

void Dialer::writable() {
    if (!tls_) return connected();
    watch_->write(false);
    flush();
}

void Dialer::flush() {
    if (write_failing_) return;
    const int error = tls_->flush(socket_.fd());
    if (error == EAGAIN)
        watch_->write(true);
    else if (error != 0)
        write_failed(error);
}

// What the server said before it went away tells more than that it is gone: it is read first.
void Dialer::write_failed(int error) {
    write_failing_ = true;
    watch_->write(false);
    later([this, why = std::string(std::strerror(error))] {
        const std::uint64_t generation = *generation_;
        readable();
        if (*generation_ == generation)
            address_failed_later(tls_->session().explain_end({Status::CONNECT_FAILED, why}));
    });
}

}  // namespace fanwire::core
