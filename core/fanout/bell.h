// How the consumer of an inbox learns that something waits: by a wake function, a descriptor or a wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "core/base/pollable.h"

namespace fanwire::core {

class Bell {
 public:
    using MakePollable = std::function<std::unique_ptr<Pollable>()>;
    using Wake = std::function<void()>;

    explicit Bell(MakePollable make_pollable) : make_pollable_(std::move(make_pollable)) {}

    // ---- Under the inbox's mutex ----

    // Something waits. Returns whether the consumer has to be woken, since it does not know yet: ringing must follow.
    bool due() {
        if (std::exchange(known_, true)) return false;
        return ring_is_due_ = true;
    }
    // Nothing waits any more, so the next due() returns true.
    void silence() {
        known_ = false;
        if (pollable_) pollable_->clear();
    }
    // Returns a descriptor that is readable while something waits. `waiting`: whether something does now. Throws
    // Failure SYSTEM_ERROR.
    int fd(bool waiting) {
        if (!pollable_) {
            pollable_ = make_pollable_();
            if (waiting) pollable_->set();
        }
        return pollable_->fd();
    }
    // The first part of ringing. Returns false when no ring is due, or it is not `needed` any more; else finish_ring()
    // must follow.
    bool begin_ring(bool needed) {
        if (!std::exchange(ring_is_due_, false) || !needed) return false;
        if (pollable_) pollable_->set();
        return true;
    }
    void interrupt() { interrupted_ = true; }
    // Waits until `waiting` or interrupt(), and releases the lock meanwhile.
    template <class Waiting>
    void wait_until(std::unique_lock<std::mutex>& lock, std::chrono::steady_clock::time_point deadline,
                    Waiting&& waiting) {
        arrived_.wait_until(lock, deadline, [&] { return interrupted_ || waiting(); });
    }
    template <class Waiting>
    void wait(std::unique_lock<std::mutex>& lock, Waiting&& waiting) {
        arrived_.wait(lock, [&] { return interrupted_ || waiting(); });
    }

    // ---- Without the mutex, since the wake function may call the inbox ----

    // Ends the waits whose condition holds.
    void notify() { arrived_.notify_all(); }
    // The rest of ringing.
    void finish_ring() {
        notify();
        std::lock_guard lock(wake_mutex_);
        if (wake_) wake_();
    }
    // When this returns the former wake function is not running and will not be called again. The new one is called at
    // once if waiting(), which is asked while it cannot be called by others.
    template <class Waiting>
    void set_wake(Wake wake, Waiting&& waiting) {
        std::lock_guard lock(wake_mutex_);
        wake_ = std::move(wake);
        if (waiting() && wake_) wake_();
    }

 private:
    const MakePollable make_pollable_;
    std::condition_variable arrived_;
    bool known_ = false;  // the consumer knows, or will when the due ring has been done
    bool ring_is_due_ = false;
    bool interrupted_ = false;
    std::unique_ptr<Pollable> pollable_;  // from the first fd() on

    std::mutex wake_mutex_;  // held while the wake function runs; never taken under the inbox's mutex
    Wake wake_;
};

}  // namespace fanwire::core
