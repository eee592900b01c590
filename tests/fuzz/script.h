// What the fuzzers share: saying that something does not hold, and reading an input as a script.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace fanwire::fuzz {

// Ends the run as a finding, which libFuzzer writes down.
[[noreturn]] inline void fail(const char* what, std::string_view about = {}) {
    std::fprintf(stderr, "does not hold: %s: %.*s\n", what, static_cast<int>(about.size()), about.data());
    std::abort();
}

inline void require(bool holds, const char* what, std::string_view about = {}) {
    if (!holds) fail(what, about);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

// An input as steps that '~' ends: a letter that says what to do, and its argument. So seeds can be read and written by
// people, and a mutation mostly changes one step.
class Script {
 public:
    explicit Script(std::string_view text) : rest_(text) {}

    struct Step {
        char verb = '\0';
        std::string_view argument;

        // The number that the argument begins with, at most `max`.
        std::uint64_t number(std::uint64_t max) const {
            std::uint64_t value = 0;
            for (const char c : argument) {
                if (c < '0' || c > '9' || value > max) break;
                value = value * 10 + static_cast<std::uint64_t>(c - '0');
            }
            return value < max ? value : max;
        }
    };

    // False at the end.
    bool next(Step& step) {
        while (!rest_.empty() && (rest_.front() == '~' || rest_.front() == '\n')) rest_.remove_prefix(1);
        if (rest_.empty()) return false;
        const std::size_t end = rest_.find('~');
        const std::string_view all = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        step = {all.front(), all.substr(1)};
        return true;
    }

 private:
    std::string_view rest_;
};

}  // namespace fanwire::fuzz
