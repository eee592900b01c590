#include "json.h"

#include <string>
#include <string_view>

#include "environment.h"

namespace fanwire::node {
namespace {

// Whether there is something to take out of `json`; how much stays goes to *size.
bool needs_cleaning(napi_env env, std::string_view json, size_t* size) {
    int changed = 0;
    *size = 0;
    Environment::of(env)->check(fanwire_json_clean(json.data(), json.size(), nullptr, size, &changed));
    return changed != 0;
}

void clean(napi_env env, std::string_view json, char* out, size_t* size) {
    int changed = 0;
    Environment::of(env)->check(fanwire_json_clean(json.data(), json.size(), out, size, &changed));
}

// cleanJsonBytes(bytes, start, size): a Buffer with what stays, or undefined when that is everything
napi_value clean_json_bytes(const Call& call) {
    const Bytes bytes(call.env(), call[0]);
    const size_t start = call.number(1);
    const size_t length = call.number(2);
    if (start > bytes.size() || length > bytes.size() - start) throw_plain(call.env(), "beyond the bytes");
    const std::string_view json(bytes.data() + start, length);
    size_t size = 0;
    if (!needs_cleaning(call.env(), json, &size)) return nullptr;
    napi_value buffer = nullptr;
    void* out = nullptr;
    check(call.env(), napi_create_buffer(call.env(), size, &out, &buffer));
    clean(call.env(), json, static_cast<char*>(out), &size);
    return buffer;
}

// A string's code units as bytes and back. Lone surrogates, which UTF-8 has no place for, are written like any other
// code point of their size (WTF-8): what is not taken out comes back as it was.
std::string to_wtf8(std::u16string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    const auto add = [&](unsigned unit) { bytes += static_cast<char>(unit); };
    for (const unsigned unit : text) {
        if (unit < 0x80) {
            add(unit);
        } else if (unit < 0x800) {
            add(0xc0 | unit >> 6);
            add(0x80 | (unit & 0x3f));
        } else {
            add(0xe0 | unit >> 12);
            add(0x80 | (unit >> 6 & 0x3f));
            add(0x80 | (unit & 0x3f));
        }
    }
    return bytes;
}

std::u16string from_wtf8(std::string_view bytes) {
    std::u16string text;
    text.reserve(bytes.size());
    for (size_t at = 0; at < bytes.size();) {
        const auto byte = [&](size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[at + i])); };
        const size_t size = byte(0) < 0x80 ? 1 : byte(0) < 0xe0 ? 2 : 3;
        unsigned unit = byte(0);
        if (size == 2) unit = (unit & 0x1f) << 6 | (byte(1) & 0x3f);
        if (size == 3) unit = (unit & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
        text += static_cast<char16_t>(unit);
        at += size;
    }
    return text;
}

// cleanJsonText(text): a string with what stays, or undefined when that is everything
napi_value clean_json_text(const Call& call) {
    napi_env env = call.env();
    size_t units = 0;
    check(env, napi_get_value_string_utf16(env, call[0], nullptr, 0, &units));
    std::u16string text(units + 1, u'\0');  // and its NUL
    check(env, napi_get_value_string_utf16(env, call[0], text.data(), text.size(), &units));
    text.resize(units);
    std::string json = to_wtf8(text);
    size_t size = 0;
    if (!needs_cleaning(env, json, &size)) return nullptr;
    clean(env, json, json.data(), &size);
    json.resize(size);
    text = from_wtf8(json);
    napi_value result = nullptr;
    check(env, napi_create_string_utf16(env, text.data(), text.size(), &result));
    return result;
}

}  // namespace

void export_json(napi_env env, napi_value exports) {
    export_function<clean_json_bytes>(env, exports, "cleanJsonBytes");
    export_function<clean_json_text>(env, exports, "cleanJsonText");
}

}  // namespace fanwire::node
