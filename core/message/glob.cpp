#include "core/message/glob.h"

#include <algorithm>
#include <cstddef>

namespace fanwire::core {

namespace {

// Redis compares the ends of a range as plain `char`, which is signed on x86-64: [a-\xff] means \xff (-1) to 'a'.
// We do the same on every platform.
int order(char byte) {
    return static_cast<signed char>(byte);
}

// Matches `byte` against the class whose first byte after '[' is at `at`, and moves `at` behind its end. Redis's rules,
// which differ from POSIX's: an empty class matches nothing; a class without ']' ends with the pattern; a range with
// its ends swapped is put right; the third byte of a range is taken as it is, be it ']' or '\'.
bool match_class(std::string_view pattern, size_t& at, char byte) {
    bool negated = at < pattern.size() && pattern[at] == '^';
    if (negated) ++at;
    bool found = false;
    while (at < pattern.size() && pattern[at] != ']') {
        size_t left = pattern.size() - at;
        if (pattern[at] == '\\' && left >= 2) {
            found = found || pattern[at + 1] == byte;
            at += 2;
        } else if (left >= 3 && pattern[at + 1] == '-') {
            auto [low, high] = std::minmax({order(pattern[at]), order(pattern[at + 2])});
            found = found || (low <= order(byte) && order(byte) <= high);
            at += 3;
        } else {
            found = found || pattern[at] == byte;
            at += 1;
        }
    }
    if (at < pattern.size()) ++at;  // the ']'
    return found != negated;
}

// Matches one byte against the element of the pattern at `at`, which is not '*', and moves `at` behind it.
bool match_one(std::string_view pattern, size_t& at, char byte) {
    char element = pattern[at++];
    if (element == '?') return true;
    if (element == '[') return match_class(pattern, at, byte);
    if (element == '\\' && at < pattern.size()) element = pattern[at++];  // a trailing '\' stands for itself
    return element == byte;
}

}  // namespace

// Every element but '*' takes exactly one byte, so only the last '*' ever needs to be tried with more text: what an
// earlier one could gain by taking more, the last one can take as well. Redis 7 gives up after 1000 nested '*'; the
// longest pattern we accept cannot hold as many.
bool glob_match(std::string_view pattern, std::string_view text) {
    if (text.empty()) return pattern.empty();  // in Redis not even "*" matches the empty text

    constexpr size_t none = std::string_view::npos;
    size_t after_star = none;  // behind the last '*' seen
    size_t star_text = 0;      // where the text that follows that '*' is tried
    size_t p = 0;
    size_t t = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            after_star = ++p;
            star_text = t;
        } else if (p < pattern.size() && match_one(pattern, p, text[t])) {
            ++t;
        } else if (after_star != none) {
            p = after_star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace fanwire::core
