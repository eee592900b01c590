#include "core/fanout/inbox.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/base/clock.h"

namespace fanwire::core {

namespace {

bool is_state(EventKind kind) {
    return kind == EventKind::active || kind == EventKind::lost || kind == EventKind::resumed ||
           kind == EventKind::failed;
}

constexpr std::size_t late_kept_max = 4096;  // more slots for outcomes than this are given back when none is outstanding

// What a message counts against the limit of bytes.
std::size_t cost_of(const Event& event) { return event.kind == EventKind::message ? event.message->cost() : 0; }

Event overflow_gap(void* user_data, std::uint64_t count) {
    Event gap = Event::of(EventKind::gap);
    gap.reason = GapReason::overflow;
    gap.user_data = user_data;
    gap.count = count;
    return gap;
}

std::uint64_t missing_of(const Subscription::Unsaid& unsaid) {
    return unsaid.missing == Subscription::unsaid_unknown ? count_unknown : unsaid.missing;
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

bool Inbox::push(Subscription& subscription, Event event) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (event.kind == EventKind::ended) subscription.retain();  // given back by the drain
    try {
        const bool folds = event.kind == EventKind::message ? limits_.overflow == Overflow::drop_newest
                                                            : event.kind != EventKind::ended;
        if (folds && full(event)) make_places(subscription);  // before anything is said
        if (say_unsaid())
            take(subscription, event);
        else
            note(subscription, event);
    } catch (const std::bad_alloc&) {
        note(subscription, event);
    }
    return become_signalled();
}

bool Inbox::push_missing(Subscription& subscription) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++dropped_;
    subscription.metrics().dropped.add();
    subscription.metrics().gaps.add();
    Event gap = overflow_gap(subscription.user_data(), 1);
    try {
        make_places(subscription);  // first: what is unsaid is said only where this can follow
        if (say_unsaid())
            fold(queue_, queue_first_, subscription, gap);
        else
            note(subscription, gap);
    } catch (const std::bad_alloc&) {
        note(subscription, gap);
    }
    return become_signalled();
}

// Puts the event where it belongs; changes nothing if it throws std::bad_alloc.
void Inbox::take(Subscription& subscription, Event& event) {
    if (event.kind == EventKind::ended) return append(&subscription, event);
    if (event.kind == EventKind::message && limits_.overflow != Overflow::drop_newest &&
        cost_of(event) <= limits_.bytes) {
        if (limits_.overflow == Overflow::conflate && full(event) && conflate(subscription, event)) return;
        while (full(event)) push_out_oldest();
    }
    if (full(event)) {
        fold(queue_, queue_first_, subscription, event);
        return;
    }
    const bool message = event.kind == EventKind::message;
    append(&subscription, event);
    if (Places* const places = places_of(subscription)) places->at_back = {};  // what follows stands behind this event
    if (message) subscription.metrics().delivered.add();
}

bool Inbox::push(Event event) noexcept {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (event.kind == EventKind::published) {
        push_outcome(event);
        return become_signalled();
    }
    if (engine_events_ >= engine_events_max) return false;
    try {
        append(nullptr, event);
    } catch (const std::bad_alloc&) {
        return false;
    }
    ++engine_events_;
    return become_signalled();
}

// Changes nothing if it throws std::bad_alloc.
void Inbox::append(Subscription* subscription, Event& event) {
    const bool message = event.kind == EventKind::message;
    const bool conflates = limits_.overflow == Overflow::conflate && subscription;
    if (conflates && !message) make_places(*subscription);
    queue_.emplace_back();
    const bool state = is_state(event.kind) || event.kind == EventKind::gap;
    messages_ += message ? 1 : 0;
    states_ += state ? 1 : 0;
    bytes_ += cost_of(event);
    queue_.back() = {std::move(event), subscription};
    if (!conflates) return;
    const std::uint64_t place = queue_first_ + queue_.size() - 1;
    if (!message) {
        places_of(*subscription)->behind_states = place + 1;
        return;
    }
    // The key is a view of the message it leads to: it must not outlive that, so the former one goes first.
    const Latest key{subscription, queue_.back().event.message->channel()};
    latest_.erase(key);
    try {
        latest_.emplace(key, place);
    } catch (const std::bad_alloc&) {  // nothing will take its place
    }
}

// Puts the message in the place of the newest of its channel; false when there is none that it may replace.
bool Inbox::conflate(Subscription& subscription, Event& event) {
    const auto found = latest_.find({&subscription, event.message->channel()});
    if (found == latest_.end() || has_state_behind(found->second, subscription)) return false;
    const std::uint64_t place = found->second;
    Entry& entry = queue_[place - queue_first_];
    // A larger one has to make room like any other, or it might push out itself.
    if (bytes_ - cost_of(entry.event) + cost_of(event) > limits_.bytes) return false;
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
    return true;
}

void Inbox::forget_latest(const Entry& entry, std::uint64_t place) {
    if (entry.event.kind != EventKind::message) return;
    const auto found = latest_.find({entry.subscription, entry.event.message->channel()});
    if (found != latest_.end() && found->second == place) latest_.erase(found);
}

// Into the slot that reserve_outcome() has kept.
void Inbox::add_late(const Event& event) noexcept {
    late_.erase(late_.begin(), late_.begin() + static_cast<std::ptrdiff_t>(std::exchange(said_late_, 0)));
    late_.push_back({event.user_data, event.status, event.count});
}

// There is no memory for an entry: the subscription itself keeps what has to be said.
void Inbox::note(Subscription& subscription, const Event& event) noexcept {
    constexpr std::uint32_t unsaid_unknown = Subscription::unsaid_unknown;
    Subscription::Unsaid& unsaid = subscription.unsaid;
    if (event.kind == EventKind::ended) {
        unsaid.ended = true;
        unsaid.ended_status = static_cast<std::uint8_t>(event.status);
    } else if (is_state(event.kind)) {
        unsaid.state = static_cast<std::uint8_t>(event.kind) & 7;
        unsaid.state_status = static_cast<std::uint8_t>(event.status);
    } else {
        const bool message = event.kind == EventKind::message;
        const bool first = unsaid.gap == GapReason::none;
        if (message) {
            ++dropped_;
            subscription.metrics().dropped.add();
        }
        Event gap = Event::of(EventKind::gap);
        gap.reason = !first ? unsaid.gap : message ? GapReason::overflow : event.reason;
        gap.count = missing_of(unsaid);
        add_to_gap(gap, event);
        if (message && first) subscription.metrics().gaps.add();
        if (!message && !first) subscription.metrics().gaps.sub();
        unsaid.gap = gap.reason;
        unsaid.missing = gap.count < unsaid_unknown ? static_cast<std::uint32_t>(gap.count) : unsaid_unknown;
    }
    if (unsaid.listed) return;
    unsaid.listed = true;
    unsaid.next = nullptr;
    (unsaid_first_ ? unsaid_last_->unsaid.next : unsaid_first_) = &subscription;
    unsaid_last_ = &subscription;
}

// The next thing that is still to be said of the first subscription in the list; false when there is none.
bool Inbox::pop_unsaid(Entry& entry) noexcept {
    while (unsaid_first_) {
        Subscription& subscription = *unsaid_first_;
        Subscription::Unsaid& unsaid = subscription.unsaid;
        entry.subscription = &subscription;
        entry.event = {};
        entry.event.user_data = subscription.user_data();
        if (unsaid.gap != GapReason::none) {
            entry.event.kind = EventKind::gap;
            entry.event.reason = unsaid.gap;
            entry.event.count = missing_of(unsaid);
            unsaid.gap = GapReason::none;
            unsaid.missing = 0;
            return true;
        }
        if (unsaid.state != 0) {
            entry.event.kind = static_cast<EventKind>(unsaid.state);
            entry.event.status = static_cast<Status>(unsaid.state_status);
            unsaid.state = 0;
            return true;
        }
        unsaid_first_ = unsaid.next;
        unsaid.listed = false;
        if (!unsaid.ended) continue;
        unsaid.ended = false;
        entry.event.kind = EventKind::ended;
        entry.event.status = static_cast<Status>(unsaid.ended_status);
        return true;
    }
    return false;
}

// Makes entries of what is unsaid, now that there may be memory; false when there still is not.
bool Inbox::say_unsaid() noexcept {
    while (unsaid_first_) {
        try {
            queue_.emplace_back();
        } catch (const std::bad_alloc&) {
            return false;
        }
        Entry& entry = queue_.back();
        if (!pop_unsaid(entry)) {
            queue_.pop_back();
            break;
        }
        if (Places* const places = places_of(*entry.subscription)) {
            places->at_back = {};
            places->behind_states = queue_first_ + queue_.size();
        } else if (limits_.overflow == Overflow::conflate) {
            latest_.clear();  // there is no place to say what may not be replaced: nothing is
        }
        states_ += entry.event.kind != EventKind::ended ? 1 : 0;
    }
    return true;
}

std::size_t Inbox::count_unsaid() const {
    std::size_t count = late_.size() - said_late_;
    for (const Subscription* one = unsaid_first_; one; one = one->unsaid.next)
        count += (one->unsaid.gap != GapReason::none ? 1u : 0u) + (one->unsaid.state != 0 ? 1u : 0u) +
                 (one->unsaid.ended ? 1u : 0u);
    return count;
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

// Moves the queue's oldest entry out of the counted part, folded if it may be. Changes nothing if it throws
// std::bad_alloc.
void Inbox::push_out_oldest() {
    Entry& oldest = queue_.front();
    Subscription* const subscription = oldest.subscription;
    if (!subscription || oldest.event.kind == EventKind::ended) {
        front_.emplace_back();
        front_.back() = pop_queue();
        return;
    }
    const bool wanted = !subscription->given_up();
    if (oldest.conflated > 0) {
        Event gap = overflow_gap(oldest.event.user_data, oldest.conflated);
        if (wanted) fold(front_, front_first_, *subscription, gap);
        take_conflated(oldest);
    }
    if (wanted) {
        Event event = oldest.event;
        fold(front_, front_first_, *subscription, event);
    }
    pop_queue();
}

// Puts the event into the entry that stands for its like, or makes that entry at the end of `into`; changes nothing if it
// throws std::bad_alloc.
void Inbox::fold(std::deque<Entry>& into, std::uint64_t first, Subscription& subscription, Event& event) {
    Places& all = make_places(subscription);
    FoldPlaces& places = &into == &front_ ? all.at_front : all.at_back;
    const bool state = is_state(event.kind), message = event.kind == EventKind::message;
    std::uint64_t& place = state ? places.state : places.gap;
    const bool found = place >= first;  // still there
    if (!found) into.emplace_back();
    if (message) {
        ++dropped_;
        subscription.metrics().dropped.add();
        if (&into == &front_) subscription.metrics().delivered.sub();  // it was, and is no longer
    }
    if (found) {
        Event& kept = into[place - first].event;
        if (state)
            kept = std::move(event);
        else
            add_to_gap(kept, event);
        if (!state && !message) subscription.metrics().gaps.sub();  // two have become one
        return;
    }
    if (message) {
        event = overflow_gap(event.user_data, 1);
        subscription.metrics().gaps.add();
    }
    into.back() = {std::move(event), &subscription};
    place = first + into.size() - 1;
    if (&into != &queue_) return;
    ++states_;
    all.behind_states = place + 1;
}

Inbox::Places& Inbox::make_places(Subscription& subscription) {
    if (Places* const there = places_of(subscription)) return *there;
    if (free_places_ == 0) {
        places_.emplace_back();
        subscription.places = static_cast<std::uint32_t>(places_.size());
    } else {
        subscription.places = free_places_;
        free_places_ = static_cast<std::uint32_t>(places_[free_places_ - 1].behind_states);
        places_[subscription.places - 1] = {};
    }
    ++used_places_;
    return places_[subscription.places - 1];
}

// When none of them is that of an entry any more.
void Inbox::forget_places(Subscription& subscription) noexcept {
    Places* const places = places_of(subscription);
    if (!places) return;
    if (std::max(places->at_front.gap, places->at_front.state) >= front_first_ ||
        std::max(places->at_back.gap, places->at_back.state) >= queue_first_ || places->behind_states > queue_first_)
        return;
    places->behind_states = std::exchange(free_places_, std::exchange(subscription.places, 0));
    if (--used_places_ > 0) return;
    free_places_ = 0;
    places_.clear();
}

// Whether something of it that is no message stands behind that place.
bool Inbox::has_state_behind(std::uint64_t place, const Subscription& subscription) {
    const Places* const places = places_of(subscription);
    return places && place < places->behind_states;
}

void Inbox::signal() noexcept {
    {
        std::lock_guard lock(mutex_);
        if (!std::exchange(signal_is_due_, false) || closed_ || empty()) return;
        if (pollable_) pollable_->set();
    }
    arrived_.notify_all();
    std::lock_guard lock(wake_mutex_);
    if (wake_) wake_();
}

bool Inbox::settle(std::span<const Settled> publishes, const Error& error) noexcept {
    bool wake = false;
    if (error) {
        for (const Settled& publish : publishes) {
            Event event = Event::of(EventKind::published, error);
            event.user_data = publish.user_data;
            event.count = publish.receivers;
            wake |= push(std::move(event));
        }
        return wake;
    }
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    for (const Settled& publish : publishes) {
        Event event = Event::of(EventKind::published);
        event.user_data = publish.user_data;
        event.count = publish.receivers;
        push_outcome(event);
    }
    return become_signalled();
}

// Needs no memory, since it has its slot.
void Inbox::push_outcome(Event& event) noexcept {
    try {
        if (said_late_ == late_.size()) return append(nullptr, event);
    } catch (const std::bad_alloc&) {
    }
    add_late(event);  // also while others wait there: outcomes keep their order
}

bool Inbox::reserve_outcome() {
    std::lock_guard lock(mutex_);
    if (outcomes_ >= outcomes_max) return false;
    if (late_.capacity() <= outcomes_) late_.reserve(std::max<std::size_t>(16, outcomes_ * 2));
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
        {  // one GAP for one place
            add_to_gap(entry.event, take_conflated(queue_.front()));
            entry.subscription->metrics().gaps.sub();
        }
        return true;
    }
    if (!queue_.empty()) {
        if (queue_.front().conflated > 0) {
            Subscription* const subscription = queue_.front().subscription;
            entry = {take_conflated(queue_.front()), subscription};
        } else {
            entry = pop_queue();
        }
        return true;
    }
    if (said_late_ < late_.size()) {
        const LateOutcome& late = late_[said_late_++];
        entry = {};
        entry.event.kind = EventKind::published;
        entry.event.user_data = late.user_data;
        entry.event.status = late.status;
        entry.event.count = late.receivers;
        if (said_late_ == late_.size()) {
            late_.clear();
            said_late_ = 0;
        }
        return true;
    }
    return pop_unsaid(entry);
}

void Inbox::drain(std::vector<Event>& events, std::size_t capacity, std::vector<SubscriptionRef>* owners) {
    Subscription* ended = nullptr;  // of the unsaid list they have left
    {
        std::lock_guard lock(mutex_);
        // Room first, so that nothing popped is lost.
        const std::size_t most =
            std::min(capacity, events.size() + front_.size() + queue_.size() + conflated_entries_ + count_unsaid());
        events.reserve(most);
        if (owners) owners->reserve(most);
        Entry entry;
        DeliveryTimes times;
        while (events.size() < capacity && pop(entry)) {
            const bool last = entry.event.kind == EventKind::ended;
            if (entry.subscription && entry.event.kind != EventKind::message) forget_places(*entry.subscription);
            if (!entry.subscription) {
                --(entry.event.kind == EventKind::published ? outcomes_ : engine_events_);
            } else if (last) {
                entry.subscription->unsaid.next = std::exchange(ended, entry.subscription);
            } else if (entry.subscription->given_up()) {
                continue;
            } else if (entry.event.kind == EventKind::message) {
                times.add(entry.subscription->metrics(), entry.event.message->received_us());
            }
            events.push_back(std::move(entry.event));
            if (owners) owners->push_back(SubscriptionRef::share(entry.subscription));
            ++drained_;
        }
        if (outcomes_ == 0 && late_.capacity() > late_kept_max) std::vector<LateOutcome>().swap(late_);
        if (empty()) {
            signalled_ = false;
            if (pollable_) pollable_->clear();
        }
    }
    while (ended) {
        Subscription* const subscription = std::exchange(ended, ended->unsaid.next);
        subscription->release();
    }
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
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
        latest_.clear();
        discard(front_);
        discard(queue_);
        while (unsaid_first_) {
            Subscription* const subscription = std::exchange(unsaid_first_, unsaid_first_->unsaid.next);
            const bool ended = std::exchange(subscription->unsaid, Subscription::Unsaid{}).ended;
            if (ended) subscription->release();
        }
        late_.clear();
        said_late_ = 0;
        messages_ = bytes_ = states_ = conflated_entries_ = 0;
    }
    arrived_.notify_all();
}

// Subscriptions that end here are destroyed under the mutex: what they own calls nothing of ours.
void Inbox::discard(std::deque<Entry>& entries) {
    for (Entry& entry : entries)
        if (entry.subscription && entry.event.kind == EventKind::ended) entry.subscription->release();
    entries.clear();
}

InboxStats Inbox::stats() const {
    std::lock_guard lock(mutex_);
    return {front_.size() + queue_.size() + conflated_entries_ + count_unsaid(), bytes_, drained_, dropped_};
}

}  // namespace fanwire::core
