// Makes true what consumers want of their subscriptions: takes those that are new or abandoned from their queue to the
// fan-out and the backend. IO thread.
#pragma once

#include "core/backend/backend.h"
#include "core/fanout/fanout.h"

namespace fanwire::core {

class Upkeep {
 public:
    // `exhausted`: why no attempt to connect follows; OK as long as one does.
    Upkeep(SubscriptionQueue& queue, Topics& topics, Fanout& fanout, Backend& backend, const Error& exhausted)
        : queue_(queue), topics_(topics), fanout_(fanout), backend_(backend), exhausted_(exhausted) {}

    // Empties the queue. Throws std::bad_alloc: what is left is for the next time.
    void look();
    // Queues the subscriptions whose inbox is gone.
    void abandon_retired() noexcept;
    // Ends what is still in the queue.
    void end_all(const Error& why) noexcept;

 private:
    void look_at_front();
    void add(Subscription& subscription);
    void end(Subscription& subscription, const Error& why) noexcept;

    SubscriptionQueue& queue_;
    Topics& topics_;
    Fanout& fanout_;
    Backend& backend_;
    const Error& exhausted_;
};

}  // namespace fanwire::core
