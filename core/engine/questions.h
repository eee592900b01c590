// The door for NUMSUB, from any thread to the IO thread, with limits for what has no answer yet.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "core/backend/numsub.h"

namespace fanwire::core {

class Questions {
 public:
    // `count_max`, `bytes_max`: limits for the questions without an answer.
    Questions(std::size_t count_max, std::size_t bytes_max) : count_max_(count_max), bytes_max_(bytes_max) {}

    // Thread: any. Throws Failure CLOSED, LIMIT_REACHED, QUEUE_FULL, or std::bad_alloc, and then has changed nothing.
    void ask(std::unique_ptr<Numsub> question);
    // No question is accepted from here on.
    void shut() noexcept;

    // Whether there may be a question to take.
    bool any() const { return any_.load(std::memory_order_acquire) || put_back_; }
    // Returns the oldest question that has not been taken, or null. It counts until it is answered. IO thread, as is
    // what follows.
    std::unique_ptr<Numsub> take() noexcept;
    // Keeps one that take() returned and that could not be passed on for want of memory.
    void put_back(std::unique_ptr<Numsub> question) noexcept { put_back_ = std::move(question); }
    // Fails the questions that have not been taken.
    void end(const Error& why) noexcept;

 private:
    const std::size_t count_max_, bytes_max_;
    std::atomic<std::size_t> count_{0}, bytes_{0};
    std::atomic<bool> any_{false};  // there may be some in asked_: most turns find none and need not lock
    std::unique_ptr<Numsub> put_back_;
    std::mutex mutex_;
    std::deque<std::unique_ptr<Numsub>> asked_;
    bool closed_ = false;
};

}  // namespace fanwire::core
