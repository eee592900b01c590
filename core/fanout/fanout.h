// Who in this process wants what: from one message of the backend to the inboxes of its subscriptions. IO thread only.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/metrics.h"
#include "core/fanout/inbox.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

class Fanout {
   public:
    // `channel_prefix_size`: how many first bytes of every channel on the wire are the namespace.
    Fanout(Metrics& metrics, std::size_t channel_prefix_size)
        : metrics_(metrics), channel_prefix_size_(static_cast<std::uint32_t>(channel_prefix_size)) {}
    ~Fanout();
    Fanout(const Fanout&) = delete;
    Fanout& operator=(const Fanout&) = delete;

    // Adds a subscription; returns the wire name if it is the first of its target, else nullptr. ACTIVE is told at
    // once if the target is confirmed already.
    NameRef add(SubscriptionRef subscription);
    // Ends a subscription with `why`; returns the wire name if it was the last of its target.
    NameRef remove(Subscription& subscription, const Error& why);
    // Those whose events go to `inbox`.
    std::vector<SubscriptionRef> of_inbox(const Inbox& inbox) const;
    void remove_all(const Error& why);

    // What the backend reports. Names are wire names.
    // `shared`: nothing for a new payload; it then keeps the message whose payload other targets may share.
    // `received_us`: when it was read.
    void message(TargetKind kind, std::string_view target, std::string_view channel, std::string_view payload,
                 std::uint64_t received_us, MessageRef& shared);
    void active(TargetKind kind, std::string_view target);
    void failed(TargetKind kind, std::string_view target, const Error& why);
    void failed_all(const Error& why);
    void lost(const Error& why);
    // What the GAPs before RESUMED are due to.
    void set_gap_reason(GapReason reason) { gap_reason_ = reason; }

    // An outcome; an event of the engine itself.
    void settle(const std::shared_ptr<OutcomeSink>& sink, void* user_data, const Outcome& outcome);
    void tell(const std::shared_ptr<Inbox>& inbox, Event event);

    // Wakes the consumers that have something new. To be called after each batch.
    void commit();

   private:
    struct Topic {
        NameRef name;
        bool confirmed = false;
        Error refused;  // why the backend failed it, until it is confirmed or the link is lost
        std::vector<SubscriptionRef> subscriptions;
    };
    // Keys are views of the topics' own names.
    using Topics = std::unordered_map<std::string_view, std::unique_ptr<Topic>>;

    Topics& topics(TargetKind kind) { return kind == TargetKind::channel ? channels_ : patterns_; }
    Topic* find(TargetKind kind, std::string_view target);
    void push(Subscription& subscription, Event event);
    void become_active(Subscription& subscription);
    void fail(Subscription& subscription, const Error& why);
    void become_failed(Topic& topic, const Error& why);
    void end(Subscription& subscription, const Error& why);
    void set_confirmed(Topic& topic, bool confirmed);
    void set_refused(Topic& topic, const Error& why);

    Metrics& metrics_;
    const std::uint32_t channel_prefix_size_;
    GapReason gap_reason_ = GapReason::reconnect;
    Topics channels_, patterns_;
    std::vector<std::shared_ptr<OutcomeSink>> to_wake_;
};

}  // namespace fanwire::core
