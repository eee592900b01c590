// A server by name: what settings, redirects and replies say of where it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fanwire::core {

struct HostPort {
    std::string host;  // a name, or an address; IPv6 without brackets
    std::uint16_t port = 0;

    bool operator==(const HostPort&) const = default;
    // "redis-1:6379", "[::1]:6379"
    std::string text() const {
        const bool v6 = host.find(':') != std::string::npos;
        return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
    }
};

inline constexpr std::uint16_t sentinel_port = 26379;

// A whole number from 1 to 65535; nullopt for any other text.
std::optional<std::uint16_t> parse_port(std::string_view text);

// "host", "host:port" or "[v6]:port", separated by commas. nullopt: one of them is none of these.
std::optional<std::vector<HostPort>> parse_hosts(std::string_view list, std::uint16_t default_port);

}  // namespace fanwire::core
