#include "core/base/server_address.h"

#include <algorithm>
#include <charconv>

namespace fanwire::core {

namespace {

std::optional<ServerAddress> parse_address(std::string_view text, std::uint16_t default_port) {
    ServerAddress found{{}, default_port};
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == text.npos) return std::nullopt;
        found.host = text.substr(1, end - 1);
        if (std::count(found.host.begin(), found.host.end(), ':') < 2) return std::nullopt;
        port = text.substr(end + 1);
    } else {
        const std::size_t end = std::min(text.find(':'), text.size());
        found.host = text.substr(0, end);
        port = text.substr(end);
    }
    if (found.host.empty() || found.host.find_first_of("@/[] ") != std::string::npos) return std::nullopt;
    if (port.empty()) return found;
    const std::optional<std::uint16_t> number = parse_port(port.substr(1));
    if (port[0] != ':' || !number) return std::nullopt;
    found.port = *number;
    return found;
}

}  // namespace

std::string ServerAddress::text() const {
    if (!known()) return "an unknown address";
    const bool brackets = host.find(':') != std::string::npos;
    return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_host(std::string_view text) {
    return !text.empty() && text.size() <= 253 && text != "?" &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number < 1 || number > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(number);
}

std::optional<std::vector<ServerAddress>> parse_addresses(std::string_view list, std::uint16_t default_port) {
    std::vector<ServerAddress> all;
    while (true) {
        const std::size_t comma = std::min(list.find(','), list.size());
        std::optional<ServerAddress> one = parse_address(list.substr(0, comma), default_port);
        if (!one) return std::nullopt;
        if (std::find(all.begin(), all.end(), *one) == all.end()) all.push_back(std::move(*one));
        if (comma == list.size()) return all;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace fanwire::core
