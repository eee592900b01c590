#include "core/base/text.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace fanwire::core {

namespace {

bool is_control(char32_t code_point) {
    return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
}

}  // namespace

size_t utf8_character(std::string_view text, char32_t* code_point) {
    if (text.empty()) return 0;
    auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };

    size_t size = byte(0) < 0x80   ? 1
                  : byte(0) < 0xC2 ? 0
                  : byte(0) < 0xE0 ? 2
                  : byte(0) < 0xF0 ? 3
                  : byte(0) < 0xF5 ? 4
                                   : 0;
    if (size == 0 || size > text.size()) return 0;
    char32_t value = size == 1 ? byte(0) : byte(0) & (0x7Fu >> size);
    for (size_t at = 1; at < size; ++at) {
        if ((byte(at) & 0xC0) != 0x80) return 0;
        value = value << 6 | (byte(at) & 0x3Fu);
    }
    bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
    bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (overlong || surrogate || value > 0x10FFFF) return 0;
    if (code_point != nullptr) *code_point = value;
    return size;
}

bool is_plain_text(std::string_view text) {
    while (!text.empty()) {
        char32_t code_point = 0;
        size_t size = utf8_character(text, &code_point);
        if (size == 0 || is_control(code_point)) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string quote(std::string_view text, size_t shown) {
    constexpr char digits[] = "0123456789abcdef";
    std::string quoted = "\"";
    std::string_view rest = text;
    while (!rest.empty() && text.size() - rest.size() < shown) {
        char32_t code_point = 0;
        size_t size = utf8_character(rest, &code_point);
        if (size == 0 || is_control(code_point)) {
            auto byte = static_cast<unsigned char>(rest[0]);
            quoted += {'\\', 'x', digits[byte >> 4], digits[byte & 0xF]};
            rest.remove_prefix(1);
            continue;
        }
        if (rest[0] == '"' || rest[0] == '\\') quoted += '\\';
        quoted += rest.substr(0, size);
        rest.remove_prefix(size);
    }
    quoted += rest.empty() ? "\"" : "...\" (" + std::to_string(text.size()) + " bytes)";
    return quoted;
}

std::string_view cut_utf8(std::string_view text, size_t size) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    return text.substr(0, size);
}

size_t edit_distance(std::string_view from, std::string_view to) {
    std::vector<size_t> row(to.size() + 1);  // of the table of distances between prefixes
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < from.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < to.size(); ++j) {
            size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

}  // namespace fanwire::core
