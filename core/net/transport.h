// One stream connection: TCP over IPv4 or IPv6, with TLS or without, or a unix socket. IO thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/addresses.h"
#include "core/net/loop.h"
#include "core/net/plaintext_probe.h"
#include "core/net/read_moderation.h"
#include "core/net/resolver.h"
#include "core/net/tls.h"

namespace fanwire::core {

// Where to connect to, and how.
struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    std::string unix_path;  // if not empty, this is the server, and host and port mean nothing
    TimeMs connect_timeout = 2000;
    std::uint32_t read_delay_max_us = 0;
    std::shared_ptr<const TlsContext> tls;  // null: TLS is not spoken
    std::string tls_name;                   // the name that the server's certificate must be for
};

class Transport {
 public:
    // Called from the loop, never from within the calls below. The owner may close() from within.
    class Owner {
     public:
        virtual ~Owner() = default;
        virtual void transport_opened() = 0;
        virtual void transport_received(std::string_view bytes) = 0;
        // Where bytes are best received to, from the beginning on; empty: anywhere. Throws std::bad_alloc.
        virtual std::span<char> transport_room() = 0;
        virtual void transport_writable() = 0;
        virtual void transport_broken(Error why) = 0;
        // The opened connection is given up for the next address, before greeted(): transport_opened() or
        // transport_broken() follows. Returns `why` with what the owner knows of it.
        virtual Error transport_moving_on(Error why) = 0;
    };

    Transport(Loop& loop, Resolver& resolver, Owner& owner);
    // Says nothing to the server, unlike close(): after a fork the connection is another process's.
    ~Transport();
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    // Looks the host up and tries its addresses, one after the other, until one is connected. They share the time that
    // there is, and until greeted() the connected one has its share alone while a healthy one may be behind it; when it
    // closes, the next one has its turn at once. One that failed since it last was good has its turn after those that
    // did not, and of several the one that failed first: so the attempts go round. Failed is also an address whose
    // connection ends before good() was called, however far it came.
    // Each attempt may go to another endpoint.
    void open(Endpoint endpoint);
    void close();
    // The server has answered: it is not another one's turn.
    void greeted();
    // The connection does what it is for.
    void good();
    // In the child of a fork(): closes its copy of the socket and touches nothing else. The loop and TLS are the
    // parent's.
    void abandon() noexcept;
    // Writes what the system, or TLS before it, takes without blocking. When that is not all, transport_writable()
    // follows.
    std::size_t write(std::string_view bytes);

    // Bytes that were written and that the other end's system has not yet confirmed to have.
    std::size_t unconfirmed() const;

    // "127.0.0.1:6379", for texts; until connected, the endpoint as it was given. Empty before the first open().
    const std::string& peer() const { return peer_; }

 private:
    void later(Loop::Callback callback);
    template <class Step>
    void attempt(Step&& step);
    void resolved(Resolved resolved);
    void try_next();
    void move_on(Error why);
    TimeMs time_left() const;
    void address_failed(Status status, const std::string& why);
    void address_failed_later(Error why);
    void address_timed_out();
    void connecting_done();
    void opened();
    void readable();
    void plain_readable();
    std::span<char> read_into();
    void moderate();
    std::size_t receive_buffer() const;
    void writable();
    void write_failed(int error);
    void ended(const std::string& why);
    void broken(Status status, const std::string& why);
    void forget();
    void close_socket();

    // TLS
    void begin_tls();
    void tls_readable();
    void tls_advance();
    std::size_t tls_write(std::string_view bytes);
    bool flush_tls();
    void send_rest_of_tls();

    Loop& loop_;
    Resolver& resolver_;
    Owner& owner_;
    Endpoint endpoint_;  // of the last open()
    Loop::Timer address_timer_;
    // Changes whenever the connection does; what was asked before is then none of our business any more.
    std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);

    Addresses addresses_;
    std::string failures_;
    Status failure_ = Status::CONNECT_FAILED;  // the first that is more telling than this one
    TimeMs opened_at_ = 0, address_deadline_ = 0;
    std::string peer_;
    int fd_ = -1;
    bool connected_ = false;  // with TLS, when its handshake is done
    bool greeted_ = false, good_ = false;
    bool received_ = false;  // anything
    std::unique_ptr<Loop::Watch> watch_;
    std::vector<char> buffer_;
    std::size_t turn_bytes_ = 0;       // that readable() has read since there was nothing left
    std::uint64_t turn_began_us_ = 0;  // while moderating
    bool drained_ = true;              // there was nothing left
    bool in_large_ = false;            // the owner had room of its own for what was read last
    ReadModeration moderation_;
    std::unique_ptr<Loop::PreciseTimer> read_timer_;  // the first time that reading is put off
    std::unique_ptr<TlsSession> tls_;
    std::vector<char> wire_buffer_;  // what TLS has not taken yet
    std::unique_ptr<PlaintextProbe> probe_;
    bool tls_waits_ = false;      // write() took less than it was given, and a read has to come first
    bool resume_posted_ = false;  // readable() will be called without the descriptor's saying so
    bool write_failing_ = false;
};

}  // namespace fanwire::core
