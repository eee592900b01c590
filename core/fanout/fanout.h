// Who in this process wants what: from one message of the backend to the inboxes of its subscriptions. IO thread only.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "core/base/metrics.h"
#include "core/fanout/inbox.h"
#include "core/fanout/staging.h"
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

    // Adds a subscription; returns its topic if it is the first of it, else nullptr. ACTIVE is told at once if the
    // topic is confirmed already. Throws std::bad_alloc, and then has changed nothing; nothing else here throws: an
    // event for which there is no memory is kept by its subscription (see inbox.h).
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
    // `shared`: null, or what the payload lies in, so that it need not be copied; nothing yet, when others of the same
    // payload follow: then it is set to the message that has the copy.
    // `received_us`: when it was read.
    void message(Topic& topic, std::string_view channel, std::string_view payload, std::uint64_t received_us,
                 MessageRef* shared) noexcept;
    // `reason`: why it was lost, where that is known only now; none: as lost() said.
    void active(Topic& topic, GapReason reason = GapReason::none) noexcept;
    void failed(Topic& topic, const Error& why) noexcept;
    void failed_all(const Error& why) noexcept;
    // What has failed waits for the backend again. Nobody is told before that has something to say.
    void wanted_again() noexcept;
    // `reason`: what the GAPs before RESUMED are due to.
    void lost(std::span<Topic* const> topics, const Error& why, GapReason reason) noexcept;

    // Where messages have their memory from.
    MessagePool& pool() { return *pool_; }

    // Outcomes of publishes.
    void settle(const std::shared_ptr<OutcomeSink>& sink, std::span<const Settled> publishes,
                const Error& error) noexcept;
    // An event of no subscription: of the engine itself, or any other outcome. Does nothing if there is no inbox.
    void queue_event(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;
    // Returns false when the inbox has no room for the reply.
    bool queue_reply(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;

    // Gives the inboxes the messages that are still ours and wakes the consumers that have something new. To be called
    // after each batch.
    void commit() noexcept { staging_.commit(); }

 private:
    MessageRef make_sharing(const MessageNames& names, const MessageRef& owner, std::string_view channel,
                            std::string_view payload, std::uint64_t received_us) const;
    static MessageRef without_head(MessageRef message, std::string_view channel) noexcept;
    MessageRef make_message(const Topic& topic, std::string_view channel, std::string_view payload,
                            std::uint64_t received_us, const MessageRef* shared) const;
    void push(Subscription& subscription, Event event) noexcept;
    void push(std::span<Subscription* const> subscriptions, const Event& event) noexcept;
    void become_active(Subscription& subscription, GapReason reason);
    void fail(Subscription& subscription, const Reason& why);
    void become_failed(Topic& topic, const Reason& why);
    void end(Subscription& subscription, const Reason& why);
    void set_confirmed(Topic& topic, bool confirmed);
    void set_refused(Topic& topic, bool refused);

    Topics& topics_;
    Metrics& metrics_;
    const std::uint32_t channel_prefix_size_;
    MessagePool::Owner pool_ = MessagePool::make();
    Staging staging_;
};

}  // namespace fanwire::core
