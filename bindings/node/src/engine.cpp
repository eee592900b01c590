#include "engine.h"

#include "closing.h"
#include "inbox.h"
#include "options.h"

namespace fanwire::node {
namespace {

void* key_at(const Call& call, size_t index) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(call.number(index)));
}

// engineOpen(options, inbox) -> engine; its own events have key 0
napi_value engine_open(const Call& call) {
    const auto& options = handle_at<Options>(call, 0);
    const auto& inbox = handle_at<Inbox>(call, 1);
    const auto& environment = Environment::of(call.env());
    environment->check(fanwire_options_set_engine_inbox(options.get(), inbox.get(), nullptr));
    fanwire_engine* engine = nullptr;
    environment->check(fanwire_engine_open(&engine, options.get()));
    return make_external(call.env(), std::make_unique<Engine>(environment, engine));
}

// engineClose(engine, timeoutMs) -> Promise of [status, text]; Infinity waits without limit
napi_value engine_close(const Call& call) {
    return close_on_pool_thread(call.env(), handle_at<Engine>(call, 0).shared(), call.real(1));
}

// engineStats(engine) -> {connected, ...}
napi_value engine_stats(const Call& call) {
    fanwire_engine_stats stats = {};
    const auto& engine = handle_at<Engine>(call, 0);
    engine.environment().check(fanwire_engine_stats_get(engine.get(), &stats, sizeof stats));

    napi_value object = make_object(call.env());
    const auto add = [&](const char* name, uint64_t value) {
        set(call.env(), object, name, make_number(call.env(), static_cast<double>(value)));
    };
    set(call.env(), object, "connected", make_boolean(call.env(), stats.connected != 0));
    add("connects", stats.connects);
    add("disconnects", stats.disconnects);
    add("connectErrors", stats.connect_errors);
    add("published", stats.published);
    add("publishOk", stats.publish_ok);
    add("publishFailed", stats.publish_failed);
    add("publishUnknown", stats.publish_unknown);
    add("publishQueued", stats.publish_queued);
    add("received", stats.received);
    add("delivered", stats.delivered);
    add("dropped", stats.dropped);
    add("gaps", stats.gaps);
    add("bytesIn", stats.bytes_in);
    add("bytesOut", stats.bytes_out);
    add("subscriptions", stats.subscriptions);
    add("subscriptionsDesired", stats.subscriptions_desired);
    add("subscriptionsConfirmed", stats.subscriptions_confirmed);
    return object;
}

// publish(engine, channel, payload)
napi_value publish(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const Bytes channel(call.env(), call[1]);
    const Bytes payload(call.env(), call[2]);
    engine.environment().check(
        fanwire_publish(engine.get(), channel.data(), channel.size(), payload.data(), payload.size()));
    return nullptr;
}

// publishAsync(engine, channel, payload, inbox, key): one PUBLISHED row with that key follows
napi_value publish_async(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const Bytes channel(call.env(), call[1]);
    const Bytes payload(call.env(), call[2]);
    const auto& inbox = handle_at<Inbox>(call, 3);
    engine.environment().check(fanwire_publish_async(engine.get(), channel.data(), channel.size(), payload.data(),
                                                     payload.size(), inbox.get(), key_at(call, 4)));
    return nullptr;
}

} // namespace

void export_engine(napi_env env, napi_value exports) {
    export_function<engine_open>(env, exports, "engineOpen");
    export_function<engine_close>(env, exports, "engineClose");
    export_function<engine_stats>(env, exports, "engineStats");
    export_function<publish>(env, exports, "publish");
    export_function<publish_async>(env, exports, "publishAsync");
}

} // namespace fanwire::node
