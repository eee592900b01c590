#include "core/hub/connection_id.h"

#include "core/message/frame.h"

namespace fanwire::core {

namespace {

constexpr std::size_t text_size = 36;

constexpr bool hyphen_at(std::size_t at) {
    return at == 8 || at == 13 || at == 18 || at == 23;
}

// -1: it is no digit.
constexpr int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

ConnectionId make_connection_id() {
    ConnectionId id = frame::random_id();
    id[6] = static_cast<unsigned char>(0x40 | (id[6] & 0x0f));
    id[8] = static_cast<unsigned char>(0x80 | (id[8] & 0x3f));
    return id;
}

bool is_connection_id(const ConnectionId& id) {
    return (id[6] & 0xf0) == 0x40 && (id[8] & 0xc0) == 0x80;
}

std::optional<ConnectionId> parse_connection_id(std::string_view text) {
    if (text.size() != text_size) return std::nullopt;
    ConnectionId id{};
    std::size_t digits = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (hyphen_at(at)) {
            if (text[at] != '-') return std::nullopt;
            continue;
        }
        const int value = digit(text[at]);
        if (value < 0) return std::nullopt;
        unsigned char& byte = id[digits++ / 2];
        byte = static_cast<unsigned char>(byte << 4 | value);
    }
    if (!is_connection_id(id)) return std::nullopt;
    return id;
}

std::string to_text(const ConnectionId& id) {
    std::string text;
    text.reserve(text_size);
    for (const unsigned char byte : id) {
        if (hyphen_at(text.size())) text += '-';
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

}  // namespace fanwire::core
