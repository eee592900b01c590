#include "core/message/names.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/message/frame.h"
#include "core/message/target.h"

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

// What fanwire sends itself, apart from replies; in no namespace, so that patterns of a namespace do not match it.
constexpr std::string_view reserved = "__fanwire:";

std::string_view name_of(TargetKind kind) {
    return kind == TargetKind::channel ? "channel" : "pattern";
}

void check_reserved(std::string_view prefix, std::string_view name, TargetKind kind) {
    const std::size_t ours = std::min(prefix.size(), reserved.size());
    if (prefix.substr(0, ours) != reserved.substr(0, ours) || !name.starts_with(reserved.substr(ours))) return;
    throw Failure(Status::INVALID_CHANNEL, std::string(name_of(kind)) + " " + quote(name) + ": names that begin with " +
                                               std::string(reserved) + " in Redis are fanwire's own");
}

void check(std::string_view name, ChannelRules rules, TargetKind kind) {
    const bool strict = rules == ChannelRules::strict;
    const bool pattern = kind == TargetKind::pattern;
    const std::size_t max = strict ? max_strict : max_lax;
    const auto what = [&] { return std::string(name_of(kind)); };
    if (name.empty()) throw Failure(Status::INVALID_CHANNEL, "the " + what() + " is empty");
    if (frame::is_reply_channel(name))
        throw Failure(Status::INVALID_CHANNEL, what() + " " + quote(name) + ": reply channels are fanwire's own");
    if (name.size() > max)
        throw Failure(Status::INVALID_CHANNEL,
                      what() + " " + quote(name) + " is longer than the " + std::to_string(max) +
                          " bytes that channel_rules=" + (strict ? "strict" : "lax") + " allows");
    if (!strict) return;
    const auto fits = [&](char byte) { return is_strict_byte(byte) || (pattern && is_glob_byte(byte)); };
    const auto wrong = std::find_if_not(name.begin(), name.end(), fits);
    if (wrong == name.end()) return;
    throw Failure(Status::INVALID_CHANNEL,
                  what() + " " + quote(name) + " holds " + quote(std::string_view(&*wrong, 1)) +
                      "; channel_rules=strict allows a-z A-Z 0-9 _ : . -" + (pattern ? " and * ? [ ] ^ \\" : ""));
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
    may_be_reserved_ = channel_prefix_.starts_with(reserved);  // they end with its only colon, or differ
}

void Namespace::check_channel(std::string_view channel) const {
    check(channel, rules_, TargetKind::channel);
    if (may_be_reserved_) check_reserved(channel_prefix_, channel, TargetKind::channel);
}

std::string Namespace::channel(std::string_view channel) const {
    check_channel(channel);
    return channel_prefix_ + std::string(channel);
}

std::string Namespace::pattern(std::string_view pattern) const {
    check(pattern, rules_, TargetKind::pattern);
    if (may_be_reserved_) check_reserved(pattern_prefix_, pattern, TargetKind::pattern);
    return pattern_prefix_ + std::string(pattern);
}

}  // namespace fanwire::core
