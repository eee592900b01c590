// Subscriptions.
#include <algorithm>

#include "capi/src/handle.h"

using namespace fanwire::capi;
using namespace fanwire::core;

namespace {

// The inbox has to know whose subscriptions it holds, to end them when it is destroyed.
void remember_engine(fanwire_inbox& inbox, const std::shared_ptr<Engine>& engine) {
    std::lock_guard lock(inbox.mutex);
    auto& known = inbox.engines;
    std::erase_if(known, [](const auto& weak) { return weak.expired(); });
    if (std::none_of(known.begin(), known.end(), [&](const auto& weak) { return weak.lock() == engine; }))
        known.push_back(engine);
}

int subscribe(fanwire_subscription** out, fanwire_engine* engine, TargetKind kind, const char* name, size_t name_size,
              fanwire_inbox* inbox, void* user_data) {
    return guarded([&] {
        required(out, "subscription");
        const auto& owner = checked(engine).engine;
        fanwire_inbox& box = checked(inbox);
        auto handle = std::make_unique<fanwire_subscription>();
        handle->engine = owner;
        remember_engine(box, owner);
        handle->subscription = owner->subscribe(
            kind, bytes(name, name_size, kind == TargetKind::channel ? "channel" : "pattern"), box.inbox, user_data);
        *out = handle.release();
    });
}

}  // namespace

int fanwire_subscribe(fanwire_subscription** subscription, fanwire_engine* engine, const char* channel,
                      size_t channel_size, fanwire_inbox* inbox, void* user_data) {
    return subscribe(subscription, engine, TargetKind::channel, channel, channel_size, inbox, user_data);
}

int fanwire_psubscribe(fanwire_subscription** subscription, fanwire_engine* engine, const char* pattern,
                       size_t pattern_size, fanwire_inbox* inbox, void* user_data) {
    return subscribe(subscription, engine, TargetKind::pattern, pattern, pattern_size, inbox, user_data);
}

int fanwire_unsubscribe(fanwire_subscription* subscription) {
    return guarded([&] {
        auto& handle = checked(subscription);
        handle.engine->unsubscribe(*handle.subscription);
    });
}

int fanwire_subscription_state_get(const fanwire_subscription* subscription, int* state) {
    return guarded([&] {
        const Subscription& target = *checked(subscription).subscription;
        const SubscriptionState now = target.given_up() ? SubscriptionState::ended : target.state();
        required(state, "state") = static_cast<int>(now);
    });
}

int fanwire_subscription_wait_active(fanwire_subscription* subscription, uint64_t timeout_ms) {
    return guarded([&] {
        auto& handle = checked(subscription);
        handle.engine->wait_active(*handle.subscription, deadline_in(timeout_ms));
    });
}

void fanwire_subscription_destroy(fanwire_subscription** subscription) { destroy(subscription); }

fanwire_subscription::~fanwire_subscription() {
    guarded([&] {
        if (forked()) {
            leak(std::move(subscription));
            leak(std::move(engine));
            return;
        }
        if (subscription && !subscription->given_up() && !engine->closed()) engine->unsubscribe(*subscription);
    });
}
