#include "core/topology/slots.h"

#include <array>

namespace fanwire::core {

namespace {

constexpr std::array<std::uint16_t, 256> make_table() {
    std::array<std::uint16_t, 256> table{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        unsigned crc = byte << 8;
        for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000u) != 0 ? 0x1021u : 0u);
        table[byte] = static_cast<std::uint16_t>(crc);
    }
    return table;
}
constexpr std::array<std::uint16_t, 256> table = make_table();

}  // namespace

std::uint16_t crc16(std::string_view bytes) noexcept {
    unsigned crc = 0;
    for (const char c : bytes) crc = (crc << 8 & 0xffffu) ^ table[crc >> 8 ^ static_cast<unsigned char>(c)];
    return static_cast<std::uint16_t>(crc);
}

std::string_view hashed_part(std::string_view name) noexcept {
    const std::size_t open = name.find('{');
    if (open == std::string_view::npos) return name;
    const std::size_t close = name.find('}', open + 1);
    if (close == std::string_view::npos || close == open + 1) return name;
    return name.substr(open + 1, close - open - 1);
}

}  // namespace fanwire::core
