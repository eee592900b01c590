#include "core/fanout/inbox.h"

#include <algorithm>

namespace fanwire::core {

namespace {

bool is_state(EventKind kind) {
    return kind == EventKind::active || kind == EventKind::lost || kind == EventKind::resumed ||
           kind == EventKind::failed;
}

// What a message counts against the limit of bytes.
std::size_t cost_of(const Event& event) { return event.kind == EventKind::message ? event.message->cost() : 0; }

void add_to_gap(Event& gap, const Event& dropped) {
    if (dropped.kind == EventKind::message) {
        if (gap.count != count_unknown) ++gap.count;
    } else if (gap.count == count_unknown || dropped.count == count_unknown) {
        gap.count = count_unknown;
        gap.reason = GapReason::reconnect;  // an overflow's count would be known
    } else {
        gap.count += dropped.count;
    }
}

}  // namespace

Inbox::Inbox(InboxLimits limits, MakePollable make_pollable)
    : limits_(limits), make_pollable_(std::move(make_pollable)) {}

Inbox::~Inbox() { close(); }

bool Inbox::full(const Event& event) const {
    if (event.kind == EventKind::message)
        return messages_ >= limits_.count || bytes_ + cost_of(event) > limits_.bytes;
    return states_ >= limits_.count;
}

bool Inbox::become_signalled() {
    if (std::exchange(signalled_, true)) return false;
    signal_is_due_ = true;
    return true;
}

bool Inbox::push(Subscription& subscription, Event event) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (event.kind == EventKind::ended) {
        subscription.retain();  // given back by the drain
        append(&subscription, std::move(event));
        return become_signalled();
    }
    if (event.kind == EventKind::message && limits_.overflow == Overflow::drop_oldest &&
        cost_of(event) <= limits_.bytes)
        while (full(event)) push_out_oldest();
    if (full(event)) {
        fold(queue_, queue_first_, subscription.at_back, subscription, std::move(event));
    } else {
        subscription.at_back = {};  // what follows stands behind this event
        if (event.kind == EventKind::message) subscription.metrics().delivered.add();
        append(&subscription, std::move(event));
    }
    return become_signalled();
}

bool Inbox::push(Event event) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (event.kind != EventKind::published) {
        if (engine_events_ >= engine_events_max) return false;
        ++engine_events_;
    }
    append(nullptr, std::move(event));
    return become_signalled();
}

void Inbox::append(Subscription* subscription, Event event) {
    const bool message = event.kind == EventKind::message;
    const bool state = is_state(event.kind) || event.kind == EventKind::gap;
    const std::size_t cost = cost_of(event);
    queue_.push_back({std::move(event), subscription});
    messages_ += message ? 1 : 0;
    states_ += state ? 1 : 0;
    bytes_ += cost;
}

Inbox::Entry Inbox::pop_queue() {
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    ++queue_first_;
    messages_ -= entry.event.kind == EventKind::message ? 1 : 0;
    states_ -= is_state(entry.event.kind) || entry.event.kind == EventKind::gap ? 1 : 0;
    bytes_ -= cost_of(entry.event);
    return entry;
}

// Moves the queue's oldest entry out of the counted part, folded if it may be.
void Inbox::push_out_oldest() {
    Entry entry = pop_queue();
    if (!entry.subscription || entry.event.kind == EventKind::ended)
        front_.push_back(std::move(entry));
    else if (!entry.subscription->given_up())
        fold(front_, front_first_, entry.subscription->at_front, *entry.subscription, std::move(entry.event));
}

// Puts the event into the entry that stands for its like, or makes that entry at the end of `into`.
void Inbox::fold(std::deque<Entry>& into, std::uint64_t first, Subscription::FoldPlaces& places,
                 Subscription& subscription, Event event) {
    const bool state = is_state(event.kind);
    if (event.kind == EventKind::message) {
        ++dropped_;
        subscription.metrics().dropped.add();
        if (&into == &front_) subscription.metrics().delivered.sub();  // it was, and is no longer
    }
    std::uint64_t& place = state ? places.state : places.gap;
    if (place >= first) {  // still there
        Event& kept = into[place - first].event;
        if (state)
            kept = std::move(event);
        else
            add_to_gap(kept, event);
        return;
    }
    if (event.kind == EventKind::message) {
        Event gap = Event::of(EventKind::gap);
        gap.reason = GapReason::overflow;
        gap.user_data = event.user_data;
        gap.count = 1;
        event = std::move(gap);
        subscription.metrics().gaps.add();
    }
    into.push_back({std::move(event), &subscription});
    place = first + into.size() - 1;
    if (&into == &queue_) ++states_;
}

void Inbox::signal() {
    {
        std::lock_guard lock(mutex_);
        if (!std::exchange(signal_is_due_, false) || closed_ || empty()) return;
        if (pollable_) pollable_->set();
    }
    arrived_.notify_all();
    std::lock_guard lock(wake_mutex_);
    if (wake_) wake_();
}

bool Inbox::settle(void* user_data, const Outcome& outcome) {
    Event event = Event::of(EventKind::published, outcome.error);
    event.user_data = user_data;
    event.count = outcome.receivers;
    return push(std::move(event));
}

bool Inbox::reserve_outcome() {
    std::lock_guard lock(mutex_);
    if (outcomes_ >= outcomes_max) return false;
    ++outcomes_;
    return true;
}

void Inbox::cancel_outcome() {
    std::lock_guard lock(mutex_);
    --outcomes_;
}

bool Inbox::pop(Entry& entry) {
    if (!front_.empty()) {
        entry = std::move(front_.front());
        front_.pop_front();
        ++front_first_;
        return true;
    }
    if (queue_.empty()) return false;
    entry = pop_queue();
    return true;
}

void Inbox::drain(std::vector<Event>& events, std::size_t capacity, std::vector<SubscriptionRef>* owners) {
    std::vector<Subscription*> ended;
    {
        std::lock_guard lock(mutex_);
        // Room first, so that nothing popped is lost.
        const std::size_t most = std::min(capacity, events.size() + front_.size() + queue_.size());
        events.reserve(most);
        if (owners) owners->reserve(most);
        Entry entry;
        while (events.size() < capacity && pop(entry)) {
            const bool last = entry.event.kind == EventKind::ended;
            if (!entry.subscription) {
                --(entry.event.kind == EventKind::published ? outcomes_ : engine_events_);
            } else if (last) {
                ended.push_back(entry.subscription);
            } else if (entry.subscription->given_up()) {
                continue;
            }
            events.push_back(std::move(entry.event));
            if (owners) owners->push_back(SubscriptionRef::share(entry.subscription));
            ++drained_;
        }
        if (empty()) {
            signalled_ = false;
            if (pollable_) pollable_->clear();
        }
    }
    for (Subscription* subscription : ended) subscription->release();
}

bool Inbox::wait(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    arrived_.wait_until(lock, deadline, [&] { return !empty() || closed_ || interrupted_; });
    return !empty();
}

bool Inbox::wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return !empty() || closed_ || interrupted_; });
    return !empty();
}

void Inbox::interrupt() {
    {
        std::lock_guard lock(mutex_);
        interrupted_ = true;
    }
    arrived_.notify_all();
}

void Inbox::set_wake(Wake wake) {
    std::lock_guard wake_lock(wake_mutex_);
    wake_ = std::move(wake);
    bool waiting;
    {
        std::lock_guard lock(mutex_);
        waiting = !empty();
    }
    if (waiting && wake_) wake_();
}

int Inbox::fd() {
    std::lock_guard lock(mutex_);
    if (!pollable_) {
        pollable_ = make_pollable_();
        if (!empty()) pollable_->set();
    }
    return pollable_->fd();
}

void Inbox::close() {
    std::deque<Entry> front, queue;
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
        front.swap(front_);
        queue.swap(queue_);
        messages_ = bytes_ = states_ = 0;
    }
    arrived_.notify_all();
    discard(front);
    discard(queue);
}

void Inbox::discard(std::deque<Entry>& entries) {
    for (Entry& entry : entries)
        if (entry.subscription && entry.event.kind == EventKind::ended) entry.subscription->release();
}

InboxStats Inbox::stats() const {
    std::lock_guard lock(mutex_);
    return {front_.size() + queue_.size(), bytes_, drained_, dropped_};
}

}  // namespace fanwire::core
