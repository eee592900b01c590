// Takes what the backend reports of a topic to the inboxes of the topic's subscriptions. IO thread only.
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

    // Adds a subscription. Returns its topic if the subscription is the topic's first, else nullptr. If the topic is
    // confirmed already, ACTIVE follows at once. Throws std::bad_alloc, and then has changed nothing. Nothing else here
    // throws: an event for which there is no memory is kept by its subscription (see inbox.h).
    Topic* add(SubscriptionRef subscription);
    // Undoes an add() that has just returned a topic.
    void take_back(Subscription& subscription) noexcept;
    // Ends a subscription that was never added.
    void refuse(Subscription& subscription, const Error& why) noexcept;
    // Ends a subscription with `why`. Returns its topic if the subscription was the topic's last: then the caller has
    // to make the backend and the table of topics forget the topic.
    TopicRef remove(Subscription& subscription, const Error& why) noexcept;
    template <class Function>
    void for_each(Function&& function) const {
        topics_.for_each([&](Topic& topic) {
            for (Subscription* const subscription : topic.subscriptions()) function(*subscription);
        });
    }
    void remove_all(const Error& why) noexcept;

    // ---- What the backend reports. Names are wire names. ----

    // A message, which was read at `received_us`. `shared` saves copies of the payload. If it is not null it points
    // either to the message that the payload lies in, or to a null reference when others with the same payload follow:
    // then it is set to the message that has the copy.
    void message(Topic& topic, std::string_view channel, std::string_view payload, std::uint64_t received_us,
                 MessageRef* shared) noexcept;
    // `reason`: why it was lost, where that is known only now; none: as lost() said.
    void active(Topic& topic, GapReason reason = GapReason::none) noexcept;
    void failed(Topic& topic, const Error& why) noexcept;
    void failed_all(const Error& why) noexcept;
    // Failed subscriptions wait for the backend again. This makes no event: the next one is the backend's answer.
    void wanted_again() noexcept;
    // `reason`: what the GAPs before RESUMED are due to.
    void lost(std::span<Topic* const> topics, const Error& why, GapReason reason) noexcept;

    // The pool that messages are allocated from.
    MessagePool& pool() { return *pool_; }

    // Outcomes of publishes.
    void settle(const std::shared_ptr<OutcomeSink>& sink, std::span<const Settled> publishes,
                const Error& error) noexcept;
    // An event of no subscription: of the engine itself, or any other outcome. Does nothing if there is no inbox.
    void queue_event(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;
    // Returns false when the inbox has no room for the reply.
    bool queue_reply(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;

    // Gives the inboxes the messages that are still staged, then wakes the consumers. To be called at the end of each
    // turn.
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
