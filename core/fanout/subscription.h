// One wish of one consumer for one channel or pattern.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "core/base/error.h"
#include "core/base/ref.h"
#include "core/fanout/engine_share.h"
#include "core/fanout/event.h"
#include "core/message/message.h"
#include "core/message/topic.h"

namespace fanwire::core {

class Inbox;
class Subscription;
struct Stage;

enum class SubscriptionState : std::uint8_t {
#define FANWIRE_SUBSCRIPTION_STATE(upper, name, code, help) name = code,
#include "core/base/names.def"
};

// Where the subscriptions of one engine that use one inbox lead: they share one outlet, so that what they get stands in
// the inbox in the order in which it came.
class Outlet {
 public:
    Outlet(std::shared_ptr<Inbox> to, std::shared_ptr<EngineShare> of) : inbox(std::move(to)), share(std::move(of)) {}

    const std::shared_ptr<Inbox> inbox;
    const std::shared_ptr<EngineShare> share;
    Stage* stage = nullptr;  // of the engine's Staging; IO thread

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
    // First in memory, so that the C boundary can tell a subscription from another handle. Zero when the handle was
    // destroyed.
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
    Outlet& outlet() const { return *outlet_; }
    void* user_data() const { return user_data_; }
    // Fetches what delivering to the subscription reads into the cache.
    void prefetch() const { __builtin_prefetch(&outlet_); }
    EngineShare& share() const { return *outlet_->share; }
    Metrics& metrics() const { return share().metrics; }

    // The record of the name. Until the fan-out has added the subscription it has a record of its own. IO thread.
    const TopicRef& topic() const { return topic_; }
    void set_topic(TopicRef topic) { topic_ = std::move(topic); }

    // ---- thread: any ----

    SubscriptionState state() const { return state_.load(); }
    // Puts the subscription into the queue for the IO thread. Throws Failure CLOSED.
    void open();
    // From here on drains skip the subscription's events, and the IO thread ends it. Throws Failure UNSUBSCRIBED when
    // it was unsubscribed before, CLOSED.
    void unsubscribe();
    // Does the same, and returns the status instead of throwing.
    Status end() noexcept;
    // Waits until the subscription is active. Throws Failure: TIMEOUT, UNSUBSCRIBED, CLOSED or why it failed.
    void wait_active(Deadline deadline);
    // Returns whether the consumer has left the subscription.
    bool abandoned() const { return (asked_.load(std::memory_order_acquire) & asked_to_end) != 0; }
    // The consumer leaves it. Returns false when that has happened before.
    bool abandon() { return (asked_.fetch_or(asked_to_end, std::memory_order_acq_rel) & asked_to_end) == 0; }

    // ---- IO thread ----

    // `why`: the reason of failed and ended.
    void change(SubscriptionState state, const Reason& why = {}) noexcept;
    // Returns why the subscription failed or ended.
    Reason why() const noexcept;

    void retain() { refs_.retain(); }
    void release() {
        if (refs_.release()) delete this;
    }

    // ---- Used by the inbox, under its mutex (see inbox.h) ----

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

    // Which record of the inbox's Folding it has; 0: none.
    std::uint32_t fold_record = 0;

    // ---- Used by the fan-out, on the IO thread ----

    bool added : 1 = false;
    bool was_active : 1 = false;

 private:
    friend class SubscriptionQueue;

    // Under the queue's mutex. Returns false when it is in the queue already.
    bool enter_queue() noexcept {
        if ((asked_.fetch_or(queued, std::memory_order_acq_rel) & queued) != 0) return false;
        next_queued_ = nullptr;
        return true;
    }
    // IO thread. Returns the one behind it; it may enter the queue again.
    Subscription* leave_queue() noexcept {
        Subscription* const next = next_queued_;
        asked_.fetch_and(static_cast<std::uint8_t>(~queued), std::memory_order_acq_rel);
        return next;
    }

    Reason why_locked() const noexcept;  // under the mutex of the engine's ChangeSignal

    bool has_reason_ : 1 = false;  // EngineShare::reasons has the text
    // The Status of the present state. The IO thread writes both of these under that mutex.
    std::uint8_t why_ = 0;
    std::atomic<SubscriptionState> state_{SubscriptionState::pending};
    static constexpr std::uint8_t asked_to_end = 1, queued = 2;
    std::atomic<std::uint8_t> asked_{0};

 public:
    std::uint32_t topic_index = 0;  // used by the fan-out: where it stands among its topic's subscriptions

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
