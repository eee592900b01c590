#include "core/net/tls_pipe.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "core/net/socket.h"

namespace fanwire::core {

TlsPipe::TlsPipe(std::shared_ptr<const TlsContext> context, std::string_view server_name)
    : session_(std::move(context), server_name), buffer_(piece) {}

std::ptrdiff_t TlsPipe::receive(int fd) {
    const ssize_t n = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (n > 0) session_.feed({buffer_.data(), static_cast<std::size_t>(n)});
    return n;
}

int TlsPipe::flush(int fd) {
    while (!session_.output().empty()) {
        const std::string_view rest = session_.output();
        const ssize_t n = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n >= 0)
            session_.sent(static_cast<std::size_t>(n));
        else if (errno != EINTR)
            return errno == EWOULDBLOCK ? EAGAIN : errno;
    }
    return 0;
}

void TlsPipe::send_rest(int fd) {
    const std::string_view rest = session_.output();
    if (rest.empty()) return;
    [[maybe_unused]] const ssize_t n = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
}

}  // namespace fanwire::core
