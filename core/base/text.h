// Small helpers for text that people read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fanwire::core {

// Size of the UTF-8 character `text` begins with, or 0 when it begins with none (RFC 3629: no surrogates, no overlong
// forms). Its code point goes to *code_point unless that is nullptr.
size_t utf8_character(std::string_view text, char32_t* code_point = nullptr);

// Whether it is UTF-8 without control characters: something that can be shown.
bool is_plain_text(std::string_view text);

// "text" in quotes, fit for an error text whatever it is: bytes that cannot be shown become \xNN, and what is longer
// than `shown` bytes is cut and its size said.
std::string quote(std::string_view text, size_t shown = 64);

// The longest part from the start that has at most `size` bytes and ends between two UTF-8 characters.
std::string_view cut_utf8(std::string_view text, size_t size);

// How many characters to insert, remove or replace to get from one word to the other.
size_t edit_distance(std::string_view from, std::string_view to);

}  // namespace fanwire::core
