// Makes connections: TCP over IPv4 or IPv6, with TLS or without, or a unix socket. IO thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/net/addresses.h"
#include "core/net/dialed.h"
#include "core/net/endpoint.h"
#include "core/net/loop.h"
#include "core/net/plaintext_probe.h"
#include "core/net/resolver.h"
#include "core/net/socket_handle.h"
#include "core/net/tls_pipe.h"

namespace fanwire::core {

class Dialer {
 public:
    // Called from the loop, never from within the calls below. The owner may make any of them from within.
    class Owner {
     public:
        virtual ~Owner() = default;
        // A connection is open: its socket is the owner's from now on. Throws std::bad_alloc.
        virtual void dialed(Dialed dialed) = 0;
        // No address has led to a connection; the dialer is closed already.
        virtual void dial_failed(Error why) = 0;
        // The connection that was handed over has used up its share of the time without greeted(), and a healthy
        // address is behind it: to be followed by move_on().
        virtual void dialed_in_vain(Error why) = 0;
    };

    Dialer(Loop& loop, Resolver& resolver, Owner& owner);
    ~Dialer();
    Dialer(const Dialer&) = delete;
    Dialer& operator=(const Dialer&) = delete;

    // Looks the host up and tries its addresses, one after the other, until one is connected. They share the time that
    // there is, and until greeted() the connected one has its share alone while a healthy one may be behind it. One
    // that failed since it last was good has its turn after those that did not, and of several the one that failed
    // first: so the attempts go round. Failed is also an address whose connection ends before good() was called,
    // however far it came. Each attempt may go to another endpoint.
    void dial(Endpoint endpoint);
    // The attempt is over, and so is the connection that it led to.
    void close();

    // Of the connection that was handed over: the server has answered, so it is not another one's turn.
    void greeted();
    // It does what it is for.
    void good();
    // Whether it was not greeted and another address has not had its turn.
    bool has_another() const { return handed_over_ && !greeted_ && addresses_.behind() > 0; }
    // It is over, for `why`: the next address has its turn. May throw std::bad_alloc.
    void move_on(Error why);

    // In the child of a fork(): closes its copies of the sockets and touches nothing else.
    void abandon() noexcept;

    const Endpoint& endpoint() const { return endpoint_; }  // of the last dial()
    // "127.0.0.1:6379", for texts; until connected, the endpoint as it was given. Empty before the first dial().
    const std::string& peer() const { return peer_; }

 private:
    void later(Loop::Callback callback);
    template <class Step>
    void attempt(Step&& step);
    void resolved(Resolved resolved);
    void try_next();
    TimeMs time_left() const;
    void timed_out();
    void address_failed(const Error& why);
    void address_failed_later(Error why);
    void note_failure(const std::string& why);
    void fail(Error why);
    void forget();
    void forget_socket();
    void connected();
    void hand_over();

    // The handshake of TLS
    void begin_tls();
    void readable();
    void writable();
    void advance();
    void flush();
    void write_failed(int error);

    Loop& loop_;
    Resolver& resolver_;
    Owner& owner_;
    Endpoint endpoint_;
    Loop::Timer timer_;  // of one address
    // Changes whenever the attempt, the address or the connection does; what was asked before is then none of our
    // business any more.
    std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);

    Addresses addresses_;
    std::string failures_;
    Status failure_ = Status::CONNECT_FAILED;  // the first that is more telling than this one
    TimeMs began_at_ = 0, address_deadline_ = 0;
    std::string peer_;
    bool trying_ = false;       // an address, whose connection may be handed over
    bool handed_over_ = false;  // its connection
    bool greeted_ = false, good_ = false;
    SocketHandle socket_;  // until it is handed over
    std::unique_ptr<TlsPipe> tls_;
    std::unique_ptr<Loop::Watch> watch_;
    std::unique_ptr<PlaintextProbe> probe_;
    bool write_failing_ = false;
};

}  // namespace fanwire::core
