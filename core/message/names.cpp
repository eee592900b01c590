#include "core/message/names.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace fanwire::core {

namespace {

constexpr size_t max_namespace = 256;
constexpr size_t max_lax = 1024;
constexpr size_t max_strict = 256;

bool is_strict_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == ':' || byte == '.' || byte == '-';
}

bool is_glob_byte(char byte) {
    return std::string_view("*?[]^\\").find(byte) != std::string_view::npos;
}

// What fanwire sends itself; in no namespace, so that patterns of a namespace do not match it.
constexpr std::string_view reserved = "__fanwire:";

std::string wire_name(const std::string& prefix, std::string_view name, const char* kind) {
    std::string wire = prefix + std::string(name);
    if (wire.starts_with(reserved))
        throw Failure(Status::INVALID_CHANNEL, std::string(kind) + " " + quote(name) + ": names that begin with " +
                                                   std::string(reserved) + " in Redis are fanwire's own");
    return wire;
}

// `kind` is "channel" or "pattern".
void check(std::string_view name, ChannelRules rules, const std::string& kind) {
    bool strict = rules == ChannelRules::strict;
    bool pattern = kind == "pattern";
    size_t max = strict ? max_strict : max_lax;
    if (name.empty()) throw Failure(Status::INVALID_CHANNEL, "the " + kind + " is empty");
    if (name.size() > max)
        throw Failure(Status::INVALID_CHANNEL, kind + " " + quote(name) + " is longer than the " + std::to_string(max) +
                                                   " bytes that channel_rules=" + (strict ? "strict" : "lax") +
                                                   " allows");
    auto fits = [&](char byte) { return !strict || is_strict_byte(byte) || (pattern && is_glob_byte(byte)); };
    auto wrong = std::find_if_not(name.begin(), name.end(), fits);
    if (wrong == name.end()) return;
    throw Failure(Status::INVALID_CHANNEL, kind + " " + quote(name) + " holds " + quote(std::string_view(&*wrong, 1)) +
                                               "; channel_rules=strict allows a-z A-Z 0-9 _ : . -" +
                                               (pattern ? " and * ? [ ] ^ \\" : ""));
}

// Outside a class only these four are special to Redis. No others are escaped: ACL rules compare patterns as text, and
// "my-app:*" must be found in them.
std::string escape(std::string_view text) {
    std::string escaped;
    for (char byte : text) {
        if (std::string_view("*?[\\").find(byte) != std::string_view::npos) escaped += '\\';
        escaped += byte;
    }
    return escaped;
}

}  // namespace

Namespace::Namespace(std::string_view name, ChannelRules rules) : rules_(rules) {
    if (name.size() > max_namespace)
        throw Failure(Status::INVALID_OPTION,
                      "namespace " + quote(name) + " is longer than " + std::to_string(max_namespace) + " bytes");
    if (name.empty()) return;
    channel_prefix_ = std::string(name) + ":";
    pattern_prefix_ = escape(name) + ":";
}

std::string Namespace::channel(std::string_view channel) const {
    check(channel, rules_, "channel");
    return wire_name(channel_prefix_, channel, "channel");
}

std::string Namespace::pattern(std::string_view pattern) const {
    check(pattern, rules_, "pattern");
    return wire_name(pattern_prefix_, pattern, "pattern");
}

}  // namespace fanwire::core
