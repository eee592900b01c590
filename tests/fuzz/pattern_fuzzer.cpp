// glob_match() against backtracking as Redis does it. Input: pattern, a line feed, text.
#include <optional>

#include "core/message/glob.h"
#include "tests/fuzz/script.h"

namespace {

using fanwire::fuzz::require;

// Redis's rules, spelled anew: each '*' tries every length; what is not '*' takes one byte. Empty when that takes too
// many steps.
class Backtracking {
 public:
    std::optional<bool> match(std::string_view pattern, std::string_view text) {
        if (text.empty()) return pattern.empty();
        const bool matched = run(pattern, text);
        return steps_left_ > 0 ? std::optional(matched) : std::nullopt;
    }

 private:
    bool run(std::string_view pattern, std::string_view text) {
        if (--steps_left_ <= 0) return false;
        if (pattern.empty()) return text.empty();
        if (pattern[0] == '*') {
            for (std::size_t taken = 0; taken <= text.size() && steps_left_ > 0; ++taken)
                if (run(pattern.substr(1), text.substr(taken))) return true;
            return false;
        }
        if (text.empty()) return false;
        std::string_view behind = pattern.substr(1);
        bool fits = pattern[0] == text[0];
        if (pattern[0] == '?') {
            fits = true;
        } else if (pattern[0] == '[') {
            fits = set_has(behind, text[0]);
        } else if (pattern[0] == '\\' && !behind.empty()) {
            fits = behind[0] == text[0];
            behind.remove_prefix(1);
        }
        return fits && run(behind, text.substr(1));
    }

    // Takes the set with its ']' off the front of `set`.
    static bool set_has(std::string_view& set, char byte) {
        const bool inverted = set.starts_with('^');
        if (inverted) set.remove_prefix(1);
        const auto value = [](char c) { return static_cast<int>(static_cast<signed char>(c)); };
        bool in = false;
        for (;; set.remove_prefix(1)) {
            if (set.empty()) break;
            if (set[0] == ']') {
                set.remove_prefix(1);
                break;
            }
            if (set[0] == '\\' && set.size() > 1) {
                set.remove_prefix(1);
                in |= set[0] == byte;
            } else if (set.size() > 2 && set[1] == '-') {
                const int from = value(set[0]), to = value(set[2]), it = value(byte);
                in |= (from <= it && it <= to) || (to <= it && it <= from);
                set.remove_prefix(2);
            } else {
                in |= set[0] == byte;
            }
        }
        return in != inverted;
    }

    int steps_left_ = 50000;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = fanwire::fuzz::text_of(data, size);
    const std::size_t line = input.find('\n');
    const std::string_view pattern = input.substr(0, line);
    const std::string_view text = line == input.npos ? std::string_view() : input.substr(line + 1);
    const bool matched = fanwire::core::glob_match(pattern, text);
    if (const auto expected = Backtracking().match(pattern, text))
        require(matched == *expected, "matches as in Redis", input);
    return 0;
}
