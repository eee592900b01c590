// The link that sends: a Link whose output is the queue of publishes.
#pragma once

#include "core/base/settings.h"
#include "core/protocol/link.h"
#include "core/protocol/publish_queue.h"

namespace fanwire::core {

class Publisher : public Link {
   public:
    Publisher(const LinkConfig& config, Offline offline, Random random, Listener& listener,
              PublishQueue::Settled settled, PublishQueue::Unqueued unqueued)
        : Link(config, std::move(random), listener),
          offline_(offline),
          queue_(std::move(settled), std::move(unqueued)) {}

    void publish(PublishBatch&& batch);
    const PublishQueue& queue() const { return queue_; }
    // From now on every publish fails.
    void give_up(const Error& why);
    // At the end: nothing is waited for any more.
    void fail_all(const Error& unsent);

    std::string_view output(TimeMs now) override;
    void wrote(std::size_t size, TimeMs now) override;
    void tick(TimeMs now) override;
    TimeMs deadline() const override;

   private:
    void on_ready(TimeMs) override {}
    void on_reply(const Reply& reply, TimeMs now) override;
    void on_down(const Error& why, TimeMs now) override;
    void on_given_up(const Error& why) override;
    void send_ping(TimeMs now) override;

    Offline offline_;
    PublishQueue queue_;
    Error given_up_;
};

}  // namespace fanwire::core
