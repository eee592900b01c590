// One wish of one consumer for one channel or pattern.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "core/base/error.h"
#include "core/base/metrics.h"
#include "core/base/ref.h"
#include "core/message/message.h"
#include "core/message/target.h"

namespace fanwire::core {

class Inbox;

// The numbers are those of fanwire_subscription_state.
enum class SubscriptionState { pending = 1, active = 2, lost = 3, failed = 4, ended = 5 };

// What an engine shares with its subscriptions, which may outlive it: its counters, and where threads wait for a
// subscription or for the engine itself to change.
struct Monitor {
    std::mutex mutex;
    std::condition_variable changed;
    Metrics metrics;
};

class Subscription {
   public:
    Subscription(TargetKind kind, ScopedName target, std::shared_ptr<Inbox> inbox, void* user_data,
                 std::shared_ptr<Monitor> monitor)
        : kind_(kind),
          target_(std::move(target)),
          inbox_(std::move(inbox)),
          user_data_(user_data),
          monitor_(std::move(monitor)) {}

    TargetKind kind() const { return kind_; }
    const ScopedName& target() const { return target_; }
    const std::shared_ptr<Inbox>& inbox() const { return inbox_; }
    void* user_data() const { return user_data_; }
    Metrics& metrics() const { return monitor_->metrics; }

    SubscriptionState state() const { return state_.load(std::memory_order_acquire); }
    // Sets the state and, for failed and ended, why; wakes who waits for it. IO thread.
    void change(SubscriptionState state, Error why = {}) {
        {
            std::lock_guard lock(monitor_->mutex);
            why_ = std::move(why);
            state_.store(state, std::memory_order_release);
        }
        monitor_->changed.notify_all();
    }
    // Why it failed or ended. The monitor's mutex must be held.
    const Error& why() const { return why_; }

    // From the moment its consumer gives it up, drains pass over its events. False when it was given up before.
    bool give_up() { return !given_up_.exchange(true, std::memory_order_acq_rel); }
    bool given_up() const { return given_up_.load(std::memory_order_acquire); }

    void retain() { refs_.retain(); }
    void release() {
        if (refs_.release()) delete this;
    }

    // Of the fan-out, on the IO thread: its place among the subscriptions of its topic; whether it was ever active.
    std::size_t place = 0;
    bool was_active = false;

    // Of the inbox, under its mutex: where its folded entries stand (see inbox.h).
    struct FoldPlaces {
        std::uint64_t gap = 0;
        std::uint64_t state = 0;
    };
    FoldPlaces at_front, at_back;
    // Likewise: the place behind its newest entry that is no message (see conflate in inbox.h).
    std::uint64_t behind_states = 0;

   private:
    RefCount refs_;
    TargetKind kind_;
    ScopedName target_;
    std::shared_ptr<Inbox> inbox_;
    void* user_data_;
    std::shared_ptr<Monitor> monitor_;
    std::atomic<SubscriptionState> state_{SubscriptionState::pending};
    std::atomic<bool> given_up_{false};
    Error why_;
};

using SubscriptionRef = Ref<Subscription>;

}  // namespace fanwire::core
