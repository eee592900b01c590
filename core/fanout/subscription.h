// One wish of one consumer for one channel or pattern.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/fork_guard.h"
#include "core/base/metrics.h"
#include "core/base/ref.h"
#include "core/fanout/event.h"
#include "core/message/message.h"
#include "core/message/topic.h"

namespace fanwire::core {

class Inbox;
class Subscription;

enum class SubscriptionState : std::uint8_t {
#define FANWIRE_SUBSCRIPTION_STATE(upper, name, code, help) name = code,
#include "core/base/names.def"
};

// What an engine shares with its subscriptions, which may outlive it: its counters; where threads wait for a
// subscription or for the engine itself to change; the door by which they tell it what they want.
struct Monitor {
    Metrics metrics;
    const ForkGuard fork_guard{true};  // each publish asks it

    std::mutex mutex;
    std::condition_variable changed;
    std::atomic<std::uint32_t> waiting{
        0};  // threads; who changes what they wait for need not call where there are none
    enum class Connection : std::uint8_t { pending, up, failed, closed };
    Connection connection = Connection::pending;                  // under the mutex, as is what follows
    Error connection_error;                                       // why it is not up, if that is known
    bool was_up = false;                                          // ever
    bool gave_up = false;                                         // connecting
    std::unordered_map<const Subscription*, MessageRef> reasons;  // why they failed, as far as there was memory for it

    // Waits until `decided`, which is asked under the mutex; false: the deadline passed.
    template <class Deadline, class Decided>
    bool wait(std::unique_lock<std::mutex>& lock, Deadline deadline, Decided&& decided) {
        waiting.fetch_add(1);
        const bool in_time = changed.wait_until(lock, deadline, decided);
        waiting.fetch_sub(1);
        return in_time;
    }
    void notify() noexcept {
        if (waiting.load() == 0) return;
        { std::lock_guard lock(mutex); }  // who has found nothing changed is waiting by now
        changed.notify_all();
    }

    // Subscriptions that are new or were given up since the IO thread looked at them; each is there once.
    std::mutex queue_mutex;
    Subscription *queued_first = nullptr, *queued_last = nullptr;
    bool queue_closed = false;
    std::function<void()> wake;                   // the IO thread; called under queue_mutex, until the queue is closed
    std::atomic<std::uint64_t> subscriptions{0};  // open ones
};

// Where the subscriptions of one engine that use one inbox lead; they share it.
class Outlet {
 public:
    Outlet(std::shared_ptr<Inbox> to, std::shared_ptr<Monitor> of) : inbox(std::move(to)), monitor(std::move(of)) {}

    const std::shared_ptr<Inbox> inbox;
    const std::shared_ptr<Monitor> monitor;

    void retain() { refs_.retain(); }
    void release() {
        if (refs_.release()) delete this;
    }

 private:
    RefCount refs_;
};

using OutletRef = Ref<Outlet>;

class Subscription {
 public:
    // First in memory, so that the C boundary can tell it from another handle. Zero when the handle was destroyed.
    static constexpr std::uint32_t tag_value = 0x73756231;  // "sub1"
    std::uint32_t tag = tag_value;

 private:
    RefCount refs_;

 public:
    using Deadline = std::chrono::steady_clock::time_point;

    Subscription(TopicRef topic, OutletRef outlet, void* user_data)
        : topic_(std::move(topic)), outlet_(std::move(outlet)), user_data_(user_data) {}
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    const std::shared_ptr<Inbox>& inbox() const { return outlet_->inbox; }
    void* user_data() const { return user_data_; }
    // Into the cache, what delivering to it reads.
    void prefetch() const { __builtin_prefetch(&outlet_); }
    Monitor& monitor() const { return *outlet_->monitor; }
    Metrics& metrics() const { return monitor().metrics; }

    // The record of its name. Until the fan-out has added it, one of its own. IO thread.
    const TopicRef& topic() const { return topic_; }
    void set_topic(TopicRef topic) { topic_ = std::move(topic); }

    // ---- thread: any ----

    SubscriptionState state() const { return state_.load(); }
    // Makes the IO thread look at it for the first time. Throws Failure CLOSED.
    void open();
    // From here on drains pass over its events, and the IO thread ends it. Throws Failure UNSUBSCRIBED when that was
    // called before, CLOSED.
    void unsubscribe();
    // The same, with the status for what it throws.
    Status end() noexcept;
    // Until it is active. Throws Failure: TIMEOUT, UNSUBSCRIBED, CLOSED or why it failed.
    void wait_active(Deadline deadline);
    bool given_up() const { return (asked_.load(std::memory_order_acquire) & asked_to_end) != 0; }

    // ---- IO thread ----

    // Why: of failed and ended.
    void change(SubscriptionState state, const Reason& why = {}) noexcept;
    // Why it failed or ended.
    Reason why() const noexcept;
    // False when it was given up before.
    bool give_up() { return (asked_.fetch_or(asked_to_end, std::memory_order_acq_rel) & asked_to_end) == 0; }
    // Puts it into its monitor's queue, which has a reference to it. A place there needs no memory, so that ending a
    // subscription cannot fail. Under the queue's mutex.
    void queue() noexcept;
    // Taken from the queue: it may be queued again.
    Subscription* unqueue() noexcept {
        Subscription* const next = next_queued_;
        asked_.fetch_and(static_cast<std::uint8_t>(~queued), std::memory_order_acq_rel);
        return next;
    }

    void retain() { refs_.retain(); }
    void release() {
        if (refs_.release()) delete this;
    }

    // ---- Of the inbox, under its mutex (see inbox.h) ----

    // Events for which the inbox had no memory: see deferred.h.
    struct Deferred {
        static constexpr std::uint32_t unknown = UINT32_MAX;
        static constexpr EventKind no_state = EventKind{};  // no kind of event

        Subscription* next = nullptr;
        std::uint32_t missing = 0;  // messages, or `unknown`
        GapReason gap = GapReason::none;
        EventKind state : 6 = no_state;
        bool ended : 1 = false;
        bool listed : 1 = false;  // in the inbox's list of subscriptions that have deferred events
        std::uint8_t state_status = 0, ended_status = 0;
    };
    Deferred deferred;

    // Which of the inbox's places it has: where its folded entries stand. 0: it has none.
    std::uint32_t places = 0;

    // ---- Of the fan-out, on the IO thread ----

    bool added : 1 = false;
    bool was_active : 1 = false;

 private:
    Reason why_locked() const noexcept;  // under the monitor's mutex

    bool has_reason_ : 1 = false;  // its monitor has one
    // A Status: that of the present state. Both are written by the IO thread under the monitor's mutex.
    std::uint8_t why_ = 0;
    std::atomic<SubscriptionState> state_{SubscriptionState::pending};
    static constexpr std::uint8_t asked_to_end = 1, queued = 2;
    std::atomic<std::uint8_t> asked_{0};

 public:
    std::uint32_t place = 0;  // of the fan-out: among the subscriptions of its topic

 private:
    TopicRef topic_;
    OutletRef outlet_;
    void* user_data_;
    Subscription* next_queued_ = nullptr;
};

// What each costs (see "Memory" in core/DESIGN.md).
static_assert(sizeof(void*) != 8 || sizeof(Subscription) == 72);

using SubscriptionRef = Ref<Subscription>;

}  // namespace fanwire::core
