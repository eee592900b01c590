// Topics and subscriptions by name, for tests that have no engine.
#pragma once

#include <memory>
#include <string_view>

#include "core/fanout/fanout.h"
#include "core/fanout/subscription.h"
#include "core/message/topic.h"

namespace fanwire::core {

inline Topic& topic_of(Topics& topics, TargetKind kind, std::string_view name) {
    return topics.intern(Topic::make(kind, name, 0));
}

inline SubscriptionRef make_subscription(TargetKind kind, std::string_view name, std::shared_ptr<Inbox> inbox,
                                         void* user_data, std::shared_ptr<EngineShare> share) {
    OutletRef outlet = OutletRef::adopt(new Outlet(std::move(inbox), std::move(share)));
    return SubscriptionRef::adopt(new Subscription(Topic::make(kind, name, 0), std::move(outlet), user_data));
}

// As when the only connection breaks.
inline void lose_all(Fanout& fanout, const Topics& topics, const Error& why) {
    TopicBatch lost([&](std::span<Topic* const> some) { fanout.lost(some, why, GapReason::reconnect); });
    topics.for_each([&](Topic& topic) { lost.add(topic); });
}

}  // namespace fanwire::core
