#include "core/fanout/backlog.h"

#include "core/fanout/gap.h"

namespace fanwire::core {

namespace {

bool counts_as_state(EventKind kind) {
    return is_state(kind) || kind == EventKind::gap;
}

}  // namespace

std::size_t Backlog::append_fitting(const Delivery* deliveries, std::size_t count) noexcept {
    if (queue_.conflates()) return 0;
    const std::size_t done = queue_.append_fitting(deliveries, count);
    if (done > 0) deliveries->subscription->metrics().delivered.add(done);
    if (folding_.in_use())  // otherwise the subscriptions, each somewhere in memory, need not be looked at
        for (std::size_t i = 0; i < done; ++i) folding_.seal(*deliveries[i].subscription);
    return done;
}

void Backlog::push(const Delivery& delivery) {
    Subscription& subscription = *delivery.subscription;
    const std::size_t cost = delivery.message->cost();
    if (!queue_.fits(cost)) {
        if (limits().overflow == Overflow::drop_newest || cost > limits().bytes) {
            fold_message(End::back, subscription);
            delivery.message->release();
            return;
        }
        if (queue_.conflates() && conflate(delivery)) return;
        while (!queue_.fits(cost)) push_out_oldest();
    }
    queue_.push(delivery);
    folding_.seal(subscription);
    subscription.metrics().delivered.add();
}

void Backlog::push(Subscription& subscription, Event& event) {
    if (too_many(event)) return fold(End::back, subscription, event);
    const bool ended = event.kind == EventKind::ended;
    append_event(&subscription, event);
    if (!ended) folding_.seal(subscription);
}

void Backlog::prepare(const Delivery& delivery) {
    if (limits().overflow == Overflow::drop_newest && !queue_.fits(delivery.message->cost()))
        folding_.reserve(*delivery.subscription);
}

void Backlog::prepare(Subscription& subscription, const Event& event) {
    if (too_many(event)) folding_.reserve(subscription);
}

void Backlog::make_room() {
    events_.make_room();
    queue_.make_room();
}

void Backlog::push_deferred(QueuedEvent&& deferred) noexcept {
    Subscription& subscription = *deferred.subscription;
    states_ += counts_as_state(deferred.event.kind) ? 1 : 0;
    events_.push_back(std::move(deferred));
    queue_.push_event(&subscription);
    folding_.seal(subscription);
    // Without a record of what stands behind them, the messages that are queued may not be replaced.
    if (!folding_.event_before(subscription, queue_.next_position())) queue_.stop_replacing();
}

void Backlog::append_event(Subscription* subscription, Event& event) {
    if (subscription && queue_.conflates()) folding_.reserve(*subscription);
    make_room();
    states_ += counts_as_state(event.kind) ? 1 : 0;
    events_.push_back({std::move(event), subscription});
    queue_.push_event(subscription);
    if (subscription && queue_.conflates()) folding_.event_before(*subscription, queue_.next_position());
}

// Puts the message into the slot of the newest of its channel. Returns false when there is none that it may replace.
bool Backlog::conflate(const Delivery& delivery) {
    Subscription& subscription = *delivery.subscription;
    const std::uint64_t position = queue_.find_alike(delivery);
    if (position == 0 || folding_.has_event_behind(position, subscription)) return false;
    const MessageQueue::Replaced replaced = queue_.replace(position, delivery);
    if (replaced == MessageQueue::Replaced::no) return false;
    if (replaced == MessageQueue::Replaced::first) subscription.metrics().gaps.add();
    ++dropped_;
    subscription.metrics().dropped.add();
    return true;
}

// Moves what is oldest in the queue out of the counted part, folded if it may be.
void Backlog::push_out_oldest() {
    const auto [message, subscription] = queue_.front();
    if (!message && (!subscription || events_.front().event.kind == EventKind::ended)) {
        front_.make_room();
        front_.push_back(pop_event());
        return;
    }
    const bool wanted = !subscription->abandoned();
    if (!message) {
        Event event = events_.front().event;
        if (wanted) fold(End::front, *subscription, event);
        pop_event();
        return;
    }
    if (const std::uint64_t replaced = queue_.replaced_at_front()) {
        Event gap = overflow_gap(subscription->user_data(), replaced);
        if (wanted) fold(End::front, *subscription, gap);
        queue_.take_replaced_at_front();
    }
    if (wanted) fold_message(End::front, *subscription);
    queue_.drop_message();
}

void Backlog::fold(End end, Subscription& subscription, Event& event) {
    folding_.reserve(subscription);
    if (folding_.fold(end, subscription, event)) return;
    const EventKind kind = event.kind;
    folding_.began(end, subscription, kind, add_at(end, subscription, std::move(event)));
}

void Backlog::fold_message(End end, Subscription& subscription) {
    folding_.reserve(subscription);
    Metrics& metrics = subscription.metrics();
    if (!folding_.fold_message(end, subscription)) {
        const std::uint64_t position = add_at(end, subscription, overflow_gap(subscription.user_data(), 1));
        folding_.began(end, subscription, EventKind::gap, position);
        metrics.gaps.add();
    }
    ++dropped_;
    metrics.dropped.add();
    if (end == End::front) metrics.delivered.sub();  // it was, and is no longer
}

// Queues an event of a subscription that has a fold record. Returns its position.
std::uint64_t Backlog::add_at(End end, Subscription& subscription, Event&& event) {
    if (end == End::front) {
        front_.make_room();
        return front_.push_back({std::move(event), &subscription});
    }
    make_room();
    ++states_;
    const std::uint64_t position = events_.push_back({std::move(event), &subscription});
    queue_.push_event(&subscription);
    folding_.event_before(subscription, queue_.next_position());
    return position;
}

QueuedEvent Backlog::pop_event() {
    queue_.pop_event();
    QueuedEvent event = events_.pop_front();
    states_ -= counts_as_state(event.event.kind) ? 1 : 0;
    return event;
}

void Backlog::take_oldest(Delivery& message, QueuedEvent& event) {
    if (!front_.empty()) {
        event = front_.pop_front();
        const bool next_is_its = front_.empty() && !queue_.empty() && queue_.front().subscription == event.subscription;
        if (next_is_its && event.event.kind == EventKind::gap && queue_.replaced_at_front() > 0) {  // one GAP for both
            add_to_gap(event.event, overflow_gap(nullptr, queue_.take_replaced_at_front()));
            event.subscription->metrics().gaps.sub();
        }
        return;
    }
    queue_.prefetch_ahead();
    Subscription* const subscription = queue_.front().subscription;
    if (!queue_.front().message)
        event = pop_event();
    else if (queue_.replaced_at_front() > 0)
        event = {overflow_gap(subscription->user_data(), queue_.take_replaced_at_front()), subscription};
    else
        message = {queue_.pop_message(), subscription};
}

void Backlog::clear() {
    queue_.clear();
    for (EventQueue* const queue : {&front_, &events_}) {
        while (!queue->empty()) {
            const QueuedEvent event = queue->pop_front();
            if (event.subscription && event.event.kind == EventKind::ended) event.subscription->release();
        }
        queue->clear();
    }
    states_ = 0;
}

}  // namespace fanwire::core
