#include "core/fanout/inbox.h"

#include <utility>

#include "core/fanout/gap.h"

namespace fanwire::core {

namespace {

constexpr std::size_t ahead = 8;  // of what is drained: subscriptions that are fetched into the cache
}  // namespace

Inbox::Inbox(InboxLimits limits, MakePollable make_pollable, std::uint64_t seed)
    : limits_(limits),
      conflation_(limits.overflow == Overflow::conflate ? std::make_unique<Conflation>(seed) : nullptr),
      bell_(std::move(make_pollable)) {}

Inbox::~Inbox() {
    close();
}

// Whether there is room for one more message. The bytes of a drain in progress never keep one out while the queue
// itself is empty.
bool Inbox::message_fits(std::size_t cost) {
    if (messages_ >= limits_.count) return false;
    if (bytes_ + cost <= limits_.bytes) return true;
    bytes_ -= released_bytes_.exchange(0, std::memory_order_relaxed);
    return bytes_ + cost <= limits_.bytes || (messages_ == 0 && cost <= limits_.bytes);
}

// ---- pushing -------------------------------------------------------------------------------------------------------

bool Inbox::push(const Delivery* deliveries, std::size_t count) noexcept {
    MessageReleaser dropped;  // after the lock
    std::lock_guard lock(mutex_);
    if (closed_) {
        for (std::size_t i = 0; i < count; ++i) dropped.release(deliveries[i].message);
        return false;
    }
    for (std::size_t done = append_fitting(deliveries, count); done < count; ++done) {
        const Delivery& delivery = deliveries[done];
        try {
            // First, since what is deferred is only queued where this can follow.
            if (limits_.overflow == Overflow::drop_newest && !message_fits(delivery.message->cost()))
                make_places(*delivery.subscription);
            if (flush_deferred()) {
                push_message(delivery);
                continue;
            }
        } catch (const std::bad_alloc&) {
        }
        defer_missing(*delivery.subscription);
        dropped.release(delivery.message);
    }
    return bell_.due();
}

// Fast path: appends the leading deliveries that need no special care. Returns how many.
std::size_t Inbox::append_fitting(const Delivery* deliveries, std::size_t count) noexcept {
    if (!deferred_.empty() || conflation_ || messages_ >= limits_.count) return 0;
    std::size_t fitting = 0, bytes = bytes_;
    for (const std::size_t most = std::min(count, limits_.count - messages_); fitting < most; ++fitting) {
        const std::size_t cost = deliveries[fitting].message->cost();
        if (bytes + cost > limits_.bytes) break;
        bytes += cost;
    }
    const std::size_t done = queue_.append(deliveries, fitting);
    for (std::size_t i = done; i < fitting; ++i) bytes -= deliveries[i].message->cost();
    bytes_ = bytes;
    messages_ += done;
    if (done > 0) deliveries->subscription->metrics().delivered.add(done);
    if (used_places_ > 0)  // otherwise the subscriptions, each somewhere in memory, need not be looked at
        for (std::size_t i = 0; i < done; ++i) end_folding(*deliveries[i].subscription);
    return done;
}

// Takes over the reference, unless it throws std::bad_alloc, and then has changed nothing.
void Inbox::push_message(const Delivery& delivery) {
    Subscription& subscription = *delivery.subscription;
    const std::size_t cost = delivery.message->cost();
    if (!message_fits(cost)) {
        if (limits_.overflow == Overflow::drop_newest || cost > limits_.bytes) {
            fold_message(Where::back, subscription);
            delivery.message->release();
            return;
        }
        if (conflation_ && conflate(delivery)) return;
        while (!message_fits(cost)) push_out_oldest();
    }
    queue_.push_back(delivery);
    ++messages_;
    bytes_ += cost;
    if (conflation_) conflation_->added(subscription, *delivery.message, back_place() - 1);
    end_folding(subscription);
    subscription.metrics().delivered.add();
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
    if (event.kind == EventKind::ended) subscription.retain();  // given back by the drain
    try {
        if (event.kind != EventKind::ended && states_ >= limits_.count) make_places(subscription);
        if (flush_deferred())
            push_other(subscription, event);
        else
            deferred_.add(subscription, event);
    } catch (const std::bad_alloc&) {
        deferred_.add(subscription, event);
    }
}

bool Inbox::push_missing(Subscription& subscription) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    try {
        make_places(subscription);
        if (flush_deferred())
            fold_message(Where::back, subscription);
        else
            defer_missing(subscription);
    } catch (const std::bad_alloc&) {
        defer_missing(subscription);
    }
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
        append_other(nullptr, event);
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
    if (closed_ || replies_ >= limits_.count || cost > limits_.bytes - reply_bytes_) return false;
    try {
        append_other(nullptr, event);
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
        if (deferred_outcomes_.empty()) return append_other(nullptr, event);
    } catch (const std::bad_alloc&) {
    }
    deferred_outcomes_.add(event);  // also while others wait there: outcomes keep their order
}

// Puts the event where it belongs; changes nothing if it throws std::bad_alloc.
void Inbox::push_other(Subscription& subscription, Event& event) {
    if (event.kind == EventKind::ended) return append_other(&subscription, event);
    if (states_ >= limits_.count) return fold(Where::back, subscription, event);
    append_other(&subscription, event);
    end_folding(subscription);
}

// Changes nothing if it throws std::bad_alloc.
void Inbox::append_other(Subscription* subscription, Event& event) {
    Places* const places = conflation_ && subscription ? &make_places(*subscription) : nullptr;
    others_.make_room();
    queue_.make_room();
    states_ += is_state(event.kind) || event.kind == EventKind::gap ? 1 : 0;
    others_.push_back({std::move(event), subscription});
    queue_.push_back({nullptr, subscription});
    if (places) places->behind_states = back_place();
}

// ---- waking --------------------------------------------------------------------------------------------------------

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

// ---- the consumer --------------------------------------------------------------------------------------------------

// The message at the queue's front; what it cost is still to be taken off.
Message* Inbox::pop_message() {
    const auto [message, subscription] = queue_.pop_front();
    if (conflation_) conflation_->removed(*subscription, *message, queue_first_);
    ++queue_first_;
    --messages_;
    return message;
}

Inbox::Other Inbox::pop_other() {
    queue_.pop_front();
    ++queue_first_;
    ++others_first_;
    Other other = others_.pop_front();
    states_ -= is_state(other.event.kind) || other.event.kind == EventKind::gap ? 1 : 0;
    return other;
}

// Moves up to `capacity` of what waits into the batch; whether more waits. Throws std::bad_alloc, having taken nothing,
// unless the batch has had room for as many before.
bool Inbox::take(Batch& batch, std::size_t capacity) {
    batch.places.clear();
    batch.events.clear();
    batch.places.reserve(capacity);
    batch.events.reserve(std::min(capacity, events_max));
    std::lock_guard lock(mutex_);
    while (batch.places.size() < capacity && batch.events.size() < events_max) {
        if (front_.empty() && !conflation_) {  // messages in a row
            const std::size_t most = std::min(capacity - batch.places.size(), queue_.run());
            const Delivery* const row = most > 0 ? &queue_.front() : nullptr;
            std::size_t count = 0;
            while (count < most && row[count].message) ++count;
            if (count > 0) {
                batch.places.insert(batch.places.end(), row, row + count);
                queue_.drop(count);
                queue_first_ += count;
                messages_ -= count;
                continue;
            }
        }
        if (queue_.size() > ahead) __builtin_prefetch(queue_[ahead].subscription);
        if (!take_one(batch)) break;
    }
    // What they cost is left to drain(), unless those that come meanwhile would find no room.
    if (bytes_ > limits_.bytes / 2) bytes_ -= released_bytes_.exchange(0, std::memory_order_relaxed);
    batch.settled = bytes_ > limits_.bytes / 2;
    if (batch.settled)
        for (const Delivery& place : batch.places) bytes_ -= place.message ? place.message->cost() : 0;
    if (outcomes_ == 0) deferred_outcomes_.shrink();
    if (!empty()) return true;
    bell_.silence();
    return false;
}

// What is oldest; false when there is nothing.
bool Inbox::take_one(Batch& batch) {
    if (!front_.empty()) {
        Other other = front_.pop_front();
        ++front_first_;
        const bool next_is_its = front_.empty() && !queue_.empty() && queue_.front().subscription == other.subscription;
        if (next_is_its && other.event.kind == EventKind::gap && conflation_ &&
            conflation_->replaced_at(queue_first_) > 0) {  // one GAP for one place
            add_to_gap(other.event, overflow_gap(nullptr, conflation_->take_replaced(queue_first_)));
            other.subscription->metrics().gaps.sub();
        }
        took(batch, std::move(other));
    } else if (!queue_.empty()) {
        Subscription* const subscription = queue_.front().subscription;
        if (!queue_.front().message)
            took(batch, pop_other());
        else if (conflation_ && conflation_->replaced_at(queue_first_) > 0)
            took(batch,
                 {overflow_gap(subscription->user_data(), conflation_->take_replaced(queue_first_)), subscription});
        else
            batch.places.push_back({pop_message(), subscription});
    } else if (!deferred_outcomes_.empty()) {
        took(batch, {deferred_outcomes_.pop(), nullptr});
    } else {
        Other other;
        if (!deferred_.pop(other.event, other.subscription)) return false;
        took(batch, std::move(other));
    }
    return true;
}

void Inbox::took(Batch& batch, Other&& other) {
    if (other.event.kind == EventKind::reply) {
        --replies_;
        reply_bytes_ -= other.event.message->cost();
    } else if (!other.subscription)
        --(is_outcome(other.event.kind) ? outcomes_ : engine_events_);
    else if (other.event.kind == EventKind::ended)
        other.subscription->deferred.next = std::exchange(batch.ended, other.subscription);
    if (other.subscription) forget_places(*other.subscription);
    batch.places.push_back({nullptr, other.subscription});
    batch.events.push_back(std::move(other.event));
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
    const auto discard = [](Other other) {
        if (other.subscription && other.event.kind == EventKind::ended) other.subscription->release();
    };
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
        if (conflation_) conflation_->clear();
        MessageReleaser messages;
        while (!front_.empty()) discard(front_.pop_front());
        while (!queue_.empty()) messages.release(queue_.pop_front().message);
        while (!others_.empty()) discard(others_.pop_front());
        front_.clear();
        queue_.clear();
        others_.clear();
        deferred_.clear();
        deferred_outcomes_.clear();
        messages_ = bytes_ = states_ = replies_ = reply_bytes_ = 0;
        released_bytes_.store(0, std::memory_order_relaxed);
    }
    bell_.notify();
}

InboxStats Inbox::stats() const {
    std::lock_guard lock(mutex_);
    const std::size_t replaced = conflation_ ? conflation_->replaced_places() : 0;
    return {front_.size() + queue_.size() + replaced + deferred_.count() + deferred_outcomes_.count(),
            bytes_ - released_bytes_.load(std::memory_order_relaxed), drained_.load(std::memory_order_relaxed),
            dropped_};
}

}  // namespace fanwire::core
