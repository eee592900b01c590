// Events in order, each with a position: a sequence number that stays valid, and is never used again, when the event
// has left the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/fanout/block_queue.h"
#include "core/fanout/event.h"

namespace fanwire::core {

class Subscription;

struct QueuedEvent {
    Event event;
    Subscription* subscription = nullptr;  // null: it is of none
};

class EventQueue {
 public:
    std::size_t size() const { return events_.size(); }
    bool empty() const { return events_.empty(); }
    QueuedEvent& front() { return events_.front(); }

    // After this the next push_back() cannot fail. Throws std::bad_alloc, and then has changed nothing.
    void make_room() { events_.make_room(); }
    // Returns its position, which is never 0. Throws std::bad_alloc, and then has changed nothing.
    std::uint64_t push_back(QueuedEvent event) {
        events_.push_back(std::move(event));
        return first_ + events_.size() - 1;
    }
    QueuedEvent pop_front() {
        ++first_;
        return events_.pop_front();
    }
    // Whether the event at that position, or one that was queued after it, is still there.
    bool reaches(std::uint64_t position) const { return position >= first_; }
    // Returns null when it has left, or for 0.
    Event* find(std::uint64_t position) { return reaches(position) ? &events_[position - first_].event : nullptr; }
    void clear() { events_.clear(); }

 private:
    BlockQueue<QueuedEvent, 16> events_;
    std::uint64_t first_ = 1;  // the position of the front one
};

}  // namespace fanwire::core
