// Who in this process wants what: from one message of the backend to the inboxes of its subscriptions. IO thread only.
#pragma once

#include <array>
#include <memory>
#include <span>
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
    void active(Topic& topic) noexcept;
    void failed(Topic& topic, const Error& why) noexcept;
    void failed_all(const Error& why) noexcept;
    // What has failed waits for the backend again. Nobody is told before that has something to say.
    void wanted_again() noexcept;
    void lost(const Error& why) noexcept;
    // What the GAPs before RESUMED are due to.
    void set_gap_reason(GapReason reason) { gap_reason_ = reason; }

    // Where messages have their memory from.
    MessagePool& pool() { return *pool_; }

    // An outcome; an event of the engine itself.
    void settle(const std::shared_ptr<OutcomeSink>& sink, std::span<const Settled> publishes,
                const Error& error) noexcept;
    void tell(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;
    // False: the inbox has no room for the reply.
    bool tell_reply(const std::shared_ptr<Inbox>& inbox, Event event) noexcept;

    // Gives the inboxes the messages that are still ours and wakes the consumers that have something new. To be called
    // after each batch.
    void commit() noexcept;

 private:
    // Messages for one inbox that it has not been given yet, so that it is locked once for many. Other events of that
    // inbox go behind them.
    struct Stage {
        static constexpr std::size_t capacity = 256;
        OutcomeSink* sink = nullptr;  // the inbox, which the subscriptions keep alive; null when there are none
        std::size_t count = 0;
        std::unique_ptr<Delivery[]> deliveries;
    };
    static constexpr std::size_t stages_count = 16;

    MessageRef make_sharing(const MessageNames& names, const MessageRef& owner, std::string_view channel,
                            std::string_view payload, std::uint64_t received_us) const;
    static MessageRef without_head(MessageRef message, std::string_view channel) noexcept;
    MessageRef make_message(const Topic& topic, std::string_view channel, std::string_view payload,
                            std::uint64_t received_us, const MessageRef* shared) const;
    Stage& stage_of(const OutcomeSink* sink) {
        return stages_[(reinterpret_cast<std::uintptr_t>(sink) >> 4) * 0x9e3779b97f4a7c15u >> 60];
    }
    void stage(Subscription& subscription, Message* message) noexcept;
    void flush(Stage& stage) noexcept;
    void flush_stage_of(const OutcomeSink* sink) noexcept {
        if (Stage& stage = stage_of(sink); stage.sink == sink) flush(stage);
    }
    void push(Subscription& subscription, Event event) noexcept;
    void push(std::span<Subscription* const> subscriptions, const Event& event) noexcept;
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
    std::array<Stage, stages_count> stages_;
    std::uint32_t staged_ = 0;  // bits: those that hold something
    MessagePool::Owner pool_ = MessagePool::make();
    std::vector<std::shared_ptr<OutcomeSink>> to_wake_;
};

}  // namespace fanwire::core
