// What an inbox does when it is full, and when there is no memory: see the head of inbox.h.
#include <utility>

#include "core/fanout/gap.h"
#include "core/fanout/inbox.h"

namespace fanwire::core {

// ---- too much ------------------------------------------------------------------------------------------------------

// Puts the message in the place of the newest of its channel; false when there is none that it may replace.
bool Inbox::conflate(const Delivery& delivery) {
    Subscription& subscription = *delivery.subscription;
    const std::uint64_t place = conflation_->find(subscription, *delivery.message);
    if (place == 0 || has_state_behind(place, subscription)) return false;
    Message*& message = queue_[place - queue_first_].message;
    bytes_ -= released_bytes_.exchange(0, std::memory_order_relaxed);
    // A larger one has to make room like any other, or it might push out itself.
    if (bytes_ - message->cost() + delivery.message->cost() > limits_.bytes) return false;
    const bool first = conflation_->replaced_at(place) == 0;
    conflation_->replaced(subscription, *delivery.message, place);
    bytes_ += delivery.message->cost();
    bytes_ -= message->cost();
    std::exchange(message, delivery.message)->release();
    if (first) subscription.metrics().gaps.add();
    ++dropped_;
    subscription.metrics().dropped.add();
    return true;
}

// Moves what is oldest in the queue out of the counted part, folded if it may be. Changes nothing if it throws
// std::bad_alloc.
void Inbox::push_out_oldest() {
    const auto [message, subscription] = queue_.front();
    if (!message && (!subscription || others_.front().event.kind == EventKind::ended)) {
        front_.make_room();
        front_.push_back(pop_other());
        return;
    }
    const bool wanted = !subscription->abandoned();
    if (!message) {
        Event event = others_.front().event;
        if (wanted) fold(Where::front, *subscription, event);
        pop_other();
        return;
    }
    if (const std::uint64_t replaced = conflation_ ? conflation_->replaced_at(queue_first_) : 0) {
        Event gap = overflow_gap(subscription->user_data(), replaced);
        if (wanted) fold(Where::front, *subscription, gap);
        conflation_->take_replaced(queue_first_);
    }
    if (wanted) fold_message(Where::front, *subscription);
    bytes_ -= message->cost();
    pop_message()->release();
}

// The event that stands for its like in that place, if it is still there.
Event* Inbox::folded(Where where, std::uint64_t place) {
    if (where == Where::front) return place < front_first_ ? nullptr : &front_[place - front_first_].event;
    return place < others_first_ ? nullptr : &others_[place - others_first_].event;
}

// Makes it, at the end; its place. Changes nothing if it throws std::bad_alloc.
std::uint64_t Inbox::add_folded(Where where, Subscription& subscription, Event&& event) {
    if (where == Where::front) {
        front_.make_room();
        front_.push_back({std::move(event), &subscription});
        return front_first_ + front_.size() - 1;
    }
    others_.make_room();
    queue_.make_room();
    others_.push_back({std::move(event), &subscription});
    queue_.push_back({nullptr, &subscription});
    ++states_;
    make_places(subscription).behind_states = back_place();  // has some: see the callers
    return others_first_ + others_.size() - 1;
}

// Puts a state change or a GAP into the one that stands for its like. Changes nothing if it throws std::bad_alloc.
void Inbox::fold(Where where, Subscription& subscription, Event& event) {
    Places& all = make_places(subscription);
    FoldPlaces& places = where == Where::front ? all.at_front : all.at_back;
    const bool state = is_state(event.kind);
    std::uint64_t& place = state ? places.state : places.gap;
    Event* const kept = folded(where, place);
    if (!kept) {
        place = add_folded(where, subscription, std::move(event));
    } else if (state) {
        *kept = std::move(event);
        // The newest state is newer than all that is in the GAP. In front of it, RESUMED would be followed by the GAP
        // of the break that it ends, and whoever is stale from that on would stay so.
        Event* const gap = folded(where, places.gap);
        if (gap && places.state < places.gap) {
            std::swap(*kept, *gap);
            std::swap(places.state, places.gap);
        }
    } else {
        add_to_gap(*kept, event);
        subscription.metrics().gaps.sub();  // two have become one
    }
}

// The same for a message that is dropped: it is one more in the GAP.
void Inbox::fold_message(Where where, Subscription& subscription) {
    Places& all = make_places(subscription);
    FoldPlaces& places = where == Where::front ? all.at_front : all.at_back;
    Metrics& metrics = subscription.metrics();
    if (Event* const kept = folded(where, places.gap)) {
        if (kept->count != count_unknown) ++kept->count;
    } else {
        places.gap = add_folded(where, subscription, overflow_gap(subscription.user_data(), 1));
        metrics.gaps.add();
    }
    ++dropped_;
    metrics.dropped.add();
    if (where == Where::front) metrics.delivered.sub();  // it was, and is no longer
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
        std::max(places->at_back.gap, places->at_back.state) >= others_first_ || places->behind_states > queue_first_)
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

// ---- without memory ------------------------------------------------------------------------------------------------

void Inbox::defer_missing(Subscription& subscription) noexcept {
    ++dropped_;
    subscription.metrics().dropped.add();
    subscription.metrics().gaps.add();
    deferred_.add(subscription, overflow_gap(nullptr, 1));
}

// Queues what is deferred, now that there may be memory. Returns false when there still is none.
bool Inbox::flush_deferred() noexcept {
    while (!deferred_.empty()) {
        try {
            others_.make_room();
            queue_.make_room();
        } catch (const std::bad_alloc&) {
            return false;
        }
        Other other;
        if (!deferred_.pop(other.event, other.subscription)) break;
        states_ += other.event.kind != EventKind::ended ? 1 : 0;
        Subscription* const subscription = other.subscription;
        others_.push_back(std::move(other));
        queue_.push_back({nullptr, subscription});
        if (Places* const places = places_of(*subscription)) {
            places->at_back = {};
            places->behind_states = back_place();
        } else if (conflation_) {
            conflation_->forget_latest();  // there is no record of what may not be replaced: nothing is
        }
    }
    return true;
}

}  // namespace fanwire::core
