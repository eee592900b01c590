#include "core/fanout/inbox.h"

#include <algorithm>

namespace fanwire::core {

namespace {

bool is_state(EventKind kind) {
    return kind == EventKind::active || kind == EventKind::lost || kind == EventKind::resumed ||
           kind == EventKind::failed;
}

std::size_t cost_of(const Event& event) { return event.message ? event.message->cost() : 0; }

void add_to_gap(Event& gap, const Event& dropped) {
    if (dropped.kind == EventKind::message) {
        if (gap.count != count_unknown) ++gap.count;
    } else if (gap.count == count_unknown || dropped.count == count_unknown) {
        gap.count = count_unknown;
    } else {
        gap.count += dropped.count;
    }
}

}  // namespace

Inbox::Inbox(InboxLimits limits, MakePollable make_pollable)
    : limits_(limits), make_pollable_(std::move(make_pollable)) {}

Inbox::~Inbox() { close(); }

Inbox::Pushed Inbox::push(Subscription& subscription, Event event) {
    std::lock_guard lock(mutex_);
    if (closed_) return {};
    if (event.kind == EventKind::ended) {
        subscription.retain();  // given back by the drain
        return append(&subscription, std::move(event));
    }

    Pushed pushed;
    const std::size_t cost = cost_of(event);
    if (limits_.overflow == Overflow::drop_oldest && cost <= limits_.bytes)
        while (full(cost) && !queue_.empty()) push_out_oldest(pushed);
    if (full(cost)) {
        fold(queue_, queue_first_, subscription.at_back, subscription, std::move(event), pushed);
        pushed.wake = !std::exchange(signalled_, true);
    } else {
        subscription.at_back = {};  // what follows stands behind this event
        pushed.wake = append(&subscription, std::move(event)).wake;
    }
    return pushed;
}

Inbox::Pushed Inbox::push(Event event) {
    std::lock_guard lock(mutex_);
    if (closed_) return {};
    if (event.kind != EventKind::published) {
        if (engine_events_ >= engine_events_max) return {};
        ++engine_events_;
    }
    return append(nullptr, std::move(event));
}

Inbox::Pushed Inbox::append(Subscription* subscription, Event event) {
    bytes_ += cost_of(event);
    queue_.push_back({std::move(event), subscription});
    Pushed pushed;
    pushed.wake = !std::exchange(signalled_, true);
    return pushed;
}

// Moves the queue's oldest entry out of the counted part, folded if it may be.
void Inbox::push_out_oldest(Pushed& pushed) {
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    ++queue_first_;
    bytes_ -= cost_of(entry.event);
    if (!entry.subscription || entry.event.kind == EventKind::ended) {
        front_.push_back(std::move(entry));
    } else if (!entry.subscription->given_up()) {
        fold(front_, front_first_, entry.subscription->at_front, *entry.subscription, std::move(entry.event), pushed);
    }
}

// Puts the event into the entry that stands for its like, or makes that entry at the end of `into`.
void Inbox::fold(std::deque<Entry>& into, std::uint64_t first, Subscription::FoldPlaces& places,
                 Subscription& subscription, Event event, Pushed& pushed) {
    const bool state = is_state(event.kind);
    if (event.kind == EventKind::message) {
        ++dropped_;
        ++pushed.dropped;
    }
    std::uint64_t& place = state ? places.state : places.gap;
    if (place >= first) {  // still there
        Event& kept = into[place - first].event;
        if (state) {
            bytes_ -= &into == &queue_ ? cost_of(kept) : 0;
            kept = std::move(event);
            bytes_ += &into == &queue_ ? cost_of(kept) : 0;
        } else {
            add_to_gap(kept, event);
        }
        return;
    }
    place = first + into.size();
    if (event.kind == EventKind::message) {
        Event gap = Event::of(EventKind::gap);
        gap.reason = GapReason::overflow;
        gap.user_data = event.user_data;
        gap.count = 1;
        event = std::move(gap);
        pushed.gap = true;
    }
    if (&into == &queue_) bytes_ += cost_of(event);
    into.push_back({std::move(event), &subscription});
}

void Inbox::signal() {
    {
        std::lock_guard lock(mutex_);
        if (closed_ || empty()) return;  // drained already
        if (pollable_) pollable_->set();
    }
    arrived_.notify_all();
    std::lock_guard lock(wake_mutex_);
    if (wake_) wake_();
}

void Inbox::settle(void* user_data, const Outcome& outcome) {
    Event event = Event::of(EventKind::published, outcome.error);
    event.user_data = user_data;
    event.count = outcome.receivers;
    if (push(std::move(event)).wake) signal();
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
    entry = std::move(queue_.front());
    queue_.pop_front();
    ++queue_first_;
    bytes_ -= cost_of(entry.event);
    return true;
}

void Inbox::drain(std::vector<Event>& events, std::size_t capacity) {
    std::vector<Subscription*> ended;
    {
        std::lock_guard lock(mutex_);
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
        bytes_ = 0;
    }
    arrived_.notify_all();
    discard(front);
    discard(queue);
}

void Inbox::discard(std::deque<Entry>& entries) {
    for (Entry& entry : entries)
        if (entry.subscription && entry.event.kind == EventKind::ended) entry.subscription->release();
}

bool Inbox::closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
}

InboxStats Inbox::stats() const {
    std::lock_guard lock(mutex_);
    return {front_.size() + queue_.size(), bytes_, drained_, dropped_};
}

}  // namespace fanwire::core
