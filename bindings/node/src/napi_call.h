// One Node-API call, as C++ wants to write it: arguments, results, and errors as C++ exceptions that end in one
// catch ladder. Nothing here knows about fanwire.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace fanwire::node {

// A JavaScript exception is pending in the environment; unwind to the boundary and let it be thrown.
struct PendingException {};

// A call Node-API itself refused.
void check(napi_env env, napi_status status);

// The arguments of a call from JavaScript. Missing ones are undefined.
class Call {
 public:
    static constexpr size_t kMaxArgs = 6;

    Call(napi_env env, napi_callback_info info);

    napi_env env() const { return env_; }
    napi_value operator[](size_t index) const { return args_[index]; }

    std::string text(size_t index) const;
    std::optional<std::string> optional_text(size_t index) const;  // none for null
    uint32_t number(size_t index) const;
    double real(size_t index) const;
    bool boolean(size_t index) const;

 private:
    napi_env env_;
    napi_value args_[kMaxArgs];
};

// The bytes of a string (as UTF-8) or of a Uint8Array, for the duration of a call. Short strings need no allocation;
// a Uint8Array is not copied at all.
class Bytes {
 public:
    Bytes(napi_env env, napi_value value);

    const char* data() const { return data_; }
    size_t size() const { return size_; }

 private:
    bool read_string(napi_env env, napi_value value);  // false: it is no string

    const char* data_ = "";
    size_t size_ = 0;
    std::unique_ptr<char[]> large_;
    char small_[1024];
};

// The memory of an Int32Array, for the duration of a call.
std::span<int32_t> int32_array(napi_env env, napi_value value);

napi_value make_undefined(napi_env env);
napi_value make_null(napi_env env);
napi_value make_text(napi_env env, const char* text);  // NULL gives ""
napi_value make_number(napi_env env, double value);
napi_value make_boolean(napi_env env, bool value);
napi_value make_object(napi_env env);
napi_value make_array(napi_env env);
void append(napi_env env, napi_value array, uint32_t index, napi_value value);
void set(napi_env env, napi_value object, const char* name, napi_value value);

// Throws a plain JavaScript Error, for what can only be a mistake inside this package.
[[noreturn]] void throw_plain(napi_env env, const char* text);

// The boundary: no C++ exception leaves it.
template <napi_value (*Function)(const Call&)>
napi_value guarded(napi_env env, napi_callback_info info) noexcept {
    try {
        return Function(Call(env, info));
    } catch (const PendingException&) {
    } catch (const std::exception& error) {
        napi_throw_error(env, nullptr, error.what());
    }
    return nullptr;
}

template <napi_value (*Function)(const Call&)>
void export_function(napi_env env, napi_value exports, const char* name) {
    napi_value function = nullptr;
    check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, guarded<Function>, nullptr, &function));
    set(env, exports, name, function);
}

}  // namespace fanwire::node
