#include "core/fanout/inbox.h"

#include <new>
#include <utility>

#include "core/fanout/gap.h"

namespace fanwire::core {

Inbox::Inbox(InboxLimits limits, MakePollable make_pollable, std::uint64_t seed)
    : backlog_(limits, seed), bell_(std::move(make_pollable)) {}

Inbox::~Inbox() {
    close();
}

// ---- Pushing -------------------------------------------------------------------------------------------------------

bool Inbox::push(const Delivery* deliveries, std::size_t count) noexcept {
    MessageReleaser dropped;  // after the lock
    std::lock_guard lock(mutex_);
    if (closed_) {
        for (std::size_t i = 0; i < count; ++i) dropped.release(deliveries[i].message);
        return false;
    }
    for (std::size_t done = deferred_.empty() ? backlog_.append_fitting(deliveries, count) : 0; done < count; ++done) {
        const Delivery& delivery = deliveries[done];
        try {
            backlog_.prepare(delivery);  // first, since what is deferred is only queued where this message can follow
            if (flush_deferred()) {
                backlog_.push(delivery);
                continue;
            }
        } catch (const std::bad_alloc&) {
        }
        defer_missing(*delivery.subscription);
        dropped.release(delivery.message);
    }
    return bell_.due();
}

bool Inbox::push(Subscription& subscription, Event event) noexcept {
    if (event.kind == EventKind::message) {
        const Delivery delivery{event.message.detach(), &subscription};
        return push(&delivery, 1);
    }
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    push_event(subscription, event);
    return bell_.due();
}

bool Inbox::push(std::span<Subscription* const> subscriptions, const Event& event) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    for (Subscription* const subscription : subscriptions) {
        Event its = event;
        its.user_data = subscription->user_data();
        push_event(*subscription, its);
    }
    return bell_.due();
}

void Inbox::push_event(Subscription& subscription, Event& event) noexcept {
    if (event.kind == EventKind::ended) subscription.retain();  // released by the drain
    try {
        backlog_.prepare(subscription, event);
        if (flush_deferred()) return backlog_.push(subscription, event);
    } catch (const std::bad_alloc&) {
    }
    deferred_.add(subscription, event);
}

bool Inbox::push_missing(Subscription& subscription) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    try {
        backlog_.prepare_missing(subscription);
        if (flush_deferred()) {
            backlog_.push_missing(subscription);
            return bell_.due();
        }
    } catch (const std::bad_alloc&) {
    }
    defer_missing(subscription);
    return bell_.due();
}

bool Inbox::push(Event event) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (is_outcome(event.kind)) {
        push_outcome(event);
        return bell_.due();
    }
    if (engine_events_ >= engine_events_max) return false;
    try {
        backlog_.push(event);
    } catch (const std::bad_alloc&) {
        return false;
    }
    ++engine_events_;
    return bell_.due();
}

bool Inbox::push_reply(Event event, bool& kept) noexcept {
    const std::size_t cost = event.message->cost();
    std::lock_guard lock(mutex_);
    kept = false;
    if (closed_ || replies_ >= backlog_.limits().count || cost > backlog_.limits().bytes - reply_bytes_) return false;
    try {
        backlog_.push(event);
    } catch (const std::bad_alloc&) {
        return false;
    }
    ++replies_;
    reply_bytes_ += cost;
    kept = true;
    return bell_.due();
}

void Inbox::push_outcome(Event& event) noexcept {
    try {
        if (deferred_outcomes_.empty()) return backlog_.push(event);
    } catch (const std::bad_alloc&) {
    }
    deferred_outcomes_.add(event);  // also while others are deferred: outcomes keep their order
}

// ---- Without memory ------------------------------------------------------------------------------------------------

void Inbox::defer_missing(Subscription& subscription) noexcept {
    ++missing_;
    subscription.metrics().dropped.add();
    subscription.metrics().gaps.add();
    deferred_.add(subscription, overflow_gap(nullptr, 1));
}

// Queues what is deferred, now that there may be memory. Returns false when there still is none.
bool Inbox::flush_deferred() noexcept {
    while (!deferred_.empty()) {
        try {
            backlog_.make_room();
        } catch (const std::bad_alloc&) {
            return false;
        }
        QueuedEvent next;
        if (!deferred_.pop(next.event, next.subscription)) break;
        backlog_.push_deferred(std::move(next));
    }
    return true;
}

// ---- Outcomes and waking -------------------------------------------------------------------------------------------

void Inbox::signal() noexcept {
    {
        std::lock_guard lock(mutex_);
        if (!bell_.begin_ring(!closed_ && !empty())) return;
    }
    bell_.finish_ring();
}

bool Inbox::settle(std::span<const Settled> publishes, const Error& error) noexcept {
    const Reason why(error);  // one text for all of them
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    for (const Settled& publish : publishes) {
        Event event = Event::of(EventKind::published, why);
        event.user_data = publish.user_data;
        event.count = publish.receivers;
        push_outcome(event);
    }
    return bell_.due();
}

std::size_t Inbox::reserve_outcomes(std::size_t count) {
    std::lock_guard lock(mutex_);
    count = std::min(count, outcomes_max - outcomes_);
    deferred_outcomes_.reserve(outcomes_ + count);
    outcomes_ += count;
    return count;
}

void Inbox::cancel_outcomes(std::size_t count) {
    std::lock_guard lock(mutex_);
    outcomes_ -= count;
}

// ---- The consumer --------------------------------------------------------------------------------------------------

// Moves up to `capacity` of what waits into the batch. Returns whether more waits. Throws std::bad_alloc, having taken
// nothing, unless the batch has had room for as many before.
bool Inbox::take(Batch& batch, std::size_t capacity) {
    batch.slots.clear();
    batch.events.clear();
    batch.slots.reserve(capacity);
    batch.events.reserve(std::min(capacity, events_max));
    std::lock_guard lock(mutex_);
    while (batch.slots.size() < capacity && batch.events.size() < events_max)
        if (backlog_.take_row(batch.slots, capacity - batch.slots.size()) == 0 && !take_oldest(batch)) break;
    batch.settled = backlog_.queue().settle(batch.slots);
    if (outcomes_ == 0) deferred_outcomes_.shrink();
    if (!empty()) return true;
    bell_.silence();
    return false;
}

// Returns false when there is nothing.
bool Inbox::take_oldest(Batch& batch) {
    Delivery message;
    QueuedEvent event;
    if (!backlog_.empty())
        backlog_.take_oldest(message, event);
    else if (!deferred_outcomes_.empty())
        event.event = deferred_outcomes_.pop();
    else if (!deferred_.pop(event.event, event.subscription))
        return false;
    if (message.message)
        batch.slots.push_back(message);
    else
        take_event(batch, std::move(event));
    return true;
}

void Inbox::take_event(Batch& batch, QueuedEvent&& queued) {
    auto& [event, subscription] = queued;
    if (event.kind == EventKind::reply) {
        --replies_;
        reply_bytes_ -= event.message->cost();
    } else if (!subscription)
        --(is_outcome(event.kind) ? outcomes_ : engine_events_);
    else if (event.kind == EventKind::ended)
        subscription->deferred.next = std::exchange(batch.ended, subscription);
    if (subscription) backlog_.forget(*subscription);
    batch.slots.push_back({nullptr, subscription});
    batch.events.push_back(std::move(event));
}

void Inbox::Batch::release() noexcept {
    while (ended) {
        Subscription* const subscription = std::exchange(ended, ended->deferred.next);
        subscription->release();
    }
}

bool Inbox::wait(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    bell_.wait_until(lock, deadline, [&] { return !empty() || closed_; });
    return !empty();
}

bool Inbox::wait() {
    std::unique_lock lock(mutex_);
    bell_.wait(lock, [&] { return !empty() || closed_; });
    return !empty();
}

void Inbox::interrupt() {
    {
        std::lock_guard lock(mutex_);
        bell_.interrupt();
    }
    bell_.notify();
}

void Inbox::set_wake(Wake wake) {
    bell_.set_wake(std::move(wake), [&] {
        std::lock_guard lock(mutex_);
        return !empty();
    });
}

int Inbox::fd() {
    std::lock_guard lock(mutex_);
    return bell_.fd(!empty());
}

// Subscriptions that end here are destroyed under the mutex: what they own calls nothing of ours.
void Inbox::close() {
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
        backlog_.clear();
        deferred_.clear();
        deferred_outcomes_.clear();
        replies_ = reply_bytes_ = 0;
    }
    bell_.notify();
}

InboxStats Inbox::stats() const {
    std::lock_guard lock(mutex_);
    return {backlog_.size() + deferred_.count() + deferred_outcomes_.count(), backlog_.queue().bytes(),
            backlog_.queue().drained(), backlog_.dropped() + missing_};
}

}  // namespace fanwire::core
