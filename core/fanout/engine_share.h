// What an engine shares with its subscriptions, which may outlive it.
#pragma once

#include <unordered_map>

#include "core/base/fork_guard.h"
#include "core/base/metrics.h"
#include "core/fanout/change_signal.h"
#include "core/fanout/engine_state.h"
#include "core/fanout/subscription_queue.h"
#include "core/message/message.h"

namespace fanwire::core {

struct EngineShare {
    Metrics metrics;
    const ForkGuard fork_guard{true};  // each publish asks it
    ChangeSignal changed;
    LiveState state{changed};
    SubscriptionQueue queue;
    // The texts of why subscriptions have failed, as far as there was memory for them. Under the signal's mutex.
    std::unordered_map<const Subscription*, MessageRef> reasons;
};

}  // namespace fanwire::core
