// Rules of settings: which texts are values, how they are read and how they are shown again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fanwire::core::rules {

inline constexpr int64_t KiB = 1024;
inline constexpr int64_t MiB = 1024 * KiB;
inline constexpr int64_t GiB = 1024 * MiB;

template <class T>
struct Rule {
    const char* type;      // as the C API names it: "string" "integer" "size" "enum"
    std::string range;     // for the table of settings: "1..65535"; "" when anything goes
    std::string expected;  // for error texts: "must be a whole number from 1 to 65535"
    bool secret = false;   // neither its value nor a wrong one may be shown
    std::function<std::optional<T>(std::string_view)> parse;
    std::function<std::string(const T&)> show;
};

// UTF-8 without control characters, of min to max bytes.
Rule<std::string> text(size_t min, size_t max);

// Up to max printable ASCII characters without spaces: what CLIENT SETNAME takes.
Rule<std::string> word(size_t max);

// Up to max bytes of any kind but NUL, never shown.
Rule<std::string> secret(size_t max);

// A host name or an IP address. Whether it exists is for the resolver to find out.
Rule<std::string> host();

// Host names or IP addresses with ports or without, separated by commas; or nothing.
Rule<std::string> hosts();

// A URL; shown without its password.
Rule<std::string> url();

// "true" or "false".
Rule<bool> boolean();

Rule<int64_t> integer(int64_t min, int64_t max);

// A number that may have a fraction: "1.5". No exponent.
Rule<double> decimal(double min, double max);

// A number of bytes: "4096", "64KiB".
Rule<int64_t> size(int64_t min, int64_t max);

// One of `words`, read as its index.
Rule<size_t> word_of(std::vector<std::string> words);

// "queue, fail" as a preprocessor gives them, in pieces.
std::vector<std::string> split_words(std::string_view words);

// One of the words of an enumeration declared with FANWIRE_CHOICE.
template <class Enum>
Rule<Enum> choice_of(std::string_view words) {
    Rule<size_t> by_index = word_of(split_words(words));
    Rule<Enum> rule{by_index.type, by_index.range, by_index.expected, false, nullptr, nullptr};
    rule.parse = [parse = by_index.parse](std::string_view value) -> std::optional<Enum> {
        std::optional<size_t> index = parse(value);
        if (!index) return std::nullopt;
        return static_cast<Enum>(*index);
    };
    rule.show = [show = by_index.show](const Enum& value) { return show(static_cast<size_t>(value)); };
    return rule;
}

}  // namespace fanwire::core::rules
