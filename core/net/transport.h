// One stream connection: TCP over IPv4 or IPv6, or a unix socket. IO thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/loop.h"
#include "core/net/resolver.h"

namespace fanwire::core {

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    std::string unix_path;  // when not empty, the way to go
    TimeMs connect_timeout = 2000;
};

class Transport {
   public:
    // Called from the loop, never from within the calls below. The owner may close() from within.
    class Owner {
       public:
        virtual ~Owner() = default;
        virtual void transport_opened() = 0;
        virtual void transport_received(std::string_view bytes) = 0;
        virtual void transport_writable() = 0;
        virtual void transport_broken(Error why) = 0;
    };

    Transport(Loop& loop, Resolver& resolver, Endpoint endpoint, Owner& owner);
    ~Transport();
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    void open();
    void close();
    // In the child of a fork(): closes its copy of the socket and touches nothing else. The loop and TLS are the parent's.
    void abandon() noexcept;
    // Writes what the system takes without blocking. When that is not all, transport_writable() follows.
    std::size_t write(std::string_view bytes);

    // "127.0.0.1:6379", for texts; the endpoint as configured until connected.
    const std::string& peer() const { return peer_; }

   private:
    void later(Loop::Callback callback);
    void resolved(Resolved resolved);
    void try_next();
    void address_failed(const std::string& why);
    void connecting_done();
    void readable();
    void broken(Status status, const std::string& why);

    Loop& loop_;
    Resolver& resolver_;
    const Endpoint endpoint_;
    Owner& owner_;
    Loop::Timer address_timer_;
    // Changes whenever the connection does; what was asked before is then none of our business any more.
    std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);

    std::vector<Address> addresses_;
    std::size_t next_address_ = 0;
    std::string failures_;
    std::string peer_;
    int fd_ = -1;
    bool connected_ = false;
    std::unique_ptr<Loop::Watch> watch_;
    std::vector<char> buffer_;
};

}  // namespace fanwire::core
