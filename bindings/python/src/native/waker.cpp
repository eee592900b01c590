#include "waker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "failure.h"

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace fanwire::python {

namespace {

[[noreturn]] void fail_open() {
    throw Failure{FANWIRE_SYSTEM_ERROR, std::string("no descriptor for the event loop: ") + std::strerror(errno)};
}

#ifndef __linux__
bool prepare(int fd) {
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}
#endif

}  // namespace

Waker::Waker() {
#ifdef __linux__
    read_fd_ = write_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (read_fd_ < 0) fail_open();
#else
    int fds[2];
    if (pipe(fds) != 0) fail_open();
    read_fd_ = fds[0];
    write_fd_ = fds[1];
    if (!prepare(read_fd_) || !prepare(write_fd_)) {
        close(read_fd_);
        close(write_fd_);
        fail_open();
    }
#endif
}

Waker::~Waker() {
    close(read_fd_);
    if (write_fd_ != read_fd_) close(write_fd_);
}

void Waker::add() {
    if (forked()) return;
    const std::lock_guard lock(mutex_);
    if (noted_.capacity() <= sources_) noted_.reserve(2 * sources_ + 8);
    ++sources_;
}

void Waker::remove(Source& source) {
    if (forked()) return;
    const std::lock_guard lock(mutex_);
    --sources_;
    if (source.noted) std::erase(noted_, &source);
}

void Waker::wake(Source& source) noexcept {
    if (forked()) return;
    {
        const std::lock_guard lock(mutex_);
        if (source.noted) return;
        source.noted = true;
        noted_.push_back(&source);
        if (noted_.size() > 1) return;
    }
    signal();  // not under the mutex, for which whoever wakes up at once would have to wait
}

void Waker::ring() noexcept {
    if (!forked()) signal();
}

// Should there be no room, then because it is readable.
void Waker::signal() noexcept {
    const std::uint64_t one = 1;
    while (write(write_fd_, &one, sizeof one) < 0 && errno == EINTR) continue;
}

std::vector<std::uint64_t> Waker::take() {
    if (forked()) return {};
    const std::lock_guard lock(mutex_);
    std::uint64_t sink[8];
    while (read(read_fd_, sink, sizeof sink) < 0 && errno == EINTR) continue;
    std::vector<std::uint64_t> keys;
    keys.reserve(noted_.size());
    for (Source* source : noted_) {
        source->noted = false;
        keys.push_back(source->key);
    }
    noted_.clear();
    return keys;
}

}  // namespace fanwire::python
