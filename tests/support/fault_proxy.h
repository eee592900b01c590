// A TCP proxy in front of a server on 127.0.0.1 that does to connections what networks do: it breaks them, falls
// silent, slows down, splits what passes, refuses. It never changes a byte.
//
// One thread of its own moves the bytes; any thread may call. What a call orders holds when it returns: nothing that
// the client sends afterwards passes otherwise. Bytes are counted per connection and direction, so a connection can be
// cut at an exact place of a stream whatever the timing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace fanwire::test {

class FaultProxy {
 public:
    enum Direction { to_server = 0, to_client = 1 };
    // Which of the connections. A connection is what it asked for: it is known by the first SUBSCRIBE or PSUBSCRIBE
    // (subscribers), or PUBLISH (publishers), that came in whole.
    enum class Which { all, subscribers, publishers };
    enum class Ending { reset, close };
    // New connections are passed on; refused; or accepted and never answered.
    enum class Door { open, refuse, mute };

    struct Shape {
        std::size_t bytes_per_second = 0;      // in each direction; 0: no limit
        std::chrono::milliseconds latency{0};  // in each direction
        std::size_t piece = 0;                 // most bytes in one write, each in a segment of its own; 0: no limit
    };

    struct Counts {
        std::uint64_t accepted = 0, open = 0;  // connections: ever; now
        std::uint64_t ended = 0;               // by our faults
        std::uint64_t swallowed[2] = {0, 0};   // bytes
    };

    static constexpr std::size_t never = SIZE_MAX;

    // `socket_buffer`: bytes of the sockets' buffers (0: the system's), small ones make a slow network felt early.
    explicit FaultProxy(int server_port, int socket_buffer = 0);
    ~FaultProxy();
    FaultProxy(const FaultProxy&) = delete;
    FaultProxy& operator=(const FaultProxy&) = delete;

    int port() const { return port_; }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

    // Ends the connections now and gives their number. What was on its way is lost.
    std::size_t end(Which which = Which::all, Ending ending = Ending::reset);
    // Ends each of the connections when exactly `bytes` more have passed in `direction`.
    void cut_after(Which which, Direction direction, std::size_t bytes, Ending ending = Ending::reset);
    // Ends each connection made from now on when exactly `bytes` have passed in `direction`; never: no more.
    void cut_new_after(Direction direction, std::size_t bytes, Ending ending = Ending::reset);
    // Ends each connection made from now on at the first command of the client's that has this word, as proxies do that
    // do not know it; "": no more. What stands before that command passes and is answered.
    void close_new_at(const std::string& word);
    // Half-open: what the connections send in `direction` vanishes, their endings too, and nothing is closed.
    void swallow(Which which, Direction direction);
    // Stops reading in `direction`: the sender's buffers fill up.
    void stall(Which which, Direction direction);
    // How all connections pass, also those to come.
    void shape(const Shape& shape);
    void door(Door door);
    // Everything passes again. Connections that lost bytes, or were never answered, cannot be mended: they are reset.
    void heal();

    Counts counts() const;
    // Bytes that the newest of the connections has passed on in `direction`.
    std::uint64_t passed(Which which, Direction direction) const;

 private:
    class Worker;
    int port_ = 0;
    std::unique_ptr<Worker> worker_;
};

}  // namespace fanwire::test
