// How the GAPs of an inbox are made and joined.
#pragma once

#include "core/fanout/event.h"

namespace fanwire::core {

inline bool is_state(EventKind kind) {
    return kind == EventKind::active || kind == EventKind::lost || kind == EventKind::resumed ||
           kind == EventKind::failed;
}

inline Event overflow_gap(void* user_data, std::uint64_t count) {
    Event gap = Event::of(EventKind::gap);
    gap.reason = GapReason::overflow;
    gap.user_data = user_data;
    gap.count = count;
    return gap;
}

inline void add_to_gap(Event& gap, const Event& dropped) {
    if (gap.count == count_unknown || dropped.count == count_unknown) {
        // An overflow's count would be known, so one of the two is due to a break.
        if (gap.reason == GapReason::overflow) gap.reason = dropped.reason;
        gap.count = count_unknown;
    } else {
        gap.count += dropped.count;
    }
}

}  // namespace fanwire::core
