#include "core/fanout/subscription_queue.h"

#include <string>
#include <utility>

#include "core/fanout/subscription.h"

namespace fanwire::core {

void SubscriptionQueue::reserve(std::uint64_t max) {
    if (open_.fetch_add(1) < max || max == 0) return;
    open_.fetch_sub(1);
    throw Failure(Status::LIMIT_REACHED, "max_subscriptions (" + std::to_string(max) + ") are open");
}

void SubscriptionQueue::add(Subscription& subscription) {
    std::lock_guard lock(mutex_);
    if (closed_) throw Failure(closed_error);
    push(subscription);
    wake();
}

Status SubscriptionQueue::abandon(Subscription& subscription) noexcept {
    std::lock_guard lock(mutex_);
    if (subscription.abandoned()) return Status::UNSUBSCRIBED;
    if (closed_) return Status::CLOSED;
    if (!subscription.abandon()) return Status::UNSUBSCRIBED;
    open_.fetch_sub(1);
    push(subscription);
    wake();
    return Status::OK;
}

void SubscriptionQueue::shut() noexcept {
    std::lock_guard lock(mutex_);
    closed_ = true;
}

void SubscriptionQueue::abandon_retired(Subscription& subscription) noexcept {
    if (subscription.abandon()) open_.fetch_sub(1);
    std::lock_guard lock(mutex_);
    push(subscription);
}

// Under the mutex.
void SubscriptionQueue::push(Subscription& subscription) noexcept {
    if (!subscription.enter_queue()) return;
    subscription.retain();
    (first_ ? last_->next_queued_ : first_) = &subscription;
    last_ = &subscription;
}

Subscription* SubscriptionQueue::front() noexcept {
    if (!taken_) {
        std::lock_guard lock(mutex_);
        taken_ = std::exchange(first_, nullptr);
    }
    return taken_;
}

Ref<Subscription> SubscriptionQueue::pop() noexcept {
    Subscription* const front = taken_;
    taken_ = front->leave_queue();
    return Ref<Subscription>::adopt(front);
}

}  // namespace fanwire::core
