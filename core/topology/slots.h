// The hash slots of Redis Cluster (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fanwire::core {

using Slot = std::uint16_t;
inline constexpr std::size_t slot_count = 16384;

// CRC-16/XMODEM: polynomial 0x1021, begins with 0, nothing reflected. "123456789" gives 0x31c3.
std::uint16_t crc16(std::string_view bytes) noexcept;

// The part of a name that its slot depends on: what stands between the first '{' and the first '}' after it, if there
// is anything between them; else the whole name.
std::string_view hashed_part(std::string_view name) noexcept;

// The slot of a shard channel or a key.
inline Slot slot_of(std::string_view name) noexcept {
    return static_cast<Slot>(crc16(hashed_part(name)) % slot_count);
}

}  // namespace fanwire::core
