#include "core/base/rules.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/decimal.h"
#include "core/base/server_address.h"
#include "core/base/text.h"
#include "core/base/url.h"

namespace fanwire::core::rules {

namespace {

bool is_visible_ascii(char byte) {
    return byte > ' ' && byte <= '~';
}

bool all_visible_ascii(std::string_view value) {
    return std::all_of(value.begin(), value.end(), is_visible_ascii);
}

std::string same(const std::string& value) {
    return value;
}

// The units of sizes, greatest first.
struct Unit {
    std::string_view suffix;
    int64_t bytes;
};
constexpr Unit units[] = {{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}};

// The shortest exact form: 8388608 is "8MiB", 1000 is "1000".
std::string show_size(int64_t bytes) {
    for (const Unit& unit : units)
        if (bytes >= unit.bytes && bytes % unit.bytes == 0 && unit.bytes > 1)
            return std::to_string(bytes / unit.bytes) + std::string(unit.suffix);
    return std::to_string(bytes);
}

// Decimal digits only: no sign but '-', no spaces, no fraction. nullopt also when it does not fit.
std::optional<int64_t> parse_integer(std::string_view value) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
    return number;
}

// Digits, with a point or without: neither "1e3" nor "inf" nor "0x1".
std::optional<double> parse_decimal(std::string_view value) {
    const std::optional<double> number = take_decimal(value);
    return value.empty() ? number : std::nullopt;
}

std::optional<int64_t> parse_size(std::string_view value) {
    int64_t factor = 1;
    for (const Unit& unit : units) {
        if (!value.ends_with(unit.suffix)) continue;
        factor = unit.bytes;
        value.remove_suffix(unit.suffix.size());
        break;
    }
    std::optional<int64_t> number = parse_integer(value);
    if (!number || *number > INT64_MAX / factor || *number < 0) return std::nullopt;
    return *number * factor;
}

std::string at_most_bytes(size_t max) {
    return "at most " + std::to_string(max) + " bytes";
}

}  // namespace

Rule<std::string> text(size_t min, size_t max) {
    std::string range = at_most_bytes(max);
    auto parse = [min, max](std::string_view value) -> std::optional<std::string> {
        if (value.size() < min || value.size() > max || !is_plain_text(value)) return std::nullopt;
        return std::string(value);
    };
    return {"string", range, "must be UTF-8 text of " + range + " without control characters", false, parse, same};
}

Rule<std::string> word(size_t max) {
    std::string range = "at most " + std::to_string(max) + " printable ASCII characters without spaces";
    auto parse = [max](std::string_view value) -> std::optional<std::string> {
        if (value.size() > max || !all_visible_ascii(value)) return std::nullopt;
        return std::string(value);
    };
    return {"string", range, "must be " + range, false, parse, same};
}

Rule<std::string> secret(size_t max) {
    auto parse = [max](std::string_view value) -> std::optional<std::string> {
        if (value.size() > max || value.find('\0') != std::string_view::npos) return std::nullopt;
        return std::string(value);
    };
    auto show = [](const std::string& value) { return value.empty() ? "" : "***"; };
    return {"string", at_most_bytes(max), "must be " + at_most_bytes(max) + " without NUL", true, parse, show};
}

Rule<std::string> host() {
    constexpr size_t max = 253;  // RFC 1035
    auto parse = [](std::string_view value) -> std::optional<std::string> {
        bool brackets = value.find_first_of("[]/@?#") != std::string_view::npos;
        if (value.empty() || value.size() > max || !all_visible_ascii(value) || brackets) return std::nullopt;
        return std::string(value);
    };
    return {"string", "", "must be a host name or an IP address, an IPv6 one without brackets", false, parse, same};
}

Rule<std::string> hosts() {
    constexpr size_t max = 4096;
    auto parse = [](std::string_view value) -> std::optional<std::string> {
        if (value.size() > max || !all_visible_ascii(value)) return std::nullopt;
        if (!value.empty() && !parse_addresses(value, sentinel_port)) return std::nullopt;
        return std::string(value);
    };
    return {"string", "", "must be host:port,host:port..., an IPv6 address in brackets", false, parse, same};
}

Rule<std::string> url() {
    auto parse = [](std::string_view value) -> std::optional<std::string> {
        parse_url(value);  // says more about what is wrong than `expected` could
        return std::string(value);
    };
    auto show = [](const std::string& value) { return redact_url(value); };
    return {"string", "", "must be a URL", false, parse, show};
}

Rule<bool> boolean() {
    auto parse = [](std::string_view value) -> std::optional<bool> {
        if (value != "true" && value != "false") return std::nullopt;
        return value == "true";
    };
    auto show = [](const bool& value) { return value ? "true" : "false"; };
    return {"boolean", "true|false", "must be true or false", false, parse, show};
}

Rule<int64_t> integer(int64_t min, int64_t max) {
    auto parse = [min, max](std::string_view value) -> std::optional<int64_t> {
        std::optional<int64_t> number = parse_integer(value);
        return number && *number >= min && *number <= max ? number : std::nullopt;
    };
    std::string from = std::to_string(min), to = std::to_string(max);
    return {"integer",
            from + ".." + to,
            "must be a whole number from " + from + " to " + to,
            false,
            parse,
            [](const int64_t& value) { return std::to_string(value); }};
}

Rule<double> decimal(double min, double max) {
    auto parse = [min, max](std::string_view value) -> std::optional<double> {
        std::optional<double> number = parse_decimal(value);
        if (number && (*number < min || *number > max)) return std::nullopt;
        return number;
    };
    std::string from = show_decimal(min), to = show_decimal(max);
    return {"number",
            from + ".." + to,
            "must be a number from " + from + " to " + to,
            false,
            parse,
            [](const double& value) { return show_decimal(value); }};
}

Rule<int64_t> size(int64_t min, int64_t max) {
    auto parse = [min, max](std::string_view value) -> std::optional<int64_t> {
        std::optional<int64_t> bytes = parse_size(value);
        return bytes && *bytes >= min && *bytes <= max ? bytes : std::nullopt;
    };
    std::string from = show_size(min), to = show_size(max);
    std::string expected =
        "must be a size from " + from + " to " + to + " (bytes, or a number with B, KiB, MiB or GiB)";
    return {"size", from + ".." + to, expected, false, parse, [](const int64_t& value) { return show_size(value); }};
}

Rule<size_t> word_of(std::vector<std::string> words) {
    std::string range;
    for (const std::string& word : words) range += (range.empty() ? "" : "|") + word;
    auto parse = [words](std::string_view value) -> std::optional<size_t> {
        auto found = std::find(words.begin(), words.end(), value);
        if (found == words.end()) return std::nullopt;
        return static_cast<size_t>(found - words.begin());
    };
    return {"enum", range, "must be one of " + range,
            false,  parse, [words](const size_t& value) { return words.at(value); }};
}

std::vector<std::string> split_words(std::string_view words) {
    std::vector<std::string> pieces;
    while (!words.empty()) {
        size_t end = std::min(words.find(", "), words.size());
        pieces.emplace_back(words.substr(0, end));
        words.remove_prefix(std::min(end + 2, words.size()));
    }
    return pieces;
}

}  // namespace fanwire::core::rules
