// Where a server is, as settings, sentinels and nodes say it: a name or an address, and a port.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fanwire::core {

struct ServerAddress {
    std::string host;  // IPv6 without brackets; empty: nobody could say it
    std::uint16_t port = 0;

    auto operator<=>(const ServerAddress&) const = default;

    bool known() const { return !host.empty(); }
    // "10.0.0.1:6379", "[::1]:6379"; "an unknown address".
    std::string text() const;
};

// Whether it could be a host: up to 253 printable ASCII characters without spaces, and not "?", which stands for one
// that a server does not know.
bool is_host(std::string_view text);

inline constexpr std::uint16_t sentinel_port = 26379;

// A whole number from 1 to 65535; nullopt for any other text.
std::optional<std::uint16_t> parse_port(std::string_view text);

// "host", "host:port" or "[v6]:port", separated by commas; none twice. nullopt: one of them is none of these.
std::optional<std::vector<ServerAddress>> parse_addresses(std::string_view list, std::uint16_t default_port);

}  // namespace fanwire::core
