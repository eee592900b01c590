// The door for subscriptions, from any thread to the IO thread: the ones that are new, or were abandoned by their
// consumer, since the IO thread last looked at them. Each is queued once. Queueing needs no memory, since the queue is
// linked through the subscriptions, so ending one cannot fail.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "core/base/error.h"
#include "core/base/ref.h"

namespace fanwire::core {

class Subscription;

class SubscriptionQueue {
 public:
    // ---- Thread: any ----

    // Wakes the IO thread. Set before there are subscriptions. Called under the mutex, until the queue is shut.
    std::function<void()> wake;

    // Counts one more open subscription. Throws LIMIT_REACHED when there are `max` of them; 0 means no limit.
    void reserve(std::uint64_t max);
    // Undoes reserve().
    void release() noexcept { open_.fetch_sub(1); }
    // Returns how many are open, including those that the IO thread has not looked at yet.
    std::uint64_t open() const { return open_.load(); }

    // Queues a new subscription. Throws CLOSED.
    void add(Subscription& subscription);
    // The consumer leaves the subscription: from here on it is abandoned. Returns UNSUBSCRIBED when it was abandoned
    // before, or CLOSED.
    Status abandon(Subscription& subscription) noexcept;
    void shut() noexcept;

    // ---- IO thread ----

    // Does the same for a subscription whose inbox is gone, without a wake, and also when the queue is shut.
    void abandon_retired(Subscription& subscription) noexcept;
    // Returns the front subscription, which stays in the queue, or null when there is none.
    Subscription* front() noexcept;
    // Takes the front subscription out; it may be queued again from here on. Returns the queue's reference to it.
    Ref<Subscription> pop() noexcept;

 private:
    void push(Subscription& subscription) noexcept;

    std::mutex mutex_;
    // Under the mutex:
    Subscription *first_ = nullptr, *last_ = nullptr;
    bool closed_ = false;

    Subscription* taken_ = nullptr;  // only for the IO thread: the ones in front of first_
    std::atomic<std::uint64_t> open_{0};
};

}  // namespace fanwire::core
