// The door by which callers ask NUMSUB, and how much may be asked at once.
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
    // `count_max`, `bytes_max`: of those that have no answer.
    Questions(std::size_t count_max, std::size_t bytes_max) : count_max_(count_max), bytes_max_(bytes_max) {}

    // Thread: any. Throws Failure CLOSED, LIMIT_REACHED, QUEUE_FULL, or std::bad_alloc, and then has changed nothing.
    void ask(std::unique_ptr<Numsub> question);
    // None is accepted any more.
    void shut() noexcept;

    // Whether there may be one to take.
    bool any() const { return any_.load(std::memory_order_acquire) || put_back_; }
    // The oldest that nobody has taken; null: there is none. It counts until it is settled. IO thread, as what follows.
    std::unique_ptr<Numsub> take() noexcept;
    // Takes it back: it could not be dealt with.
    void put_back(std::unique_ptr<Numsub> question) noexcept { put_back_ = std::move(question); }
    // Those that nobody has taken fail.
    void end(const Error& why) noexcept;

 private:
    const std::size_t count_max_, bytes_max_;
    std::atomic<std::size_t> count_{0}, bytes_{0};
    std::atomic<bool> any_{false};  // in asked_, perhaps: most turns find none, and need not lock
    std::unique_ptr<Numsub> put_back_;
    std::mutex mutex_;
    std::deque<std::unique_ptr<Numsub>> asked_;
    bool closed_ = false;
};

}  // namespace fanwire::core
