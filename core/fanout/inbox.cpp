#include "core/fanout/inbox.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"

namespace fanwire::core {

namespace {

bool is_state(EventKind kind) {
    return kind == EventKind::active || kind == EventKind::lost || kind == EventKind::resumed ||
           kind == EventKind::failed;
}

// What a message counts against the limit of bytes.
std::size_t cost_of(const Event& event) { return event.kind == EventKind::message ? event.message->cost() : 0; }

Event overflow_gap(void* user_data, std::uint64_t count) {
    Event gap = Event::of(EventKind::gap);
    gap.reason = GapReason::overflow;
    gap.user_data = user_data;
    gap.count = count;
    return gap;
}

void add_to_gap(Event& gap, const Event& dropped) {
    if (dropped.kind == EventKind::message) {
        if (gap.count != count_unknown) ++gap.count;
    } else if (gap.count == count_unknown || dropped.count == count_unknown) {
        // An overflow's count would be known, so one of the two is due to a break.
        if (gap.reason == GapReason::overflow) gap.reason = dropped.reason;
        gap.count = count_unknown;
    } else {
        gap.count += dropped.count;
    }
}

// Adds up the times from reading to draining: messages of one read come in a row and took the same time.
class DeliveryTimes {
   public:
    ~DeliveryTimes() { flush(); }
    void add(Metrics& metrics, std::uint64_t received_us) {
        if (&metrics != metrics_ || received_us != received_us_) {
            flush();
            metrics_ = &metrics;
            received_us_ = received_us;
        }
        ++count_;
    }

   private:
    void flush() {
        if (count_ == 0) return;
        if (now_ == 0) now_ = now_us();
        metrics_->delivery_latency.add(now_ > received_us_ ? now_ - received_us_ : 0, std::exchange(count_, 0));
    }

    Metrics* metrics_ = nullptr;
    std::uint64_t received_us_ = 0, count_ = 0, now_ = 0;
};

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
    if (event.kind == EventKind::message && limits_.overflow != Overflow::drop_newest &&
        cost_of(event) <= limits_.bytes) {
        if (limits_.overflow == Overflow::conflate && full(event) && conflate(subscription, event))
            return become_signalled();
        while (full(event)) push_out_oldest();
    }
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
    if (limits_.overflow != Overflow::conflate || !subscription) return;
    const std::uint64_t place = queue_first_ + queue_.size() - 1;
    if (!message) {
        subscription->behind_states = place + 1;
        return;
    }
    // The key is a view of the message it leads to: it must not outlive that, so the former one goes first.
    const Latest key{subscription, queue_.back().event.message->channel()};
    latest_.erase(key);
    latest_.emplace(key, place);
}

// Puts the message in the place of the newest of its channel; false when there is none that it may replace.
bool Inbox::conflate(Subscription& subscription, Event& event) {
    const auto found = latest_.find({&subscription, event.message->channel()});
    if (found == latest_.end() || found->second < subscription.behind_states) return false;
    const std::uint64_t place = found->second;
    Entry& entry = queue_[place - queue_first_];
    const Latest key{&subscription, event.message->channel()};
    auto node = latest_.extract(found);
    node.key() = key;
    bytes_ += cost_of(event);
    bytes_ -= cost_of(entry.event);
    entry.event = std::move(event);
    latest_.insert(std::move(node));
    if (entry.conflated++ == 0) {
        ++conflated_entries_;
        subscription.metrics().gaps.add();
    }
    ++dropped_;
    subscription.metrics().dropped.add();
    while (bytes_ > limits_.bytes) push_out_oldest();
    return true;
}

void Inbox::forget_latest(const Entry& entry, std::uint64_t place) {
    if (entry.event.kind != EventKind::message) return;
    const auto found = latest_.find({entry.subscription, entry.event.message->channel()});
    if (found != latest_.end() && found->second == place) latest_.erase(found);
}

Inbox::Entry Inbox::pop_queue() {
    if (limits_.overflow == Overflow::conflate) forget_latest(queue_.front(), queue_first_);
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
    if (!entry.subscription || entry.event.kind == EventKind::ended) {
        front_.push_back(std::move(entry));
        return;
    }
    Subscription& subscription = *entry.subscription;
    const bool conflated = entry.conflated > 0;
    Event gap = conflated ? take_conflated(entry) : Event();
    if (subscription.given_up()) return;
    if (conflated) fold(front_, front_first_, subscription.at_front, subscription, std::move(gap));
    fold(front_, front_first_, subscription.at_front, subscription, std::move(entry.event));
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
        event = overflow_gap(event.user_data, 1);
        subscription.metrics().gaps.add();
    }
    into.push_back({std::move(event), &subscription});
    place = first + into.size() - 1;
    if (&into != &queue_) return;
    ++states_;
    subscription.behind_states = place + 1;
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

// The GAP that stands before the entry; from now on none does.
Event Inbox::take_conflated(Entry& entry) {
    --conflated_entries_;
    return overflow_gap(entry.event.user_data, std::exchange(entry.conflated, 0));
}

bool Inbox::pop(Entry& entry) {
    if (!front_.empty()) {
        entry = std::move(front_.front());
        front_.pop_front();
        ++front_first_;
        const bool next_is_its = front_.empty() && !queue_.empty() && queue_.front().subscription == entry.subscription;
        if (next_is_its && entry.event.kind == EventKind::gap && queue_.front().conflated > 0)
            add_to_gap(entry.event, take_conflated(queue_.front()));  // one GAP for one place
        return true;
    }
    if (queue_.empty()) return false;
    if (queue_.front().conflated > 0) {
        Subscription* subscription = queue_.front().subscription;
        entry = {take_conflated(queue_.front()), subscription};
        return true;
    }
    entry = pop_queue();
    return true;
}

void Inbox::drain(std::vector<Event>& events, std::size_t capacity, std::vector<SubscriptionRef>* owners) {
    std::vector<Subscription*> ended;
    {
        std::lock_guard lock(mutex_);
        // Room first, so that nothing popped is lost.
        const std::size_t most = std::min(capacity, events.size() + front_.size() + queue_.size() + conflated_entries_);
        events.reserve(most);
        if (owners) owners->reserve(most);
        Entry entry;
        DeliveryTimes times;
        while (events.size() < capacity && pop(entry)) {
            const bool last = entry.event.kind == EventKind::ended;
            if (!entry.subscription) {
                --(entry.event.kind == EventKind::published ? outcomes_ : engine_events_);
            } else if (last) {
                ended.push_back(entry.subscription);
            } else if (entry.subscription->given_up()) {
                continue;
            } else if (entry.event.kind == EventKind::message) {
                times.add(entry.subscription->metrics(), entry.event.message->received_us());
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
        latest_.clear();
        messages_ = bytes_ = states_ = conflated_entries_ = 0;
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
    return {front_.size() + queue_.size() + conflated_entries_, bytes_, drained_, dropped_};
}

}  // namespace fanwire::core
