// What the publish link says: the queue of publishes, and commands of its own among them.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "core/protocol/command_queue.h"
#include "core/protocol/conversation.h"

namespace fanwire::core {

class Publishing final : public Conversation {
 public:
    class Listener {
     public:
        virtual ~Listener() = default;
        // Redis's answer to probe(): how many receivers, or why not.
        virtual void probe_answered(const Outcome&) {}
        // Redis's answer to the first ask_numsub() that has none: an array or an error.
        virtual void numsub_answered(const Reply&) {}
        // The same for ask_role().
        virtual void role_answered(const Reply&) {}
        // A publish was not answered by a number. Returns what becomes of it; of one server, unless the owner knows
        // better.
        virtual Rejection publish_rejected(const Reply& reply) { return rejection_by_one_server(reply); }
    };

    // `retention`: whether publishes can be taken out and sent elsewhere.
    Publishing(Offline offline, Listener& listener, CommandQueue::OnSettled settled, CommandQueue::Unqueued unqueued,
               CommandQueue::Retention retention = CommandQueue::Retention::none)
        : offline_(offline),
          listener_(listener),
          queue_(
              std::move(settled), std::move(unqueued),
              [this](CommandRecord::Purpose purpose, const Reply& reply) { answered(purpose, reply); },
              [this](const Reply& reply) { return listener_.publish_rejected(reply); }, retention) {}

    // Takes what is in the batch: see CommandQueue::append().
    void publish(PublishBatch& batch);
    // Publishes for the link's own sake: without a deadline, not counted, forgotten when the link breaks.
    void probe(std::string_view channel, std::string_view payload);
    // The same for a PUBSUB NUMSUB command.
    void ask_numsub(std::string_view command) { append_own(CommandRecord::Purpose::numsub, command); }
    void ask_role();
    // See CommandQueue::take_rejected().
    std::vector<PublishBatch> take_rejected() noexcept { return queue_.take_rejected(); }
    const CommandQueue& queue() const { return queue_; }
    // Publishes are not written before release(), or this time. Only until the connection ends.
    void hold(TimeMs until) { held_until_ = until; }
    void release() { held_until_ = released; }
    bool held() const { return held_until_ != released; }
    // At the end: nothing is waited for any more.
    void fail_all(const Error& unsent);

    std::string_view output(TimeMs now) override;
    void wrote(std::size_t size, TimeMs now) override;
    void tick(TimeMs now) override;
    TimeMs deadline() const override;

 private:
    void on_start() override { exhausted_ = {}; }
    void on_reply(const Reply& reply, TimeMs now) override;
    std::size_t scan(std::string_view bytes, TimeMs now) override;
    bool can_scan(std::string_view bytes) const override { return early_.empty() && queue_.can_scan(bytes); }
    void on_down(const Error& why, TimeMs now) override;
    void on_exhausted(const Error& why) override;
    void send_ping(TimeMs now) override;
    std::string_view unanswered() const override;
    bool may_be_held_back() const override;
    void on_credentials(TimeMs now) override;
    void append_own(CommandRecord::Purpose purpose, std::string_view command);
    bool take_early(const Reply& reply);
    bool awaits_reply() const { return !early_.empty() || queue_.awaits_reply(); }
    void answered(TimeMs now);
    void answered(CommandRecord::Purpose purpose, const Reply& reply);

    static constexpr TimeMs released = 0;

    Offline offline_;
    Listener& listener_;
    CommandQueue queue_;
    Error exhausted_;  // why no connection will come, if so
    TimeMs held_until_ = released;
    std::deque<CommandRecord::Purpose>
        early_;  // the link's own commands that were written while it was held, unanswered
};

}  // namespace fanwire::core
