// Events that an inbox has no memory to queue. They are kept where there is room in any case, without their texts, and
// drained later. Used under the inbox's mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/fanout/event.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

// Events of subscriptions: each subscription keeps its own, folded into one GAP, the newest state change and ENDED.
class DeferredEvents {
 public:
    bool empty() const { return !first_; }
    // Counts in the metrics of the subscription's engine when two GAPs become one.
    void add(Subscription& subscription, const Event& event) noexcept;
    // Takes the next event of the subscription that has waited longest. Returns false when there is none.
    bool pop(Event& event, Subscription*& subscription) noexcept;
    // Returns how many events pop() has still to return.
    std::size_t count() const;
    // Forgets everything, and releases the references that ENDED events hold.
    void clear() noexcept;

 private:
    void list(Subscription& subscription) noexcept;

    Subscription *first_ = nullptr, *last_ = nullptr;
};

// Outcomes, each in a slot that was reserved when the publish, the question or the request was accepted.
class DeferredOutcomes {
 public:
    bool empty() const { return taken_ == outcomes_.size(); }
    std::size_t count() const { return outcomes_.size() - taken_; }
    // Makes sure that there are slots for this many outcomes. Throws std::bad_alloc, and then has changed nothing.
    void reserve(std::size_t count);
    // There must be a slot.
    void add(const Event& event) noexcept;
    // Returns the oldest. There must be one.
    Event pop() noexcept;
    void clear() {
        outcomes_.clear();
        taken_ = 0;
    }
    // No outcome is outstanding: frees the memory of an exceptional number of slots.
    void shrink() noexcept;

 private:
    static constexpr std::size_t kept_max = 4096;

    struct Outcome {
        void* user_data;
        std::uint64_t count, missing;
        Status status;
        EventKind kind;
    };

    std::vector<Outcome> outcomes_;
    std::size_t taken_ = 0;
};

}  // namespace fanwire::core
