// A bounded queue of events with one consumer: the one way in which anything leaves the engine.
//
// Producers are the IO threads: they push, and after each batch signal() the inboxes that push() named. The consumer is
// woken once for empty -> non-empty and then drains batches.
//
// Full means: `count` messages or `bytes` of them wait. Then, with drop_oldest, entries leave at the queue's front into
// `front_`; with drop_newest, what comes is folded at the back. With conflate a message takes the place of the newest
// queued one of its subscription and channel, if nothing else of the subscription stands behind that, and the place
// remembers how many it has replaced: a GAP with that count is drained before it. Otherwise conflate is drop_oldest. Folding keeps, for each subscription, one GAP that
// counts the dropped messages and the newest of its state changes. State changes never push out a message: beyond
// `count` of them they are folded at the back. ENDED and outcomes are always kept. So memory stays bounded by the limits
// plus a few entries for each subscription, and whatever is missing has a GAP in its place.
//
// Pushing never fails. An event for which there is no memory is noted in its subscription itself, folded as above, or for
// an outcome in the slot that reserve_outcome() has kept; the inbox says it, without its text, before anything newer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/pollable.h"
#include "core/base/settings.h"
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

class Inbox : public OutcomeSink {
   public:
    using MakePollable = std::function<std::unique_ptr<Pollable>()>;
    using Wake = std::function<void()>;

    // Publishes whose outcome is still to be drained; more are refused (reserve_outcome()).
    static constexpr std::size_t outcomes_max = std::size_t{1} << 20;
    // Engine events beyond this many undrained ones are not kept.
    static constexpr std::size_t engine_events_max = 1024;

    Inbox(InboxLimits limits, MakePollable make_pollable);
    ~Inbox() override;

    // ---- producers (IO threads) ----

    // An event of `subscription`; counts in its engine's metrics what is delivered and dropped. An ENDED event keeps
    // the subscription alive until it is drained. True when the consumer is to be woken: signal() must follow.
    [[nodiscard]] bool push(Subscription& subscription, Event event) noexcept;
    // A message of it that could not be made: one more that is missing.
    [[nodiscard]] bool push_missing(Subscription& subscription) noexcept;
    // An event of no subscription: of an engine, or an outcome that has its slot. An engine's is not kept when there is no
    // memory for it.
    [[nodiscard]] bool push(Event event) noexcept;
    // Wakes the consumer, unless it has drained already.
    void signal() noexcept override;

    // OutcomeSink: pushes a PUBLISHED for each.
    using OutcomeSink::settle;
    [[nodiscard]] bool settle(std::span<const Settled> publishes, const Error& error) noexcept override;
    // Keeps a slot for one outcome; false when outcomes_max are outstanding. Throws std::bad_alloc.
    bool reserve_outcome();
    void cancel_outcome();

    // Its owner has destroyed it: the engines end the subscriptions that use it.
    void retire() { retired_.store(true, std::memory_order_release); }
    bool retired() const { return retired_.load(std::memory_order_acquire); }

    // ---- the consumer ----

    // Appends up to `capacity` events to `events`, oldest first; and to `owners`, if given, their subscriptions. Throws
    // std::bad_alloc, having taken nothing, when their own capacity does not suffice and cannot grow.
    void drain(std::vector<Event>& events, std::size_t capacity, std::vector<SubscriptionRef>* owners = nullptr);
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
    struct Entry {
        Event event;
        Subscription* subscription = nullptr;  // kept alive by the fan-out, then by its ENDED entry
        std::uint64_t conflated = 0;  // messages that this one has replaced
    };
    struct LateOutcome {
        void* user_data;
        Status status;
        std::uint64_t receivers;
    };
    // The newest message of a subscription and a channel, for conflate. The channel's bytes are those of the message in
    // the queue.
    struct Latest {
        const Subscription* subscription;
        std::string_view channel;
        bool operator==(const Latest&) const = default;
    };
    struct LatestHash {
        std::size_t operator()(const Latest& key) const {
            return std::hash<std::string_view>()(key.channel) ^ (std::hash<const void*>()(key.subscription) << 1);
        }
    };

    // Where the folded entries of a subscription stand, as long as it has any. In blocks that go back as a whole: when a
    // link breaks, all subscriptions may have some for a moment.
    struct FoldPlaces {
        std::uint64_t gap = 0;
        std::uint64_t state = 0;
    };
    struct Places {
        FoldPlaces at_front, at_back;
        std::uint64_t behind_states = 0;  // the place behind its newest entry that is no message (for conflate)
    };

    bool full(const Event& event) const;
    // nullptr: it has none.
    Places* places_of(const Subscription& subscription) {
        return subscription.places == 0 ? nullptr : &places_[subscription.places - 1];
    }
    Places& make_places(Subscription& subscription);
    bool has_state_behind(std::uint64_t place, const Subscription& subscription);
    bool become_signalled();
    void take(Subscription& subscription, Event& event);
    void append(Subscription* subscription, Event& event);
    void note(Subscription& subscription, const Event& event) noexcept;
    void push_outcome(Event& event) noexcept;
    void add_late(const Event& event) noexcept;
    bool say_unsaid() noexcept;
    bool pop_unsaid(Entry& entry) noexcept;
    std::size_t count_unsaid() const;
    Entry pop_queue();
    bool conflate(Subscription& subscription, Event& event);
    Event take_conflated(Entry& entry);
    void forget_latest(const Entry& entry, std::uint64_t place);
    void push_out_oldest();
    void fold(std::deque<Entry>& into, std::uint64_t first, Subscription& subscription, Event& event);
    void forget_places(Subscription& subscription) noexcept;
    bool pop(Entry& entry);
    bool empty() const { return front_.empty() && queue_.empty() && !unsaid_first_ && said_late_ == late_.size(); }
    void discard(std::deque<Entry>& entries);

    const InboxLimits limits_;
    const MakePollable make_pollable_;

    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Entry> front_;  // older than everything in queue_; only folded and always-kept entries
    std::deque<Entry> queue_;
    std::uint64_t front_first_ = 1;  // sequence number of front_[0]; they name places that outlive pops
    std::uint64_t queue_first_ = 1;
    std::deque<Places> places_;
    std::uint32_t free_places_ = 0;  // 1 + the first that nobody has; the next one's stands in behind_states
    std::size_t used_places_ = 0;
    std::unordered_map<Latest, std::uint64_t, LatestHash> latest_;  // places in queue_; only for conflate
    std::size_t messages_ = 0, bytes_ = 0;  // of queue_: its messages
    std::size_t states_ = 0;                // of queue_: its state changes and GAPs
    std::size_t conflated_entries_ = 0;     // of queue_: those with a GAP before them
    Subscription *unsaid_first_ = nullptr, *unsaid_last_ = nullptr;  // behind everything in queue_
    std::vector<LateOutcome> late_;  // has room for outcomes_; behind everything in queue_
    std::size_t said_late_ = 0;      // of late_: drained
    std::atomic<bool> retired_{false};
    std::size_t outcomes_ = 0;
    std::size_t engine_events_ = 0;
    std::uint64_t drained_ = 0, dropped_ = 0;
    bool signalled_ = false;     // the consumer knows, or will by the signal() that is due
    bool signal_is_due_ = false;
    bool interrupted_ = false;
    bool closed_ = false;
    std::unique_ptr<Pollable> pollable_;

    std::mutex wake_mutex_;  // held while the wake function runs; never taken under mutex_
    Wake wake_;
};

}  // namespace fanwire::core
