#include "bindings/cli/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "bindings/cli/failure.h"
#include "bindings/cli/signals.h"

namespace fanwire::cli {

namespace {

constexpr size_t kFlushSize = 64 * 1024;

Failure cannot_write() {
    return runtime_error(std::string("cannot write to stdout: ") + std::strerror(errno));
}

// Waits until stdout can be written to or a signal comes; whether it can.
bool wait_writable(int timeout_ms) {
    pollfd ready[] = {{STDOUT_FILENO, POLLOUT, 0}, {signal_fd(), POLLIN, 0}};
    if (::poll(ready, 2, timeout_ms) >= 0) return ready[0].revents != 0;
    if (errno != EINTR) throw cannot_write();
    return false;
}

// Writes the beginning of `bytes`; how much of it, 0 when it has to be tried again.
size_t write_some(std::string_view bytes) {
    // A pipe that poll() calls writable takes PIPE_BUF bytes without blocking.
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    if (written >= 0) return static_cast<size_t>(written);
    if (errno == EINTR || errno == EAGAIN) return 0;
    if (errno == EPIPE) throw ReaderGone{};
    throw cannot_write();
}

}  // namespace

void Output::add(std::string_view bytes) {
    buffer_.append(bytes);
    if (buffer_.size() >= kFlushSize) flush();
}

void Output::flush() {
    std::string bytes;
    bytes.swap(buffer_);  // whatever is thrown, nothing is written twice
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const bool leaving = signal_caught() != 0 || passed(deadline_);
        if (wait_writable(leaving ? 0 : poll_timeout(deadline_))) {
            rest.remove_prefix(write_some(rest));
        } else if (leaving) {
            break;
        }
    }
    buffer_ = rest;
}

}  // namespace fanwire::cli
