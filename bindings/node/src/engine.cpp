#include "engine.h"

#include <cstring>
#include <string>
#include <string_view>

#include "closing.h"
#include "inbox.h"
#include "options.h"

namespace fanwire::node {
namespace {

// engineOpen(options, inbox) -> engine; its own events have key 0
napi_value engine_open(const Call& call) {
    const auto& options = handle_at<Options>(call, 0);
    const auto& inbox = handle_at<Inbox>(call, 1);
    const auto& environment = Environment::of(call.env());
    environment->check(fanwire_options_set_engine_inbox(options.get(), inbox.get(), nullptr));
    fanwire_engine* engine = nullptr;
    environment->check(fanwire_engine_open(&engine, options.get()));
    return make_external(call.env(), std::make_unique<Engine>(environment, engine, options.log()));
}

// engineClose(engine, timeoutMs) -> Promise of [status, text]; Infinity waits without limit
napi_value engine_close(const Call& call) {
    return close_on_pool_thread(call.env(), handle_at<Engine>(call, 0).shared(), call.real(1));
}

// engineReconnect(engine)
napi_value engine_reconnect(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    engine.environment().check(fanwire_engine_reconnect(engine.get()));
    return nullptr;
}

// engineState(engine) -> number
napi_value engine_state(const Call& call) {
    int state = 0;
    const auto& engine = handle_at<Engine>(call, 0);
    engine.environment().check(fanwire_engine_state_get(engine.get(), &state));
    return make_number(call.env(), state);
}

// engineDestroy(engine)
napi_value engine_destroy(const Call& call) {
    handle_at<Engine>(call, 0).close();
    return nullptr;
}

// setCredentials(engine, username, password): each text or null
napi_value set_credentials(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const auto username = call.optional_text(1);
    const auto password = call.optional_text(2);
    engine.environment().check(fanwire_engine_set_credentials(engine.get(), username ? username->c_str() : nullptr,
                                                              password ? password->c_str() : nullptr));
    return nullptr;
}

// A count that may be unknown, which is null in JavaScript.
napi_value make_count(napi_env env, uint64_t count) {
    return count == FANWIRE_COUNT_UNKNOWN ? make_null(env) : make_number(env, static_cast<double>(count));
}

// engineHealth(engine) -> {verdict, status, text, publishLink, ...}
napi_value engine_health(const Call& call) {
    fanwire_health health = {};
    const auto& engine = handle_at<Engine>(call, 0);
    engine.environment().check(fanwire_engine_health(engine.get(), &health, sizeof health));

    napi_env env = call.env();
    const bool probed = health.probe_age_ms != FANWIRE_COUNT_UNKNOWN;
    napi_value object = make_object(env);
    set(env, object, "verdict", make_number(env, health.verdict));
    set(env, object, "status", make_number(env, health.status));
    set(env, object, "text", make_text(env, health.text));
    set(env, object, "publishLink", make_boolean(env, health.publish_link != 0));
    set(env, object, "subscribeLink", make_boolean(env, health.subscribe_link != 0));
    set(env, object, "unconfirmed", make_count(env, health.unconfirmed));
    set(env, object, "refused", make_count(env, health.refused));
    set(env, object, "silenceMs", make_count(env, health.silence_ms));
    set(env, object, "probeAgeMs", make_count(env, health.probe_age_ms));
    set(env, object, "probeUs", make_count(env, probed ? health.probe_us : FANWIRE_COUNT_UNKNOWN));
    return object;
}

napi_value make_histogram(const Call& call, const Engine& engine, fanwire_latency_kind kind) {
    fanwire_latency latency = {};
    engine.environment().check(fanwire_engine_latency(engine.get(), kind, &latency, sizeof latency));

    napi_env env = call.env();
    napi_value buckets = make_array(env);
    for (uint32_t i = 0; i < FANWIRE_LATENCY_BUCKETS; ++i) append(env, buckets, i, make_count(env, latency.buckets[i]));
    napi_value object = make_object(env);
    set(env, object, "count", make_count(env, latency.count));
    set(env, object, "sumUs", make_count(env, latency.sum_us));
    set(env, object, "maxUs", make_count(env, latency.max_us));
    set(env, object, "buckets", buckets);
    return object;
}

// engineLatency(engine) -> [publish, delivery], each {count, sumUs, maxUs, buckets}
napi_value engine_latency(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    napi_value both = make_array(call.env());
    append(call.env(), both, 0, make_histogram(call, engine, FANWIRE_LATENCY_PUBLISH));
    append(call.env(), both, 1, make_histogram(call, engine, FANWIRE_LATENCY_DELIVERY));
    return both;
}

// engineMetrics(engine, isPrometheus) -> text
napi_value engine_metrics(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const int format = call.boolean(1) ? FANWIRE_METRICS_PROMETHEUS : FANWIRE_METRICS_JSON;
    std::string text(size_t{16} << 10, '\0');  // mostly enough at once
    size_t size = text.size();
    int status = fanwire_engine_metrics(engine.get(), format, text.data(), &size);
    while (status == FANWIRE_LIMIT_REACHED) {
        text.resize(size);
        status = fanwire_engine_metrics(engine.get(), format, text.data(), &size);
    }
    engine.environment().check(status);
    return make_text(call.env(), text.c_str());
}

// engineStats(engine) -> {connected, ...}
// publish_ok: publishOk
std::string camel_case(std::string_view name) {
    std::string out;
    for (size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '_' && i + 1 < name.size() && name[i + 1] >= 'a' && name[i + 1] <= 'z')
            out += static_cast<char>(name[++i] - 'a' + 'A');
        else
            out += name[i];
    }
    return out;
}

napi_value engine_stats(const Call& call) {
    fanwire_engine_stats stats = {};
    const auto& engine = handle_at<Engine>(call, 0);
    engine.environment().check(fanwire_engine_stats_get(engine.get(), &stats, sizeof stats));

    napi_value object = make_object(call.env());
    for (size_t i = 0; i < fanwire_stat_count(); ++i) {
        fanwire_stat_info info = {};
        engine.environment().check(fanwire_stat_at(i, &info, sizeof info));
        uint64_t value = 0;
        std::memcpy(&value, reinterpret_cast<const char*>(&stats) + info.offset, sizeof value);
        const bool flag = std::string_view(info.kind) == "flag";
        set(call.env(), object, camel_case(info.name).c_str(),
            flag ? make_boolean(call.env(), value != 0) : make_number(call.env(), static_cast<double>(value)));
    }
    return object;
}

}  // namespace

void export_engine(napi_env env, napi_value exports) {
    export_function<engine_open>(env, exports, "engineOpen");
    export_function<engine_close>(env, exports, "engineClose");
    export_function<engine_destroy>(env, exports, "engineDestroy");
    export_function<engine_reconnect>(env, exports, "engineReconnect");
    export_function<engine_state>(env, exports, "engineState");
    export_function<set_credentials>(env, exports, "setCredentials");
    export_function<engine_health>(env, exports, "engineHealth");
    export_function<engine_stats>(env, exports, "engineStats");
    export_function<engine_latency>(env, exports, "engineLatency");
    export_function<engine_metrics>(env, exports, "engineMetrics");
}

}  // namespace fanwire::node
