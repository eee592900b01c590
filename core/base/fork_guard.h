// Tells a child of fork() from the process that made the object: threads and locks do not survive a fork, so nothing
// that has them may be used in the child.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace fanwire::core {

class ForkGuard {
 public:
    // `often`: it is asked so often that a getpid() each time would cost too much. Takes a page of memory.
    explicit ForkGuard(bool often);
    ~ForkGuard();
    ForkGuard(const ForkGuard&) = delete;
    ForkGuard& operator=(const ForkGuard&) = delete;

    // Costs a getpid() or, if it is asked often and the kernel can wipe a page for us (Linux 4.14), a load.
    bool forked() const;

    // Whether `other` is of another process. If it is not forked(), then this one is; that takes no system call.
    bool differs(const ForkGuard& other) const { return pid_ != other.pid_; }

 private:
    const volatile unsigned char* page_ = nullptr;  // 1 here, 0 in a child
    std::size_t size_ = 0;
    pid_t pid_;
};

}  // namespace fanwire::core
