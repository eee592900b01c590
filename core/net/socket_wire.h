// The wire over a socket: a Dialer makes the connection, a Stream carries its bytes. IO thread only.
#pragma once

#include "core/net/dialer.h"
#include "core/net/stream.h"
#include "core/net/wire.h"

namespace fanwire::core {

class SocketWire final : public Wire, private Dialer::Owner, private Stream::Owner {
 public:
    // The destructor says nothing to the server, unlike close(): after a fork the connection is another process's.
    SocketWire(Loop& loop, Resolver& resolver, Wire::Owner& owner);

    void open(const Endpoint& endpoint) override;
    void close() override;
    void greeted() override { dialer_.greeted(); }
    void good() override { dialer_.good(); }
    void abandon() noexcept override;
    std::size_t write(std::string_view bytes) override { return stream_.write(bytes); }
    std::size_t unconfirmed() const override { return stream_.unconfirmed(); }
    const std::string& peer() const override { return dialer_.peer(); }

 private:
    void dialed(Dialed dialed) override;
    void dial_failed(Error why) override;
    void dialed_in_vain(Error why) override { over(std::move(why)); }
    void stream_received(std::string_view bytes) override { owner_.wire_received(bytes); }
    std::span<char> stream_room() override { return owner_.wire_room(); }
    void stream_writable() override { owner_.wire_writable(); }
    void stream_ended(Error why) override { over(std::move(why)); }
    void over(Error why);

    Wire::Owner& owner_;
    Dialer dialer_;
    Stream stream_;
};

}  // namespace fanwire::core
