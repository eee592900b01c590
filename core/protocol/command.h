// Commands as RESP arrays of bulk strings, appended to a buffer.
#pragma once

#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fanwire::core {

inline void append_count(std::string& out, char mark, std::size_t n) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
    out += mark;
    out.append(digits, static_cast<std::size_t>(end - digits));
    out += "\r\n";
}

inline void append_bulk(std::string& out, std::string_view bytes) {
    append_count(out, '$', bytes.size());
    out += bytes;
    out += "\r\n";
}

inline void append_command(std::string& out, std::initializer_list<std::string_view> words) {
    append_count(out, '*', words.size());
    for (const std::string_view word : words) append_bulk(out, word);
}

}  // namespace fanwire::core
