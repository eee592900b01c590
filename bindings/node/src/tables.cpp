#include "tables.h"

#include <string>

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

// {1: "reconnect", ...} of a set of names
napi_value names(napi_env env, int set_of_names) {
    napi_value object = make_object(env);
    for (size_t i = 0; i < fanwire_name_count(set_of_names); ++i) {
        fanwire_name_info info = {};
        Environment::of(env)->check(fanwire_name_at(set_of_names, i, &info, sizeof info));
        check(env, napi_set_element(env, object, static_cast<uint32_t>(info.code), make_text(env, info.name)));
    }
    return object;
}

// {MESSAGE: 1, ...} of a set of names
napi_value codes(napi_env env, int set_of_names) {
    napi_value object = make_object(env);
    for (size_t i = 0; i < fanwire_name_count(set_of_names); ++i) {
        fanwire_name_info info = {};
        Environment::of(env)->check(fanwire_name_at(set_of_names, i, &info, sizeof info));
        std::string name = info.name;
        for (char& letter : name)
            if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
        set(env, object, name.c_str(), make_number(env, info.code));
    }
    return object;
}

// {eventKinds: {MESSAGE: 1, ...}, gapReasons: {1: "reconnect", ...}, verdicts: {1: "ok", ...},
// logLevels: {1: "error", ...}, states: {1: "connecting", ...}, payloadTypes: {0: "binary", ...}}
napi_value constants(const Call& call) {
    napi_env env = call.env();
    napi_value result = make_object(env);
    set(env, result, "eventKinds", codes(env, FANWIRE_NAMES_EVENT_KIND));
    set(env, result, "gapReasons", names(env, FANWIRE_NAMES_GAP_REASON));
    set(env, result, "verdicts", names(env, FANWIRE_NAMES_HEALTH_VERDICT));
    set(env, result, "logLevels", names(env, FANWIRE_NAMES_LOG_LEVEL));
    set(env, result, "states", names(env, FANWIRE_NAMES_ENGINE_STATE));
    set(env, result, "payloadTypes", names(env, FANWIRE_NAMES_PAYLOAD_TYPE));
    return result;
}

napi_value version(const Call& call) {
    return make_text(call.env(), fanwire_version());
}

}  // namespace

void export_tables(napi_env env, napi_value exports) {
    export_function<status_table>(env, exports, "statusTable");
    export_function<option_table>(env, exports, "optionTable");
    export_function<constants>(env, exports, "constants");
    export_function<dependencies>(env, exports, "dependencies");
    export_function<version>(env, exports, "version");
}

}  // namespace fanwire::node
