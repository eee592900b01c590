// Subscriptions.
#include <algorithm>

#include "capi/src/handle.h"

using namespace fanwire::capi;
using namespace fanwire::core;

OutletRef fanwire::capi::outlet_of(fanwire_inbox& inbox, const std::shared_ptr<Engine>& engine) {
    std::lock_guard lock(inbox.mutex);
    auto& users = inbox.users;
    std::erase_if(users, [](const auto& user) { return user.engine.expired(); });
    const auto known = std::find_if(users.begin(), users.end(), [&](const auto& user) {
        return !user.engine.owner_before(engine) && !engine.owner_before(user.engine);
    });
    if (known != users.end()) return known->outlet;
    users.push_back({engine, engine->outlet(inbox.inbox)});
    return users.back().outlet;
}

namespace {

// Throws what Engine::subscribe() does.
fanwire_subscription* subscribe(fanwire_engine* engine, TargetKind kind, std::string_view name, fanwire_inbox* inbox,
                                void* user_data) {
    const auto& owner = checked(engine).engine;
    SubscriptionRef made = owner->subscribe(kind, name, outlet_of(checked(inbox), owner), user_data);
    return reinterpret_cast<fanwire_subscription*>(made.detach());
}

}  // namespace

int fanwire_subscribe(fanwire_subscription** subscription, fanwire_engine* engine, const char* channel,
                      size_t channel_size, fanwire_inbox* inbox, void* user_data) {
    return guarded([&] {
        auto& made = required(subscription, "subscription");
        made = subscribe(engine, TargetKind::channel, bytes(channel, channel_size, "channel"), inbox, user_data);
    });
}

int fanwire_psubscribe(fanwire_subscription** subscription, fanwire_engine* engine, const char* pattern,
                       size_t pattern_size, fanwire_inbox* inbox, void* user_data) {
    return guarded([&] {
        auto& made = required(subscription, "subscription");
        made = subscribe(engine, TargetKind::pattern, bytes(pattern, pattern_size, "pattern"), inbox, user_data);
    });
}

int fanwire_subscribe_with(fanwire_subscription** subscription, fanwire_engine* engine,
                           const fanwire_subscribe_args* args, size_t args_size) {
    return guarded([&] {
        auto& made = required(subscription, "subscription");
        const auto asked = copy_in(args, args_size, "args");
        made = subscribe(engine, kind_of(asked.kind, "the kind in args"), bytes(asked.name, asked.name_size, "name"),
                         asked.inbox, asked.user_data);
    });
}

int fanwire_unsubscribe(fanwire_subscription* subscription) {
    return guarded([&] { checked(subscription).unsubscribe(); });
}

int fanwire_subscription_state_get(const fanwire_subscription* subscription, int* state) {
    return guarded([&] {
        const Subscription& target = checked(const_cast<fanwire_subscription*>(subscription));
        const SubscriptionState now = target.abandoned() ? SubscriptionState::ended : target.state();
        required(state, "state") = static_cast<int>(now);
    });
}

int fanwire_subscription_wait_active(fanwire_subscription* subscription, uint64_t timeout_ms) {
    return guarded_wait([&] {
        Subscription& target = checked(subscription);
        refuse_io_thread("wait_active");
        target.wait_active(deadline_in(timeout_ms));
    });
}

void fanwire_subscription_destroy(fanwire_subscription** handle) {
    if (!handle || !*handle) return;
    auto* const subscription = reinterpret_cast<Subscription*>(*handle);
    if (subscription->tag != Subscription::tag_value) return;
    subscription->tag = 0;
    *handle = nullptr;
    if (subscription->share().fork_guard.forked()) return;  // the parent's: leaked
    subscription->end();
    subscription->release();
}
