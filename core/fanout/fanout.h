// Who in this process wants what: from one message of the backend to the inboxes of its subscriptions. IO thread only.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/base/metrics.h"
#include "core/fanout/inbox.h"
#include "core/fanout/subscription.h"
#include "core/message/topic.h"

namespace fanwire::core {

class Fanout {
   public:
    // `channel_prefix_size`: how many first bytes of every channel on the wire are the namespace.
    Fanout(Topics& topics, Metrics& metrics, std::size_t channel_prefix_size)
        : topics_(topics), metrics_(metrics), channel_prefix_size_(static_cast<std::uint32_t>(channel_prefix_size)) {}
    ~Fanout();
    Fanout(const Fanout&) = delete;
    Fanout& operator=(const Fanout&) = delete;

    // Adds a subscription; returns its topic if it is the first of it, else nullptr. ACTIVE is told at once if the topic
    // is confirmed already. Throws std::bad_alloc, and then has changed nothing; nothing else here throws: an event for
    // which there is no memory is kept by its subscription (see inbox.h).
    Topic* add(SubscriptionRef subscription);
    // Takes back an add() that has just returned a topic.
    void take_back(Subscription& subscription) noexcept;
    // Ends a subscription that was never added.
    void refuse(Subscription& subscription, const Error& why) noexcept;
    // Ends a subscription with `why`; returns its topic if it was the last of it. It is then for the caller to let the
    // backend and the table of topics forget that.
    TopicRef remove(Subscription& subscription, const Error& why) noexcept;
    template <class Function>
    void for_each(Function&& function) const {
        topics_.for_each([&](Topic& topic) {
            for (Subscription* const subscription : topic.subscriptions()) function(*subscription);
        });
    }
    void remove_all(const Error& why) noexcept;

    // What the backend reports. Names are wire names.
    // `shared`: nothing for a new payload; it then keeps the message whose payload other targets may share.
    // `received_us`: when it was read.
    void message(TargetKind kind, std::string_view target, std::string_view channel, std::string_view payload,
                 std::uint64_t received_us, MessageRef& shared) noexcept;
    void active(Topic& topic) noexcept;
    void failed(Topic& topic, const Error& why) noexcept;
    void failed_all(const Error& why) noexcept;
    void lost(const Error& why) noexcept;
    // What the GAPs before RESUMED are due to.
    void set_gap_reason(GapReason reason) { gap_reason_ = reason; }

    // An outcome; an event of the engine itself.
    void settle(const std::shared_ptr<OutcomeSink>& sink, std::span<const Settled> publishes,
                const Error& error) noexcept;
    void tell(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;

    // Wakes the consumers that have something new. To be called after each batch.
    void commit();

   private:
    Topic* find(TargetKind kind, std::string_view target) { return topics_.find(kind, target); }
    MessageRef make_message(Topic& topic, TargetKind kind, std::string_view channel, std::string_view payload,
                            std::uint64_t received_us, MessageRef& shared) const;
    void push(Subscription& subscription, Event event) noexcept;
    void wake_later(const std::shared_ptr<OutcomeSink>& sink) noexcept;
    void become_active(Subscription& subscription);
    void fail(Subscription& subscription, const Reason& why);
    void become_failed(Topic& topic, const Reason& why);
    void end(Subscription& subscription, const Reason& why);
    void set_confirmed(Topic& topic, bool confirmed);
    void set_refused(Topic& topic, bool refused);

    Topics& topics_;
    Metrics& metrics_;
    const std::uint32_t channel_prefix_size_;
    GapReason gap_reason_ = GapReason::reconnect;
    std::vector<std::shared_ptr<OutcomeSink>> to_wake_;
};

}  // namespace fanwire::core
