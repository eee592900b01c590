// What stands in front of a payload that is more than a payload: a request, which says where replies go, or a reply,
// which says what it answers. "The frame" in core/DESIGN.md has it byte by byte. Payloads without a frame are as they
// are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fanwire::core::frame {

// What every frame begins with. A user's payload that does is put into a plain frame.
inline constexpr std::string_view magic{"\0fwr", 4};

inline bool begins(std::string_view payload) {
    return payload.size() >= magic.size() && payload.front() == '\0' && payload.starts_with(magic);
}

enum class Kind : std::uint8_t { plain = 0, request = 1, reply = 2 };

// How many bytes stand in front of the payload.
inline constexpr std::size_t plain_size = 6, request_size = 32, reply_size = 14;

// Where replies to a request go.
struct Address {
    using Id = std::array<unsigned char, 16>;
    Id id{};                        // of the engine that asks
    std::uint64_t number = 0;       // of the request there
    std::uint16_t prefix_size = 0;  // how many first bytes of the request's channel in Redis are the engine's namespace
};

// Throws what std::random_device throws.
Address::Id random_id();

// The channel without its namespace. Whoever can name it can answer, so the id is a secret.
std::string reply_channel(const Address::Id& id);
inline constexpr std::size_t reply_channel_size = 48;
bool ends_in_reply_channel(std::string_view channel);
// Whether this is a reply channel in Redis, of whatever namespace.
inline bool is_reply_channel(std::string_view wire_channel) {
    return wire_channel.size() >= reply_channel_size && ends_in_reply_channel(wire_channel);
}

std::string plain(std::string_view payload);
std::string request(const Address& address, std::string_view payload);
std::string reply(std::uint64_t number, std::string_view payload);

struct Head {
    Kind kind;
    std::size_t size;
};
// The frame in front of a payload; none: there is none, or one that this version does not know.
std::optional<Head> head_of(std::string_view payload);
// Of the head of a request; of a reply.
Address address_of(std::string_view head);
std::uint64_t number_of(std::string_view head);

}  // namespace fanwire::core::frame
