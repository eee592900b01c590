// A bounded queue of events with one consumer: the one way in which anything leaves the engine.
//
// Producers are the IO threads: they push, and after each batch signal() the inboxes that push() named. The consumer is
// woken once for empty -> non-empty and then drains batches.
//
// Full means: `count` messages or `bytes` of them wait. Then, with drop_oldest, entries leave at the queue's front into
// `front_`; with drop_newest, what comes is folded at the back. With conflate a message takes the place of the newest
// queued one of its subscription and channel, if nothing else of the subscription stands behind that, and the place
// remembers how many it has replaced: a GAP with that count is drained before it. Otherwise conflate is drop_oldest.
// Folding keeps, for each subscription, one GAP that counts the dropped messages and the newest of its state changes,
// which stands behind the GAP when it is newer: a break is GAP, then RESUMED, however it is folded. State changes never
// push out a message: beyond `count` of them they are folded at the back. ENDED and outcomes are always kept. So memory
// stays bounded by the limits plus a few entries for each subscription, and whatever is missing has a GAP in its place.
//
// Pushing never fails. An event for which there is no memory is deferred (deferred.h): it is kept in its subscription
// itself, folded as above, or for an outcome in the slot that reserve_outcome() has kept, and comes, without its text,
// before anything newer.
//
// A message's place in the queue is two pointers. What else there is to tell stands in a queue of its own, `others_`,
// and has an empty place among the messages. Both sides move many places under one lock; what a drained message is and
// what it cost is looked up without it.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "core/base/settings.h"
#include "core/fanout/bell.h"
#include "core/fanout/block_queue.h"
#include "core/fanout/conflation.h"
#include "core/fanout/deferred.h"
#include "core/fanout/delivery_times.h"
#include "core/fanout/event.h"
#include "core/fanout/subscription.h"
#include "core/message/outcome.h"

namespace fanwire::core {

struct InboxLimits {
    std::size_t count = 65536;
    std::size_t bytes = std::size_t{64} << 20;
    Overflow overflow = Overflow::drop_oldest;
};

struct InboxStats {
    std::uint64_t queued = 0, queued_bytes = 0, drained = 0, dropped = 0;
};

// A message, with one reference to it, for a subscription. The subscription is kept alive by the fan-out, then by its
// ENDED event.
struct Delivery {
    Message* message = nullptr;  // in an inbox, null: something else has this place
    Subscription* subscription = nullptr;
};

class Inbox : public OutcomeSink {
 public:
    using MakePollable = Bell::MakePollable;
    using Wake = Bell::Wake;

    // Publishes, NUMSUBs and requests whose outcome is still to be drained; more are refused (reserve_outcome()).
    static constexpr std::size_t outcomes_max = std::size_t{1} << 20;
    // Engine events beyond this many undrained ones are not kept.
    static constexpr std::size_t engine_events_max = 1024;

    // `seed`: of the hashes of channels, which others may choose.
    Inbox(InboxLimits limits, MakePollable make_pollable, std::uint64_t seed = 0);
    ~Inbox() override;

    // ---- producers (IO threads) ----

    // An event of `subscription`; counts in its engine's metrics what is delivered and dropped. An ENDED event keeps
    // the subscription alive until it is drained. True when the consumer is to be woken: signal() must follow.
    [[nodiscard]] bool push(Subscription& subscription, Event event) noexcept;
    // The same event of each, but for its user_data.
    [[nodiscard]] bool push(std::span<Subscription* const> subscriptions, const Event& event) noexcept;
    // Messages of one engine, in order; takes over the references.
    [[nodiscard]] bool push(const Delivery* deliveries, std::size_t count) noexcept;
    // A message of it that could not be made: one more that is missing.
    [[nodiscard]] bool push_missing(Subscription& subscription) noexcept;
    // An event of no subscription: of an engine, or an outcome that has its slot. An engine's is not kept when there is
    // no memory for it.
    [[nodiscard]] bool push(Event event) noexcept;
    // A reply to a request. They have limits of their own, as large as those of messages: `kept` becomes false when one
    // of them is reached, or when there is no memory, and then there is no event.
    [[nodiscard]] bool push_reply(Event event, bool& kept) noexcept;
    // Wakes the consumer, unless it has drained already.
    void signal() noexcept override;

    // OutcomeSink: pushes a PUBLISHED for each.
    using OutcomeSink::settle;
    [[nodiscard]] bool settle(std::span<const Settled> publishes, const Error& error) noexcept override;
    // Keeps a slot for one outcome; false when outcomes_max are outstanding. Throws std::bad_alloc.
    bool reserve_outcome() { return reserve_outcomes(1) == 1; }
    // As many of `count` as there may be; returns how many. Throws std::bad_alloc, and then has kept none.
    std::size_t reserve_outcomes(std::size_t count);
    void cancel_outcome() { cancel_outcomes(1); }
    void cancel_outcomes(std::size_t count);

    // Its owner has destroyed it: the engines end the subscriptions that use it.
    void retire() { retired_.store(true, std::memory_order_release); }
    bool retired() const { return retired_.load(std::memory_order_acquire); }

    // ---- the consumer ----

    // Where drain() moves events to; its memory serves the next drain. It keeps the subscriptions alive whose ENDED was
    // drained, until the next drain or its own end.
    class Batch {
     public:
        Batch() = default;
        ~Batch() { release(); }
        Batch(Batch&& other) noexcept
            : places(std::move(other.places)),
              events(std::move(other.events)),
              ended(std::exchange(other.ended, nullptr)) {}
        Batch& operator=(Batch&&) = delete;
        void release() noexcept;
        // So that draining up to `capacity` events never fails.
        void reserve(std::size_t capacity) {
            places.reserve(std::min(capacity, taken_max));
            events.reserve(std::min(capacity, events_max));
        }

     private:
        friend class Inbox;
        std::vector<Delivery> places;  // those without a message: the next of `events`
        std::vector<Event> events;
        Subscription* ended = nullptr;  // a list, threaded through their `deferred`
        bool settled = false;           // the cost of its messages no longer counts as queued
    };

    // Gives up to `capacity` events, oldest first, to `sink`: sink.message(Subscription&, Message*) with the reference,
    // or sink.event(Subscription*, Event&&), which may not throw. Returns how many. Throws std::bad_alloc, having taken
    // nothing, when the batch cannot grow.
    template <class Sink>
    std::size_t drain(Batch& batch, std::size_t capacity, Sink&& sink);
    // Waits until something is queued (true), the deadline passes, or interrupt() / close() is called (false).
    bool wait(std::chrono::steady_clock::time_point deadline);
    bool wait();
    void interrupt();
    // When this returns the former wake function is not running and will not be called again.
    void set_wake(Wake wake);
    // Throws Failure SYSTEM_ERROR.
    int fd();

    // Discards everything, now and from now on.
    void close();
    InboxStats stats() const;

 private:
    // Whatever is not simply a message.
    struct Other {
        Event event;
        Subscription* subscription = nullptr;
    };
    // Where the folded entries of a subscription stand, as long as it has any. In blocks that go back as a whole: when
    // a link breaks, all subscriptions may have some for a moment.
    struct FoldPlaces {
        std::uint64_t gap = 0;
        std::uint64_t state = 0;
    };
    struct Places {
        FoldPlaces at_front, at_back;     // in front_; in others_
        std::uint64_t behind_states = 0;  // in queue_: behind its newest entry that is no message (for conflate)
    };
    enum class Where { front, back };
    static constexpr std::size_t taken_max = 1024, events_max = 64;  // under one lock; of these, what is no message

    // nullptr: it has none.
    Places* places_of(const Subscription& subscription) {
        return subscription.places == 0 ? nullptr : &places_[subscription.places - 1];
    }
    Places& make_places(Subscription& subscription);
    void forget_places(Subscription& subscription) noexcept;
    bool has_state_behind(std::uint64_t place, const Subscription& subscription);
    // What follows stands behind something new: nothing more is folded into what is at the back.
    void end_folding(Subscription& subscription) {
        if (Places* const places = places_of(subscription)) places->at_back = {};
    }
    bool message_fits(std::size_t cost);
    std::size_t append_fitting(const Delivery* deliveries, std::size_t count) noexcept;
    void push_message(const Delivery& delivery);
    void push_event(Subscription& subscription, Event& event) noexcept;
    void push_other(Subscription& subscription, Event& event);
    void append_other(Subscription* subscription, Event& event);
    void defer_missing(Subscription& subscription) noexcept;
    void push_outcome(Event& event) noexcept;
    bool flush_deferred() noexcept;
    Other pop_other();
    Message* pop_message();
    bool conflate(const Delivery& delivery);
    void push_out_oldest();
    void fold(Where where, Subscription& subscription, Event& event);
    void fold_message(Where where, Subscription& subscription);
    Event* folded(Where where, std::uint64_t place);
    std::uint64_t add_folded(Where where, Subscription& subscription, Event&& event);
    bool take(Batch& batch, std::size_t capacity);
    bool take_one(Batch& batch);
    void took(Batch& batch, Other&& other);
    bool empty() const { return front_.empty() && queue_.empty() && deferred_.empty() && deferred_outcomes_.empty(); }
    std::uint64_t back_place() const { return queue_first_ + queue_.size(); }  // of what is appended next

    const InboxLimits limits_;

    mutable std::mutex mutex_;
    // Older than everything in queue_; only folded and always-kept events. Sequence numbers, beginning with that of
    // [0], name places that outlive pops.
    BlockQueue<Other, 16> front_;
    BlockQueue<Delivery, 64, 2048> queue_;  // keeps up to 2 MiB of blocks
    BlockQueue<Other, 16> others_;          // for each place of queue_ that has no message, in order
    std::uint64_t front_first_ = 1, queue_first_ = 1, others_first_ = 1;
    std::deque<Places> places_;
    std::uint32_t free_places_ = 0;  // 1 + the first that nobody has; the next one's stands in behind_states
    std::size_t used_places_ = 0;
    std::unique_ptr<Conflation> conflation_;  // only for conflate
    std::size_t messages_ = 0;                // of queue_
    std::size_t bytes_ = 0;                   // of those messages and of the drained ones in released_bytes_
    std::size_t states_ = 0;                  // of queue_: its state changes and GAPs
    DeferredEvents deferred_;                 // behind everything in queue_, as are the next
    DeferredOutcomes deferred_outcomes_;      // has slots for outcomes_
    std::atomic<bool> retired_{false};
    std::size_t outcomes_ = 0;
    std::size_t engine_events_ = 0;
    std::size_t replies_ = 0, reply_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    bool closed_ = false;
    Bell bell_;

    // Written by the consumer without the mutex. The cost of messages is known when they are looked at; until then they
    // count as queued.
    alignas(64) std::atomic<std::size_t> released_bytes_{0};
    std::atomic<std::uint64_t> drained_{0};
};

template <class Sink>
std::size_t Inbox::drain(Batch& batch, std::size_t capacity, Sink&& sink) {
    batch.release();
    std::size_t given = 0;
    for (bool more = true; more && given < capacity;) {
        more = take(batch, std::min(capacity - given, taken_max));
        DeliveryTimes times;
        MessageReleaser unwanted;
        std::size_t bytes = 0, event = 0;
        const std::size_t count = batch.places.size();
        for (std::size_t i = 0; i < count; ++i) {
            const auto [message, subscription] = batch.places[i];
            if (!message) {
                Event& other = batch.events[event++];
                if (subscription && other.kind != EventKind::ended && subscription->abandoned()) continue;
                sink.event(subscription, std::move(other));
                ++given;
                continue;
            }
            bytes += message->cost();
            if (subscription->abandoned()) {
                unwanted.release(message);
                continue;
            }
            times.add(*subscription, message->received_us());
            sink.message(*subscription, message);
            ++given;
        }
        if (bytes > 0 && !batch.settled) released_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    }
    drained_.store(drained_.load(std::memory_order_relaxed) + given, std::memory_order_relaxed);
    return given;
}

}  // namespace fanwire::core
