// The bytes of one open connection after another: a socket, with TLS or without. IO thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/net/dialed.h"
#include "core/net/loop.h"
#include "core/net/read_moderation.h"

namespace fanwire::core {

class Stream {
 public:
    // Called from the loop, never from within the calls below. The owner may close() from within, and open() again.
    class Owner {
     public:
        virtual ~Owner() = default;
        virtual void stream_received(std::string_view bytes) = 0;
        // Where bytes are best received to, from the beginning on; empty: anywhere. Throws std::bad_alloc.
        virtual std::span<char> stream_room() = 0;
        virtual void stream_writable() = 0;
        // The connection is over, and not by our will. The stream is closed already.
        virtual void stream_ended(Error why) = 0;
    };

    Stream(Loop& loop, Owner& owner);
    // Says nothing to the server, unlike close(): after a fork the connection is another process's.
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // Takes the connection; what TLS has received of it already is read from the loop. Throws std::bad_alloc.
    // `read_delay_max_us`: see ReadModeration.
    void open(Dialed dialed, std::uint32_t read_delay_max_us);
    void close();
    // Closes without a goodbye, which needs no memory.
    void drop();
    bool is_open() const { return socket_.fd() >= 0; }
    // In the child of a fork(): closes its copy of the socket and touches nothing else. The loop and TLS are the
    // parent's.
    void abandon() const noexcept { socket_.abandon(); }
    // Writes what the system, or TLS before it, takes without blocking. When that is not all, stream_writable()
    // follows.
    std::size_t write(std::string_view bytes);
    // Bytes that were written and that the other end's system has not yet confirmed to have.
    std::size_t unconfirmed() const;

 private:
    void later(Loop::Callback callback);
    template <class Step>
    void attempt(Step&& step);
    void readable();
    void plain_readable();
    void tls_readable();
    void resume();
    std::span<char> read_into();
    void moderate();
    std::size_t receive_buffer() const;
    void writable();
    std::size_t plain_write(std::string_view bytes);
    std::size_t tls_write(std::string_view bytes);
    bool flush_tls();
    void write_failed(int error);
    void ended(const std::string& why);
    void fail(Error why);
    void tls_failed();

    Loop& loop_;
    Owner& owner_;
    // Changes whenever the connection does; what was asked before is then none of our business any more.
    std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);

    SocketHandle socket_;
    std::unique_ptr<TlsPipe> tls_;
    std::string peer_;
    bool local_ = false;
    std::unique_ptr<Loop::Watch> watch_;
    std::vector<char> buffer_;
    bool received_ = false;            // anything
    std::size_t turn_bytes_ = 0;       // that readable() has read since there was nothing left
    std::uint64_t turn_began_us_ = 0;  // while moderating
    bool drained_ = true;              // there was nothing left
    bool in_large_ = false;            // the owner had room of its own for what was read last
    ReadModeration moderation_;
    std::unique_ptr<Loop::PreciseTimer> read_timer_;  // the first time that reading is put off
    bool tls_waits_ = false;      // write() took less than it was given, and a read has to come first
    bool resume_posted_ = false;  // readable() will be called without the descriptor's saying so
    bool write_failing_ = false;
};

}  // namespace fanwire::core
