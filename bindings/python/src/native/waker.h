// One descriptor that tells an event loop which of many inboxes have something new.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "fork.h"

namespace fanwire::python {

// A bus has one inbox for all its handlers, and one for each subscription that is consumed at its own pace. Watching
// each by its own descriptor would end at the process's limit of them; their wake functions come together here.
class Waker {
 public:
    // Somebody who wakes; stays put while added.
    struct Source {
        std::uint64_t key = 0;
        bool noted = false;  // the waker's
    };

    Waker();  // throws Failure (SYSTEM_ERROR)
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

    // Readable while keys wait.
    int fd() const { return read_fd_; }

    void add();
    void remove(Source& source);

    // Notes the key of `source`, which was added. Thread: any, without the GIL; neither blocks nor allocates.
    void wake(Source& source) noexcept;

    // Makes the descriptor readable with no key noted. Thread: any.
    void ring() noexcept;

    // The keys noted since the last call.
    std::vector<std::uint64_t> take();

 private:
    // In a forked child the descriptor is still the parent's, whose wake-ups must not be taken away, and the mutex may
    // be held by a thread that does not exist: nothing of this does anything there.
    bool forked() const { return generation_ != fork_generation(); }
    void signal() noexcept;

    const std::uint64_t generation_ = fork_generation();
    std::mutex mutex_;
    std::vector<Source*> noted_;  // has room for all sources
    std::size_t sources_ = 0;
    int read_fd_ = -1;
    int write_fd_ = -1;
};

}  // namespace fanwire::python
