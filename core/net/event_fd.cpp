#include "core/net/event_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/error.h"
#include "core/base/thread.h"

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace fanwire::core {

namespace {

[[noreturn]] void fail(const char* what) {
    throw Failure(Status::SYSTEM_ERROR, std::string(what) + ": " + std::strerror(errno));
}

#ifdef __linux__

class EventFd : public Pollable {
 public:
    EventFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (fd_ < 0) fail("eventfd");
    }
    ~EventFd() override { close(fd_); }
    EventFd(const EventFd&) = delete;
    EventFd& operator=(const EventFd&) = delete;

    int fd() const override { return fd_; }
    void set() override {
        const CancellationOff off;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = write(fd_, &one, sizeof one);  // fails only when set 2^64 times
    }
    void clear() override {
        const CancellationOff off;
        std::uint64_t count;
        [[maybe_unused]] const auto n = read(fd_, &count, sizeof count);  // fails only when not set
    }

 private:
    int fd_;
};

using Native = EventFd;

#else

class PipeFd : public Pollable {
 public:
    PipeFd() {
        if (pipe(ends_) != 0) fail("pipe");
        for (const int end : ends_) {
            fcntl(end, F_SETFL, O_NONBLOCK);
            fcntl(end, F_SETFD, FD_CLOEXEC);
        }
    }
    ~PipeFd() override {
        close(ends_[0]);
        close(ends_[1]);
    }
    PipeFd(const PipeFd&) = delete;
    PipeFd& operator=(const PipeFd&) = delete;

    int fd() const override { return ends_[0]; }
    void set() override {
        const CancellationOff off;
        [[maybe_unused]] const auto n = write(ends_[1], "", 1);
    }
    void clear() override {
        const CancellationOff off;
        char bytes[64];
        while (read(ends_[0], bytes, sizeof bytes) > 0) {
        }
    }

 private:
    int ends_[2];
};

using Native = PipeFd;

#endif

}  // namespace

std::unique_ptr<Pollable> make_event_fd() {
    return std::make_unique<Native>();
}

}  // namespace fanwire::core
