#include "napi_call.h"

namespace fanwire::node {

void check(napi_env env, napi_status status) {
    if (status == napi_ok) return;
    const napi_extended_error_info* info = nullptr;
    napi_get_last_error_info(env, &info);
    const char* text = info != nullptr ? info->error_message : nullptr;
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_error(env, nullptr, text != nullptr ? text : "a Node-API call failed");
    throw PendingException{};
}

void throw_plain(napi_env env, const char* text) {
    napi_throw_error(env, nullptr, text);
    throw PendingException{};
}

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMaxArgs;
    check(env, napi_get_cb_info(env, info, &count, args_, nullptr, nullptr));
}

std::string Call::text(size_t index) const {
    const Bytes bytes(env_, args_[index]);
    return std::string(bytes.data(), bytes.size());
}

std::optional<std::string> Call::optional_text(size_t index) const {
    napi_valuetype type = napi_undefined;
    check(env_, napi_typeof(env_, args_[index], &type));
    if (type == napi_null) return std::nullopt;
    return text(index);
}

uint32_t Call::number(size_t index) const {
    uint32_t value = 0;
    check(env_, napi_get_value_uint32(env_, args_[index], &value));
    return value;
}

double Call::real(size_t index) const {
    double value = 0;
    check(env_, napi_get_value_double(env_, args_[index], &value));
    return value;
}

bool Call::boolean(size_t index) const {
    bool value = false;
    check(env_, napi_get_value_bool(env_, args_[index], &value));
    return value;
}

Bytes::Bytes(napi_env env, napi_value value) {
    if (read_string(env, value)) return;
    napi_typedarray_type element = napi_uint8_array;
    void* data = nullptr;
    check(env, napi_get_typedarray_info(env, value, &element, &size_, &data, nullptr, nullptr));
    if (element != napi_uint8_array) throw_plain(env, "expected a string or a Uint8Array");
    data_ = size_ > 0 ? static_cast<const char*>(data) : "";
}

bool Bytes::read_string(napi_env env, napi_value value) {
    constexpr size_t kLongestCharacter = 4;
    const napi_status status = napi_get_value_string_utf8(env, value, small_, sizeof small_, &size_);
    if (status == napi_string_expected) return false;
    check(env, status);
    data_ = small_;
    if (size_ + kLongestCharacter < sizeof small_) return true;  // another character would have fitted: that was all

    check(env, napi_get_value_string_utf8(env, value, nullptr, 0, &size_));
    if (size_ < sizeof small_) return true;
    large_ = std::make_unique_for_overwrite<char[]>(size_ + 1);
    check(env, napi_get_value_string_utf8(env, value, large_.get(), size_ + 1, &size_));
    data_ = large_.get();
    return true;
}

std::span<int32_t> int32_array(napi_env env, napi_value value) {
    napi_typedarray_type type = napi_int32_array;
    size_t size = 0;
    void* data = nullptr;
    check(env, napi_get_typedarray_info(env, value, &type, &size, &data, nullptr, nullptr));
    if (type != napi_int32_array) throw_plain(env, "expected an Int32Array");
    return {static_cast<int32_t*>(data), size};
}

napi_value make_undefined(napi_env env) {
    napi_value value = nullptr;
    check(env, napi_get_undefined(env, &value));
    return value;
}

napi_value make_null(napi_env env) {
    napi_value value = nullptr;
    check(env, napi_get_null(env, &value));
    return value;
}

napi_value make_text(napi_env env, const char* text) {
    napi_value value = nullptr;
    check(env, napi_create_string_utf8(env, text != nullptr ? text : "", NAPI_AUTO_LENGTH, &value));
    return value;
}

napi_value make_number(napi_env env, double number) {
    napi_value value = nullptr;
    check(env, napi_create_double(env, number, &value));
    return value;
}

napi_value make_boolean(napi_env env, bool boolean) {
    napi_value value = nullptr;
    check(env, napi_get_boolean(env, boolean, &value));
    return value;
}

napi_value make_object(napi_env env) {
    napi_value value = nullptr;
    check(env, napi_create_object(env, &value));
    return value;
}

napi_value make_array(napi_env env) {
    napi_value value = nullptr;
    check(env, napi_create_array(env, &value));
    return value;
}

void append(napi_env env, napi_value array, uint32_t index, napi_value value) {
    check(env, napi_set_element(env, array, index, value));
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
    check(env, napi_set_named_property(env, object, name, value));
}

}  // namespace fanwire::node
