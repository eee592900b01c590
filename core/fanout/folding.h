// What becomes of a subscription's events when an inbox is full: at each end of the queue they are folded into one GAP,
// which counts the dropped messages, and the newest of its state changes, which stands behind the GAP when it is newer.
// So a break is GAP, then RESUMED, however it is folded.
//
// Used under the inbox's mutex. The folded events stand in the queues of the inbox like others; this remembers where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/fanout/event_queue.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

class Folding {
 public:
    enum class End : std::uint8_t { front, back };

    // `front`, `back`: where what is folded stands, at either end of the inbox.
    Folding(EventQueue& front, EventQueue& back) : front_(front), back_(back) {}
    Folding(const Folding&) = delete;
    Folding& operator=(const Folding&) = delete;

    // Gives the subscription a record, which the calls below but seal() and forget() need. Throws std::bad_alloc.
    void reserve(Subscription& subscription);
    // Puts a state change or a GAP into the queued event that stands for its like. Returns false when there is none:
    // the caller queues the event and calls began(). Counts in its engine's metrics that two GAPs have become one.
    bool fold(End end, Subscription& subscription, Event& event) noexcept;
    // The same for a message that is dropped: it is one more in the GAP.
    bool fold_message(End end, Subscription& subscription) noexcept;
    // From now on the event of that kind at that position stands for its like.
    void began(End end, Subscription& subscription, EventKind kind, std::uint64_t position) noexcept;
    // Nothing more is folded into what stands at the back, since something newer is queued behind it.
    void seal(Subscription& subscription) noexcept {
        if (Record* const record = record_of(subscription)) record->at_back = {};
    }
    // Whether any subscription has a record: otherwise none of them need be looked at.
    bool in_use() const { return used_ > 0; }

    // For conflation: an event of the subscription stands in the inbox's queue right before that position there. A
    // subscription without a record has nothing to remember it; returns whether it has one.
    bool event_before(Subscription& subscription, std::uint64_t position) noexcept;
    // Whether an event of the subscription stands behind that position.
    bool has_event_behind(std::uint64_t position, const Subscription& subscription) const;

    // Frees the record once nothing that it remembers is queued any more: `queue_front` is the position of what is
    // oldest in the inbox's queue.
    void forget(Subscription& subscription, std::uint64_t queue_front) noexcept;

 private:
    // Positions in one of the queues; 0: none.
    struct Folded {
        std::uint64_t gap = 0;
        std::uint64_t state = 0;
    };
    struct Record {
        Folded at_front, at_back;
        std::uint64_t behind_events = 0;  // position in the inbox's queue; of a free record: the next free one
    };

    Record* record_of(const Subscription& subscription) {
        return subscription.fold_record == 0 ? nullptr : &records_[subscription.fold_record - 1];
    }
    Folded& folded(End end, const Subscription& subscription) {
        Record& record = *record_of(subscription);
        return end == End::front ? record.at_front : record.at_back;
    }
    EventQueue& queue(End end) { return end == End::front ? front_ : back_; }

    EventQueue& front_;
    EventQueue& back_;
    // In blocks that are freed as a whole: when a link breaks, all subscriptions may have a record for a moment.
    std::deque<Record> records_;
    std::uint32_t free_ = 0;  // 1 + the index of the first free record
    std::size_t used_ = 0;
};

}  // namespace fanwire::core
