// Owns a connected or connecting socket.
#pragma once

#include <utility>

namespace fanwire::core {

class SocketHandle {
 public:
    explicit SocketHandle(int fd = -1) : fd_(fd) {}
    ~SocketHandle() { end(); }
    SocketHandle(SocketHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    SocketHandle& operator=(SocketHandle&& other) noexcept {
        if (this == &other) return *this;
        end();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }

    // -1: there is none.
    int fd() const { return fd_; }
    // Ends the connection, also where a child of fork() holds a copy of the socket.
    void end() noexcept;
    // In the child of a fork(): closes its copy and touches nothing else. The handle is of no use afterwards and must
    // not be destroyed.
    void abandon() const noexcept;

 private:
    int fd_;
};

}  // namespace fanwire::core
