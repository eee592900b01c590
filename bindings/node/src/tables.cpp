#include "tables.h"

#include "environment.h"

namespace fanwire::node {
namespace {

napi_value status_table(const Call& call) {
    napi_env env = call.env();
    napi_value table = make_array(env);
    for (size_t i = 0; i < fanwire_status_count(); ++i) {
        fanwire_status_info info = {};
        Environment::of(env)->check(fanwire_status_at(i, &info, sizeof info));
        napi_value row = make_object(env);
        set(env, row, "status", make_number(env, info.code));
        set(env, row, "code", make_text(env, info.name));
        set(env, row, "text", make_text(env, info.text));
        set(env, row, "retryable", make_boolean(env, info.retryable != 0));
        append(env, table, static_cast<uint32_t>(i), row);
    }
    return table;
}

napi_value option_table(const Call& call) {
    napi_env env = call.env();
    napi_value table = make_array(env);
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        fanwire_option_info info = {};
        Environment::of(env)->check(fanwire_option_at(i, &info, sizeof info));
        napi_value row = make_object(env);
        set(env, row, "name", make_text(env, info.name));
        set(env, row, "type", make_text(env, info.type));
        set(env, row, "default", make_text(env, info.default_value));
        set(env, row, "range", make_text(env, info.range));
        set(env, row, "help", make_text(env, info.help));
        set(env, row, "secret", make_boolean(env, info.secret != 0));
        append(env, table, static_cast<uint32_t>(i), row);
    }
    return table;
}

// {name: version} of the libraries underneath
napi_value dependencies(const Call& call) {
    napi_value object = make_object(call.env());
    const char* name = nullptr;
    const char* version = nullptr;
    for (size_t i = 0; fanwire_dependency_at(i, &name, &version) == FANWIRE_OK; ++i) {
        set(call.env(), object, name, make_text(call.env(), version));
    }
    return object;
}

// {eventKinds: {MESSAGE: 1, ...}, gapReasons: {1: "reconnect", ...}, verdicts: {1: "ok", ...},
// logLevels: {1: "error", ...}, states: {1: "connecting", ...}}
napi_value constants(const Call& call) {
    napi_env env = call.env();
    napi_value kinds = make_object(env);
    const auto add = [&](const char* name, fanwire_event_kind kind) { set(env, kinds, name, make_number(env, kind)); };
    add("MESSAGE", FANWIRE_EVENT_MESSAGE);
    add("ACTIVE", FANWIRE_EVENT_ACTIVE);
    add("LOST", FANWIRE_EVENT_LOST);
    add("RESUMED", FANWIRE_EVENT_RESUMED);
    add("GAP", FANWIRE_EVENT_GAP);
    add("FAILED", FANWIRE_EVENT_FAILED);
    add("ENDED", FANWIRE_EVENT_ENDED);
    add("PUBLISHED", FANWIRE_EVENT_PUBLISHED);
    add("CONNECTED", FANWIRE_EVENT_CONNECTED);
    add("DISCONNECTED", FANWIRE_EVENT_DISCONNECTED);
    add("RECONNECTING", FANWIRE_EVENT_RECONNECTING);
    add("GAVE_UP", FANWIRE_EVENT_GAVE_UP);
    add("ERROR", FANWIRE_EVENT_ERROR);
    add("NUMSUB", FANWIRE_EVENT_NUMSUB);
    add("REPLY", FANWIRE_EVENT_REPLY);
    add("REQUEST_DONE", FANWIRE_EVENT_REQUEST_DONE);

    napi_value reasons = make_object(env);
    check(env, napi_set_element(env, reasons, FANWIRE_GAP_RECONNECT, make_text(env, "reconnect")));
    check(env, napi_set_element(env, reasons, FANWIRE_GAP_OVERFLOW, make_text(env, "overflow")));
    check(env, napi_set_element(env, reasons, FANWIRE_GAP_OUTPUT_BUFFER, make_text(env, "output_buffer")));

    napi_value verdicts = make_object(env);
    check(env, napi_set_element(env, verdicts, FANWIRE_HEALTH_OK, make_text(env, "ok")));
    check(env, napi_set_element(env, verdicts, FANWIRE_HEALTH_DEGRADED, make_text(env, "degraded")));
    check(env, napi_set_element(env, verdicts, FANWIRE_HEALTH_DOWN, make_text(env, "down")));

    napi_value levels = make_object(env);
    check(env, napi_set_element(env, levels, FANWIRE_LOG_ERROR, make_text(env, "error")));
    check(env, napi_set_element(env, levels, FANWIRE_LOG_WARN, make_text(env, "warn")));
    check(env, napi_set_element(env, levels, FANWIRE_LOG_INFO, make_text(env, "info")));
    check(env, napi_set_element(env, levels, FANWIRE_LOG_DEBUG, make_text(env, "debug")));

    napi_value states = make_object(env);
    check(env, napi_set_element(env, states, FANWIRE_ENGINE_CONNECTING, make_text(env, "connecting")));
    check(env, napi_set_element(env, states, FANWIRE_ENGINE_CONNECTED, make_text(env, "connected")));
    check(env, napi_set_element(env, states, FANWIRE_ENGINE_RECONNECTING, make_text(env, "reconnecting")));
    check(env, napi_set_element(env, states, FANWIRE_ENGINE_GAVE_UP, make_text(env, "gave_up")));
    check(env, napi_set_element(env, states, FANWIRE_ENGINE_CLOSED, make_text(env, "closed")));

    napi_value result = make_object(env);
    set(env, result, "logLevels", levels);
    set(env, result, "states", states);
    set(env, result, "eventKinds", kinds);
    set(env, result, "gapReasons", reasons);
    set(env, result, "verdicts", verdicts);
    return result;
}

napi_value version(const Call& call) { return make_text(call.env(), fanwire_version()); }

} // namespace

void export_tables(napi_env env, napi_value exports) {
    export_function<status_table>(env, exports, "statusTable");
    export_function<option_table>(env, exports, "optionTable");
    export_function<constants>(env, exports, "constants");
    export_function<dependencies>(env, exports, "dependencies");
    export_function<version>(env, exports, "version");
}

} // namespace fanwire::node
