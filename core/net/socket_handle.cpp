#include "core/net/socket_handle.h"

#include <sys/socket.h>
#include <unistd.h>

namespace fanwire::core {

void SocketHandle::end() noexcept {
    if (fd_ < 0) return;
    shutdown(fd_, SHUT_RDWR);  // a child of fork() may hold a copy: close() alone would not end the connection
    ::close(std::exchange(fd_, -1));
}

void SocketHandle::abandon() const noexcept {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace fanwire::core
