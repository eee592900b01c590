#include "core/fanout/deferred.h"

#include <algorithm>
#include <utility>

#include "core/fanout/gap.h"

namespace fanwire::core {

namespace {

using Deferred = Subscription::Deferred;

std::uint64_t missing_of(const Deferred& deferred) {
    return deferred.missing == Deferred::unknown ? count_unknown : deferred.missing;
}

}  // namespace

void DeferredEvents::add(Subscription& subscription, const Event& event) noexcept {
    Deferred& deferred = subscription.deferred;
    if (event.kind == EventKind::ended) {
        deferred.ended = true;
        deferred.ended_status = static_cast<std::uint8_t>(event.status);
    } else if (is_state(event.kind)) {
        deferred.state = event.kind;
        deferred.state_status = static_cast<std::uint8_t>(event.status);
    } else {
        const bool first = deferred.gap == GapReason::none;
        Event gap = Event::of(EventKind::gap);
        gap.reason = first ? event.reason : deferred.gap;
        gap.count = missing_of(deferred);
        add_to_gap(gap, event);
        if (!first) subscription.metrics().gaps.sub();
        deferred.gap = gap.reason;
        deferred.missing = gap.count < Deferred::unknown ? static_cast<std::uint32_t>(gap.count) : Deferred::unknown;
    }
    list(subscription);
}

void DeferredEvents::list(Subscription& subscription) noexcept {
    if (subscription.deferred.listed) return;
    subscription.deferred.listed = true;
    subscription.deferred.next = nullptr;
    (first_ ? last_->deferred.next : first_) = &subscription;
    last_ = &subscription;
}

bool DeferredEvents::pop(Event& event, Subscription*& subscription) noexcept {
    while (first_) {
        subscription = first_;
        Deferred& deferred = subscription->deferred;
        event = {};
        event.user_data = subscription->user_data();
        if (deferred.gap != GapReason::none) {
            event.kind = EventKind::gap;
            event.reason = std::exchange(deferred.gap, GapReason::none);
            event.count = missing_of(deferred);
            deferred.missing = 0;
            return true;
        }
        if (deferred.state != Deferred::no_state) {
            event.kind = deferred.state;
            deferred.state = Deferred::no_state;
            event.status = static_cast<Status>(deferred.state_status);
            return true;
        }
        first_ = deferred.next;
        deferred.listed = false;
        if (!deferred.ended) continue;
        deferred.ended = false;
        event.kind = EventKind::ended;
        event.status = static_cast<Status>(deferred.ended_status);
        return true;
    }
    return false;
}

std::size_t DeferredEvents::count() const {
    std::size_t count = 0;
    for (const Subscription* one = first_; one; one = one->deferred.next)
        count += (one->deferred.gap != GapReason::none ? 1u : 0u) +
                 (one->deferred.state != Deferred::no_state ? 1u : 0u) + (one->deferred.ended ? 1u : 0u);
    return count;
}

void DeferredEvents::clear() noexcept {
    while (first_) {
        Subscription* const subscription = std::exchange(first_, first_->deferred.next);
        if (std::exchange(subscription->deferred, Deferred{}).ended) subscription->release();
    }
}

void DeferredOutcomes::reserve(std::size_t count) {
    if (outcomes_.capacity() < count) outcomes_.reserve(std::max<std::size_t>({16, count, outcomes_.capacity() * 2}));
}

void DeferredOutcomes::add(const Event& event) noexcept {
    outcomes_.erase(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(std::exchange(taken_, 0)));
    const bool lost = event.kind == EventKind::numsub && event.status == Status::OK;  // the numbers themselves
    outcomes_.push_back(
        {event.user_data, event.count, event.delay_ms, lost ? Status::NO_MEMORY : event.status, event.kind});
}

Event DeferredOutcomes::pop() noexcept {
    const Outcome& outcome = outcomes_[taken_++];
    Event event = Event::of(outcome.kind);
    event.user_data = outcome.user_data;
    event.status = outcome.status;
    event.count = outcome.count;
    event.delay_ms = outcome.missing;
    if (empty()) clear();
    return event;
}

void DeferredOutcomes::shrink() noexcept {
    if (outcomes_.capacity() > kept_max) std::vector<Outcome>().swap(outcomes_);
}

}  // namespace fanwire::core
