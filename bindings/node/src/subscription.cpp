#include "subscription.h"

#include "engine.h"
#include "inbox.h"

namespace fanwire::node {
namespace {

// subscribe(engine, inbox, channel, key, isPattern) -> subscription
napi_value subscribe(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const auto& inbox = handle_at<Inbox>(call, 1);
    const Bytes name(call.env(), call[2]);
    void* key = reinterpret_cast<void*>(static_cast<uintptr_t>(call.number(3)));
    fanwire_subscription* subscription = nullptr;
    const auto function = call.boolean(4) ? fanwire_psubscribe : fanwire_subscribe;
    engine.environment().check(function(&subscription, engine.get(), name.data(), name.size(), inbox.get(), key));
    return make_external(call.env(), std::make_unique<Subscription>(Environment::of(call.env()), subscription));
}

// unsubscribe(subscription): ENDED follows
napi_value unsubscribe(const Call& call) {
    const auto& subscription = handle_at<Subscription>(call, 0);
    subscription.environment().check(fanwire_unsubscribe(subscription.get()));
    return nullptr;
}

// subscriptionDestroy(subscription)
napi_value subscription_destroy(const Call& call) {
    handle_at<Subscription>(call, 0).close();
    return nullptr;
}

}  // namespace

void export_subscription(napi_env env, napi_value exports) {
    export_function<subscribe>(env, exports, "subscribe");
    export_function<unsubscribe>(env, exports, "unsubscribe");
    export_function<subscription_destroy>(env, exports, "subscriptionDestroy");
}

}  // namespace fanwire::node
