// Bytes as text: UTF-8, base64, JSON, Markdown.
#pragma once

#include <string>
#include <string_view>

namespace fanwire::cli {

// Whether bytes are UTF-8 as RFC 3629 has it (no overlong forms, no surrogates).
bool is_utf8(std::string_view bytes);

// RFC 4648, section 4, with padding.
std::string base64(std::string_view bytes);

// A JSON string with its quotes. `text` must be UTF-8; controls (NUL and DEL too) are escaped.
std::string json_string(std::string_view text);

// A JSON member: "name":"text", or "name_base64":"..." when bytes are not UTF-8.
std::string json_member(std::string_view name, std::string_view bytes);

// Text for a cell of a Markdown table.
std::string markdown_cell(std::string_view text);

}  // namespace fanwire::cli
