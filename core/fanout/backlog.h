// What waits in an inbox, within its limits: messages and the events that stand among them, and what becomes of them
// when there are too many. It knows no threads, no wakes and no lack of memory: that is the inbox's part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/fanout/event_queue.h"
#include "core/fanout/folding.h"
#include "core/fanout/message_queue.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

class Backlog {
 public:
    // `seed`: as for Conflation.
    Backlog(InboxLimits limits, std::uint64_t seed) : queue_(limits, seed) {}

    const InboxLimits& limits() const { return queue_.limits(); }
    bool empty() const { return front_.empty() && queue_.empty(); }
    std::size_t size() const { return front_.size() + queue_.size(); }
    MessageQueue& queue() { return queue_; }
    const MessageQueue& queue() const { return queue_; }
    // Messages that are counted in GAPs instead.
    std::uint64_t dropped() const { return dropped_; }

    // ---- In: what throws, throws std::bad_alloc, and then has changed nothing ----

    // Appends the leading messages, as far as they need no special care. Returns how many.
    std::size_t append_fitting(const Delivery* deliveries, std::size_t count) noexcept;
    // Folds what there is no room for. Takes over the reference.
    void push(const Delivery& delivery);
    // Folds a state change or a GAP when too many wait.
    void push(Subscription& subscription, Event& event);
    // An event of no subscription.
    void push(Event& event) { append_event(nullptr, event); }
    // A message that could not be made counts as dropped, behind everything.
    void push_missing(Subscription& subscription) { fold_message(End::back, subscription); }
    // For whoever has to do something else between finding memory and pushing: the next push() of this message, event
    // or missing message needs no memory for its subscription's record.
    void prepare(const Delivery& delivery);
    void prepare(Subscription& subscription, const Event& event);
    void prepare_missing(Subscription& subscription) { folding_.reserve(subscription); }
    // After this push_deferred() cannot fail.
    void make_room();
    // An event that was deferred. It is not folded any more.
    void push_deferred(QueuedEvent&& deferred) noexcept;

    // ---- Out ----

    // Moves messages in a row, at most `most`. Returns how many; 0 also when something else comes first.
    std::size_t take_row(std::vector<Delivery>& to, std::size_t most) {
        return front_.empty() && !queue_.conflates() ? queue_.take_row(to, most) : 0;
    }
    // Moves what is oldest: to `message` with its reference, or to `event` if that stays null. There must be something.
    void take_oldest(Delivery& message, QueuedEvent& event);
    // An event of the subscription was taken.
    void forget(Subscription& subscription) noexcept { folding_.forget(subscription, queue_.front_position()); }
    // Forgets everything, with the references that messages and ENDED events hold.
    void clear();

 private:
    using End = Folding::End;

    bool too_many(const Event& event) const { return event.kind != EventKind::ended && states_ >= limits().count; }
    void append_event(Subscription* subscription, Event& event);
    bool conflate(const Delivery& delivery);
    void push_out_oldest();
    void fold(End end, Subscription& subscription, Event& event);
    void fold_message(End end, Subscription& subscription);
    std::uint64_t add_at(End end, Subscription& subscription, Event&& event);
    QueuedEvent pop_event();

    EventQueue front_;  // what was pushed out of queue_: folded and always-kept events, older than everything in it
    MessageQueue queue_;
    EventQueue events_;  // for each slot of queue_ without a message, in order
    Folding folding_{front_, events_};
    std::size_t states_ = 0;  // of events_: state changes and GAPs
    std::uint64_t dropped_ = 0;
};

}  // namespace fanwire::core
