// A bounded queue of events with one consumer: the one way in which anything leaves the engine.
//
// Producers are the IO threads: they push, and after each batch signal() the inboxes that push() named. The consumer is
// woken once for empty -> non-empty and then drains batches.
//
// It is made of parts: the messages and their limits (message_queue.h); the events that stand among them, in a queue of
// their own (event_queue.h); what events are folded into when there are too many (folding.h); what there is no memory
// for (deferred.h); how the consumer learns of all that (bell.h).
//
// Full means: `count` messages or `bytes` of them wait. Then, with drop_oldest, entries leave the queue's front,
// folded; with drop_newest, new messages are folded at the back. With conflate a message replaces the newest queued one
// of its subscription and channel, if nothing else of the subscription stands behind that one, and a GAP with the
// number of those replaced is drained before it. Otherwise conflate is drop_oldest. State changes never push out a
// message: beyond `count` of them they are folded at the back. ENDED and outcomes are always kept. So memory stays
// bounded by the limits plus a few events for each subscription, and whatever is missing has a GAP in its place.
//
// Pushing never fails. An event for which there is no memory is deferred: its subscription itself keeps it, folded, or
// for an outcome the slot that reserve_outcome() has kept. It is drained, without its text, before anything newer.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/fanout/backlog.h"
#include "core/fanout/bell.h"
#include "core/fanout/deferred.h"
#include "core/fanout/delivery_times.h"
#include "core/fanout/event.h"
#include "core/fanout/subscription.h"
#include "core/message/outcome.h"

namespace fanwire::core {

struct InboxStats {
    std::uint64_t queued = 0, queued_bytes = 0, drained = 0, dropped = 0;
};

class Inbox : public OutcomeSink {
 public:
    using MakePollable = Bell::MakePollable;
    using Wake = Bell::Wake;

    // Publishes, NUMSUBs and requests whose outcome is still to be drained; more are refused (reserve_outcome()).
    static constexpr std::size_t outcomes_max = std::size_t{1} << 20;
    // Engine events beyond this many undrained ones are not kept.
    static constexpr std::size_t engine_events_max = 1024;

    // `seed`: for the hashes of channels, whose names others may choose.
    Inbox(InboxLimits limits, MakePollable make_pollable, std::uint64_t seed = 0);
    ~Inbox() override;

    // ---- producers (IO threads) ----

    // An event of `subscription`. Counts in its engine's metrics what is delivered and dropped. An ENDED event keeps
    // the subscription alive until it is drained. Each push returns true when the consumer is to be woken: signal()
    // must follow.
    [[nodiscard]] bool push(Subscription& subscription, Event event) noexcept;
    // The same event of each, but for its user_data.
    [[nodiscard]] bool push(std::span<Subscription* const> subscriptions, const Event& event) noexcept;
    // Messages of one engine, in order; takes over the references.
    [[nodiscard]] bool push(const Delivery* deliveries, std::size_t count) noexcept;
    // One message of the subscription could not be made: it is missing.
    [[nodiscard]] bool push_missing(Subscription& subscription) noexcept;
    // An event of no subscription: of an engine, or an outcome whose slot was reserved. An engine's is not kept when
    // there is no memory for it.
    [[nodiscard]] bool push(Event event) noexcept;
    // A reply to a request. Replies have limits of their own, as large as those of messages: when one of them is
    // reached, or there is no memory, `kept` becomes false and the event is dropped.
    [[nodiscard]] bool push_reply(Event event, bool& kept) noexcept;
    // Wakes the consumer, unless it has drained already.
    void signal() noexcept override;

    // OutcomeSink: pushes a PUBLISHED for each.
    using OutcomeSink::settle;
    [[nodiscard]] bool settle(std::span<const Settled> publishes, const Error& error) noexcept override;
    // Keeps a slot for one outcome. Returns false when outcomes_max are outstanding. Throws std::bad_alloc.
    bool reserve_outcome() { return reserve_outcomes(1) == 1; }
    // Keeps as many of `count` slots as there may be. Returns how many. Throws std::bad_alloc, and then has kept none.
    std::size_t reserve_outcomes(std::size_t count);
    void cancel_outcome() { cancel_outcomes(1); }
    void cancel_outcomes(std::size_t count);

    // Its owner has destroyed the inbox: the engines end the subscriptions that use it.
    void retire() { retired_.store(true, std::memory_order_release); }
    bool retired() const { return retired_.load(std::memory_order_acquire); }

    // ---- the consumer ----

    // Where drain() moves events to; the next drain uses its memory again. It keeps subscriptions whose ENDED was
    // drained alive until the next drain or its own end.
    class Batch {
     public:
        Batch() = default;
        ~Batch() { release(); }
        Batch(Batch&& other) noexcept
            : slots(std::move(other.slots)),
              events(std::move(other.events)),
              ended(std::exchange(other.ended, nullptr)) {}
        Batch& operator=(Batch&&) = delete;
        void release() noexcept;
        // So that draining up to `capacity` events never fails.
        void reserve(std::size_t capacity) {
            slots.reserve(std::min(capacity, taken_max));
            events.reserve(std::min(capacity, events_max));
        }

     private:
        friend class Inbox;
        std::vector<Delivery> slots;  // one without a message is for the next of `events`
        std::vector<Event> events;
        Subscription* ended = nullptr;  // a list, threaded through their `deferred`
        bool settled = false;           // the bytes of its messages no longer count as queued
    };

    // Gives up to `capacity` events, oldest first, to `sink`: sink.message(Subscription&, Message*) with the reference,
    // or sink.event(Subscription*, Event&&), which may not throw. Returns how many. If the batch cannot grow it throws
    // std::bad_alloc and has taken nothing.
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
    static constexpr std::size_t taken_max = 1024, events_max = 64;  // under one lock: slots, and events among them

    void push_event(Subscription& subscription, Event& event) noexcept;
    void push_outcome(Event& event) noexcept;
    void defer_missing(Subscription& subscription) noexcept;
    bool flush_deferred() noexcept;
    bool take(Batch& batch, std::size_t capacity);
    bool take_oldest(Batch& batch);
    void take_event(Batch& batch, QueuedEvent&& event);
    bool empty() const { return backlog_.empty() && deferred_.empty() && deferred_outcomes_.empty(); }

    mutable std::mutex mutex_;
    Backlog backlog_;
    DeferredEvents deferred_;  // behind the backlog; while there are some, new events of subscriptions are deferred too
    DeferredOutcomes deferred_outcomes_;  // has slots for outcomes_
    std::atomic<bool> retired_{false};
    std::size_t outcomes_ = 0;
    std::size_t engine_events_ = 0;
    std::size_t replies_ = 0, reply_bytes_ = 0;
    std::uint64_t missing_ = 0;  // messages that were dropped since there was no memory
    bool closed_ = false;
    Bell bell_;
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
        const std::size_t count = batch.slots.size();
        for (std::size_t i = 0; i < count; ++i) {
            const auto [message, subscription] = batch.slots[i];
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
        if (bytes > 0 && !batch.settled) backlog_.queue().release_bytes(bytes);
    }
    backlog_.queue().count_drained(given);
    return given;
}

}  // namespace fanwire::core
