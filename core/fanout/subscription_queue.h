// The door for subscriptions, from any thread to the IO thread: those that are new, or were abandoned by their
// consumer, since the IO thread last looked at them. Each is in it once. A place in it needs no memory, since the queue
// is threaded through the subscriptions: so ending one cannot fail.
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

    // The IO thread is to look. Set before there are subscriptions; called under the mutex, until the queue is shut.
    std::function<void()> wake;

    // Counts one more open subscription. Throws LIMIT_REACHED when there are `max` of them; 0: no limit.
    void reserve(std::uint64_t max);
    // Takes that back.
    void release() noexcept { open_.fetch_sub(1); }
    // How many are open, those included that the IO thread has not looked at yet.
    std::uint64_t open() const { return open_.load(); }

    // A new one. Throws CLOSED.
    void add(Subscription& subscription);
    // One that its consumer leaves: from here on it is abandoned. Returns UNSUBSCRIBED when it was that before, or
    // CLOSED.
    Status abandon(Subscription& subscription) noexcept;
    void shut() noexcept;

    // ---- IO thread ----

    // The same when the consumer's inbox is gone; also when the queue is shut, and without a wake.
    void abandon_retired(Subscription& subscription) noexcept;
    // The front one, which stays there. Returns null when there is none.
    Subscription* front() noexcept;
    // Takes the front one out, which may be queued again from here on. Returns the queue's reference to it.
    Ref<Subscription> pop() noexcept;

 private:
    void push(Subscription& subscription) noexcept;

    std::mutex mutex_;
    // Under the mutex:
    Subscription *first_ = nullptr, *last_ = nullptr;
    bool closed_ = false;

    Subscription* taken_ = nullptr;  // of the IO thread: those before first_
    std::atomic<std::uint64_t> open_{0};
};

}  // namespace fanwire::core
