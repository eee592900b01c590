// Where a server is, as seeds, Sentinels and nodes say it: a name or an address, and a port.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

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

}  // namespace fanwire::core
