#include "tests/support/fault_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

namespace fanwire::test {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t queue_max = 64 * 1024;  // read ahead of what could be written: no more than a network holds

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

int make_socket(int buffer) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (buffer > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    }
    return fd;
}

// Bound, and not yet listening: until it does, connecting is refused. Two may share the port, so that it stays ours
// while one takes the other's place.
int make_door(int port, int buffer) {
    const int fd = make_socket(buffer);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close(fd);
        throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    }
    return fd;
}

void close_fd(int& fd, FaultProxy::Ending ending) {
    if (fd < 0) return;
    if (ending == FaultProxy::Ending::reset) {
        const linger now{1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(fd);
    fd = -1;
}

}  // namespace

class FaultProxy::Worker {
 public:
    Worker(int server_port, int buffer) : server_port_(server_port), buffer_(buffer), wake_(eventfd(0, EFD_NONBLOCK)) {
        listener_ = make_door(0, buffer_);
        sockaddr_in address{};
        socklen_t size = sizeof address;
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        listen(listener_, 1024);
        thread_ = std::thread([this] { run(); });
    }
    ~Worker() {
        order([&] { stop_ = true; });
        thread_.join();
        for (Connection& connection : connections_) finish(connection, Ending::close);
        close_fd(listener_, Ending::close);
        close(wake_);
    }

    int port() const { return port_; }

    std::size_t end(Which which, Ending ending) {
        std::size_t count = 0;
        order([&] { count = end_all(which, ending); });
        return count;
    }
    void cut_after(Which which, Direction direction, std::size_t bytes, Ending ending) {
        order(
            [&] { for_each(which, [&](Connection& connection) { connection.pipes[direction].cut(bytes, ending); }); });
    }
    void cut_new_after(Direction direction, std::size_t bytes, Ending ending) {
        order([&] { cut_new_[direction].cut(bytes, ending); });
    }
    void close_new_at(const std::string& word) {
        order([&] { word_ = word; });
    }
    void swallow(Which which, Direction direction) {
        order([&] { for_each(which, [&](Connection& connection) { connection.pipes[direction].swallow = true; }); });
    }
    void stall(Which which, Direction direction) {
        order([&] { for_each(which, [&](Connection& connection) { connection.pipes[direction].stall = true; }); });
    }
    void shape(const Shape& shape) {
        order([&] { shape_ = shape; });
    }
    void door(Door door) {
        order([&] { set_door(door); });
    }
    void heal() {
        order([&] {
            set_door(Door::open);
            shape_ = {};
            for (Pipe& cut : cut_new_) cut.cut(never, Ending::reset);
            for (Connection& connection : connections_) {
                bool hurt = connection.server < 0 || connection.client < 0;
                for (Pipe& pipe : connection.pipes) {
                    hurt = hurt || pipe.swallowed;
                    pipe.swallow = pipe.stall = false;
                    pipe.cut(never, Ending::reset);
                }
                if (hurt) break_now(connection, Ending::reset);
            }
        });
    }
    Counts counts() const {
        std::lock_guard lock(mutex_);
        Counts counts = counts_;
        counts.open = connections_.size();
        return counts;
    }
    std::uint64_t passed(Which which, Direction direction) const {
        std::lock_guard lock(mutex_);
        for (auto connection = connections_.rbegin(); connection != connections_.rend(); ++connection)
            if (is(*connection, which)) return connection->pipes[direction].passed;
        return 0;
    }

 private:
    struct Chunk {
        Clock::time_point due;
        std::string bytes;
    };
    struct Pipe {
        std::deque<Chunk> queue;
        std::size_t queued = 0;
        Clock::time_point next{};  // by the limit of bytes per second
        bool ended = false;        // the sender said so; what is queued still goes out
        bool swallow = false, stall = false, swallowed = false;
        bool last = false;         // what is queued is all that the server shall see
        std::size_t left = never;  // bytes until it is cut
        Ending ending = Ending::reset;
        std::uint64_t passed = 0;

        void cut(std::size_t bytes, Ending how) {
            left = bytes;
            ending = how;
        }
    };
    struct Connection {
        int client = -1, server = -1;
        Pipe pipes[2];
        bool subscribes = false, publishes = false;
        std::string tail;  // of what went to the server: a word may come in two reads
        bool over = false;
        std::string word;  // to be ended at the command that has it
    };

    // Changes the state; the thread looks at it afresh.
    template <typename Change>
    void order(Change change) {
        std::lock_guard lock(mutex_);
        change();
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
    }

    static bool is(const Connection& connection, Which which) {
        if (which == Which::subscribers) return connection.subscribes;
        if (which == Which::publishers) return connection.publishes;
        return true;
    }
    template <typename Change>
    void for_each(Which which, Change change) {
        for (Connection& connection : connections_)
            if (is(connection, which)) change(connection);
    }
    std::size_t end_all(Which which, Ending ending) {
        std::size_t count = 0;
        for_each(which, [&](Connection& connection) {
            count += connection.over ? 0 : 1;
            break_now(connection, ending);
        });
        return count;
    }
    void set_door(Door door) {
        if (door == door_) return;
        if (door == Door::refuse) {
            const int refusing = make_door(port_, buffer_);
            close_fd(listener_, Ending::close);
            listener_ = refusing;
        } else if (door_ == Door::refuse) {
            listen(listener_, 1024);
        }
        door_ = door;
    }

    void finish(Connection& connection, Ending ending) {
        close_fd(connection.client, ending);
        close_fd(connection.server, ending);
        connection.over = true;
    }
    void break_now(Connection& connection, Ending ending) {
        if (!connection.over) ++counts_.ended;
        finish(connection, ending);
    }

    void run() {
        std::vector<pollfd> polled;
        std::unique_lock lock(mutex_);
        while (!stop_) {
            connections_.remove_if([](const Connection& connection) { return connection.over; });
            const Clock::time_point now = Clock::now();
            Clock::time_point wait_until = Clock::time_point::max();
            polled.clear();
            polled.push_back({wake_, POLLIN, 0});
            polled.push_back({door_ == Door::refuse ? -1 : listener_, POLLIN, 0});
            for (Connection& connection : connections_) {
                for (const Direction direction : {to_server, to_client}) {
                    const Pipe& pipe = connection.pipes[direction];
                    const bool reads = !pipe.stall && !pipe.ended && !pipe.last && pipe.queued < queue_max;
                    if (reads) polled.push_back({source(connection, direction), POLLIN, 0});
                    if (pipe.queue.empty()) continue;
                    const Clock::time_point due = std::max(pipe.queue.front().due, pipe.next);
                    if (due <= now)
                        polled.push_back({target(connection, direction), POLLOUT, 0});
                    else
                        wait_until = std::min(wait_until, due);
                }
            }
            timespec timeout{};
            const timespec* limit = nullptr;
            if (wait_until != Clock::time_point::max()) {
                const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(wait_until - now).count();
                timeout = {ns / 1000000000, ns % 1000000000};
                limit = &timeout;
            }
            lock.unlock();
            ppoll(polled.data(), polled.size(), limit, nullptr);
            lock.lock();
            std::uint64_t count;
            [[maybe_unused]] const ssize_t read_size = read(wake_, &count, sizeof count);
            take_new();
            for (Connection& connection : connections_) move(connection);
        }
    }

    static int source(const Connection& connection, Direction direction) {
        return direction == to_server ? connection.client : connection.server;
    }
    static int target(const Connection& connection, Direction direction) {
        return direction == to_server ? connection.server : connection.client;
    }

    void take_new() {
        if (door_ == Door::refuse) return;
        int client;
        while ((client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            const int on = 1;
            setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ++counts_.accepted;
            Connection& connection = connections_.emplace_back();
            connection.client = client;
            connection.word = word_;
            for (const Direction direction : {to_server, to_client})
                connection.pipes[direction].cut(cut_new_[direction].left, cut_new_[direction].ending);
            if (door_ == Door::mute) {
                connection.pipes[to_server].swallow = connection.pipes[to_server].swallowed = true;
                continue;
            }
            connection.server = make_socket(buffer_);
            const sockaddr_in address = loopback(server_port_);
            // Until it is established, sending and receiving would block; that it is refused is seen by receiving.
            connect(connection.server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        }
    }

    void move(Connection& connection) {
        for (const Direction direction : {to_server, to_client}) {
            if (!connection.over) receive(connection, direction);
            if (!connection.over) send(connection, direction);
        }
    }

    void receive(Connection& connection, Direction direction) {
        Pipe& pipe = connection.pipes[direction];
        const int fd = source(connection, direction);
        if (fd < 0 || pipe.stall || pipe.ended || pipe.last || pipe.queued >= queue_max) return;
        char bytes[16 * 1024];
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
        if (n <= 0) return sender_is_gone(connection, direction, n == 0 ? Ending::close : Ending::reset);
        std::string_view all(bytes, static_cast<std::size_t>(n));
        if (direction == to_server) learn(connection, all);
        if (pipe.swallow) {
            pipe.swallowed = true;
            counts_.swallowed[direction] += all.size();
            return;
        }
        if (direction == to_server && !connection.word.empty()) all = before_word(connection, all);
        pipe.queue.push_back({Clock::now() + shape_.latency, std::string(all)});
        pipe.queued += all.size();
    }

    // The other end learns of it as by a network that still works; by one that does not it learns nothing.
    void sender_is_gone(Connection& connection, Direction direction, Ending how) {
        Pipe& pipe = connection.pipes[direction];
        pipe.ended = true;
        if (pipe.swallow) {
            pipe.swallowed = true;
            close_fd(direction == to_server ? connection.client : connection.server, how);
            if (connection.client < 0 && connection.server < 0) connection.over = true;
        } else if (how == Ending::reset || pipe.queue.empty()) {
            finish(connection, how);
        }
    }

    // What stands before the command passes, and then the server is shown the end: it answers that much and closes.
    // Commands come in one piece here.
    std::string_view before_word(Connection& connection, std::string_view bytes) {
        const std::size_t word = bytes.find("\r\n" + connection.word + "\r\n");
        if (word == bytes.npos) return bytes;
        Pipe& pipe = connection.pipes[to_server];
        pipe.last = true;
        ++counts_.ended;
        return bytes.substr(0, bytes.rfind('*', word));
    }

    void learn(Connection& connection, std::string_view bytes) {
        if (connection.subscribes || connection.publishes) return;
        constexpr std::size_t longest = 11;  // SUBSCRIBE and the end of its line
        connection.tail += bytes.substr(0, 4096);
        connection.subscribes = connection.tail.find("SUBSCRIBE\r\n") != std::string::npos;
        connection.publishes = connection.tail.find("PUBLISH\r\n") != std::string::npos;
        if (connection.tail.size() > longest) connection.tail.erase(0, connection.tail.size() - longest);
    }

    void send(Connection& connection, Direction direction) {
        Pipe& pipe = connection.pipes[direction];
        if (pipe.left == 0) return break_now(connection, pipe.ending);
        const int fd = target(connection, direction);
        Clock::time_point now = Clock::now();
        while (!pipe.queue.empty() && fd >= 0) {
            Chunk& chunk = pipe.queue.front();
            if (std::max(chunk.due, pipe.next) > now) return;
            std::size_t size = std::min(chunk.bytes.size(), pipe.left);
            if (shape_.piece > 0) size = std::min(size, shape_.piece);
            // A hundredth of a second's worth at a time, so that a slow line trickles and does not gush.
            if (shape_.bytes_per_second > 0)
                size = std::min(size, std::max<std::size_t>(shape_.bytes_per_second / 100, 1));
            const ssize_t n = ::send(fd, chunk.bytes.data(), size, MSG_NOSIGNAL);
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOTCONN)) return;
            if (n < 0) return sender_is_gone(connection, direction == to_server ? to_client : to_server, Ending::reset);
            const auto sent = static_cast<std::size_t>(n);
            pipe.passed += sent;
            pipe.queued -= sent;
            if (pipe.left != never) pipe.left -= sent;
            if (shape_.bytes_per_second > 0)
                pipe.next =
                    std::max(pipe.next, now) + std::chrono::nanoseconds(sent * 1000000000 / shape_.bytes_per_second);
            if (sent == chunk.bytes.size())
                pipe.queue.pop_front();
            else
                chunk.bytes.erase(0, sent);
            if (pipe.left == 0) return break_now(connection, pipe.ending);
            if (shape_.piece > 0) break;  // the next one in another turn
            now = Clock::now();
        }
        if (pipe.last && pipe.queue.empty()) shutdown(fd, SHUT_WR);
        if (pipe.ended && pipe.queue.empty() && !pipe.swallow) finish(connection, Ending::close);
    }

    const int server_port_, buffer_;
    const int wake_;
    int port_ = 0;
    mutable std::mutex mutex_;
    int listener_ = -1;
    Door door_ = Door::open;
    std::string word_;
    Shape shape_;
    Pipe cut_new_[2];  // only where to cut
    std::list<Connection> connections_;
    Counts counts_;
    bool stop_ = false;
    std::thread thread_;
};

FaultProxy::FaultProxy(int server_port, int socket_buffer)
    : worker_(std::make_unique<Worker>(server_port, socket_buffer)) {
    port_ = worker_->port();
}
FaultProxy::~FaultProxy() = default;

std::size_t FaultProxy::end(Which which, Ending ending) {
    return worker_->end(which, ending);
}
void FaultProxy::cut_after(Which which, Direction direction, std::size_t bytes, Ending ending) {
    worker_->cut_after(which, direction, bytes, ending);
}
void FaultProxy::cut_new_after(Direction direction, std::size_t bytes, Ending ending) {
    worker_->cut_new_after(direction, bytes, ending);
}
void FaultProxy::close_new_at(const std::string& word) {
    worker_->close_new_at(word);
}
void FaultProxy::swallow(Which which, Direction direction) {
    worker_->swallow(which, direction);
}
void FaultProxy::stall(Which which, Direction direction) {
    worker_->stall(which, direction);
}
void FaultProxy::shape(const Shape& shape) {
    worker_->shape(shape);
}
void FaultProxy::door(Door door) {
    worker_->door(door);
}
void FaultProxy::heal() {
    worker_->heal();
}
FaultProxy::Counts FaultProxy::counts() const {
    return worker_->counts();
}
std::uint64_t FaultProxy::passed(Which which, Direction direction) const {
    return worker_->passed(which, direction);
}

}  // namespace fanwire::test
