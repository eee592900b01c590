#include "bindings/cli/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "bindings/cli/failure.h"
#include "bindings/cli/signals.h"

namespace fanwire::cli {

namespace {

constexpr size_t kFlushSize = 64 * 1024;

bool writable_now() {
    pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    return ::poll(&out, 1, 0) == 1;
}

}  // namespace

void Output::add(std::string_view bytes) {
    buffer_.append(bytes);
    if (buffer_.size() >= kFlushSize) flush();
}

void Output::flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        const bool leaving = signal_caught() != 0;
        if (leaving && !writable_now()) break;
        // A pipe that poll() calls writable takes PIPE_BUF bytes without blocking.
        const size_t size = leaving && rest.size() > PIPE_BUF ? PIPE_BUF : rest.size();
        const ssize_t written = ::write(STDOUT_FILENO, rest.data(), size);
        if (written >= 0) {
            rest.remove_prefix(static_cast<size_t>(written));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EPIPE) throw ReaderGone{};
        throw runtime_error(std::string("cannot write to stdout: ") + std::strerror(errno));
    }
    buffer_.erase(0, buffer_.size() - rest.size());
}

}  // namespace fanwire::cli
