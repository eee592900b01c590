// What an inbox has no memory to queue: it is kept where there is room for it in any case, and drained later, without
// its text. Used under the inbox's mutex.
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
    // Counts in its engine's metrics that two GAPs have become one.
    void add(Subscription& subscription, const Event& event) noexcept;
    // The next event of the subscription that comes first. False: there is none.
    bool pop(Event& event, Subscription*& subscription) noexcept;
    // How many pop() would return.
    std::size_t count() const;
    // Forgets all, with the references that ENDED events hold.
    void clear() noexcept;

 private:
    void list(Subscription& subscription) noexcept;

    Subscription *first_ = nullptr, *last_ = nullptr;
};

// Outcomes, each in a slot that was kept for it since the publish, the question or the request was accepted.
class DeferredOutcomes {
 public:
    bool empty() const { return taken_ == outcomes_.size(); }
    std::size_t count() const { return outcomes_.size() - taken_; }
    // Slots for this many. Throws std::bad_alloc, and then has changed nothing.
    void reserve(std::size_t count);
    // There must be a slot.
    void add(const Event& event) noexcept;
    // The oldest; there must be one.
    Event pop() noexcept;
    void clear() {
        outcomes_.clear();
        taken_ = 0;
    }
    // None is outstanding: gives back the memory of an exceptional number of slots.
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
