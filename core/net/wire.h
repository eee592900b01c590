// A connection to a server, as whoever speaks on it sees it: bytes in both directions, and how it begins and ends.
// SocketWire is the real one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/net/endpoint.h"

namespace fanwire::core {

class Wire {
 public:
    // Never called from within the calls below. The owner may make any of them from within.
    class Owner {
     public:
        virtual ~Owner() = default;
        virtual void wire_opened() = 0;
        virtual void wire_received(std::string_view bytes) = 0;
        // Where bytes are best received to, from the beginning on; empty: anywhere. Throws std::bad_alloc.
        virtual std::span<char> wire_room() = 0;
        virtual void wire_writable() = 0;
        virtual void wire_broken(Error why) = 0;
        // The opened connection is given up for the next address, before greeted(): wire_opened() or wire_broken()
        // follows. Returns `why` with what the owner knows of it. May throw std::bad_alloc: then wire_broken() follows.
        virtual Error wire_moving_on(Error why) = 0;
    };

    virtual ~Wire() = default;

    // Connects to one of the endpoint's addresses. One that closes or is silent before greeted() is given up for the
    // next one, within the endpoint's connect_timeout. Ends what was open before.
    virtual void open(const Endpoint& endpoint) = 0;
    virtual void close() = 0;
    // The server has answered: it is not another address's turn.
    virtual void greeted() = 0;
    // The connection does what it is for.
    virtual void good() = 0;
    // In the child of a fork(): closes its copy of the connection and touches nothing else.
    virtual void abandon() noexcept = 0;
    // Writes what can be written without blocking. When that is not all, wire_writable() follows.
    virtual std::size_t write(std::string_view bytes) = 0;
    // Bytes that were written and that the other end's system has not yet confirmed to have.
    virtual std::size_t unconfirmed() const = 0;
    // "127.0.0.1:6379", for texts; until connected, the endpoint as it was given. Empty before the first open().
    virtual const std::string& peer() const = 0;
};

}  // namespace fanwire::core
