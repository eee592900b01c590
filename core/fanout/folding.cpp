#include "core/fanout/folding.h"

#include <algorithm>
#include <utility>

#include "core/fanout/gap.h"

namespace fanwire::core {

bool Folding::fold(End end, Subscription& subscription, Event& event) noexcept {
    Folded& its = folded(end, subscription);
    const bool state = is_state(event.kind);
    Event* const kept = queue(end).find(state ? its.state : its.gap);
    if (!kept) return false;
    if (!state) {
        add_to_gap(*kept, event);
        subscription.metrics().gaps.sub();  // two have become one
        return true;
    }
    *kept = std::move(event);
    // The newest state is newer than all that is in the GAP. In front of it, RESUMED would be followed by the GAP of
    // the break that it ends, and whoever is stale from that on would stay so.
    Event* const gap = queue(end).find(its.gap);
    if (gap && its.state < its.gap) {
        std::swap(*kept, *gap);
        std::swap(its.state, its.gap);
    }
    return true;
}

bool Folding::fold_message(End end, Subscription& subscription) noexcept {
    Event* const gap = queue(end).find(folded(end, subscription).gap);
    if (!gap) return false;
    if (gap->count != count_unknown) ++gap->count;
    return true;
}

void Folding::began(End end, Subscription& subscription, EventKind kind, std::uint64_t position) noexcept {
    Folded& its = folded(end, subscription);
    (is_state(kind) ? its.state : its.gap) = position;
}

bool Folding::event_before(Subscription& subscription, std::uint64_t position) noexcept {
    Record* const record = record_of(subscription);
    if (record) record->behind_events = position;
    return record != nullptr;
}

bool Folding::has_event_behind(std::uint64_t position, const Subscription& subscription) const {
    return subscription.fold_record != 0 && position < records_[subscription.fold_record - 1].behind_events;
}

void Folding::reserve(Subscription& subscription) {
    if (subscription.fold_record != 0) return;
    if (free_ == 0) {
        records_.emplace_back();
        subscription.fold_record = static_cast<std::uint32_t>(records_.size());
    } else {
        subscription.fold_record = free_;
        free_ = static_cast<std::uint32_t>(records_[free_ - 1].behind_events);
        records_[subscription.fold_record - 1] = {};
    }
    ++used_;
}

void Folding::forget(Subscription& subscription, std::uint64_t queue_front) noexcept {
    Record* const record = record_of(subscription);
    if (!record) return;
    if (front_.reaches(std::max(record->at_front.gap, record->at_front.state)) ||
        back_.reaches(std::max(record->at_back.gap, record->at_back.state)) || record->behind_events > queue_front)
        return;
    record->behind_events = std::exchange(free_, std::exchange(subscription.fold_record, 0));
    if (--used_ > 0) return;
    free_ = 0;
    records_.clear();
}

}  // namespace fanwire::core
