#include "core/topology/server_address.h"

#include <algorithm>

namespace fanwire::core {

std::string ServerAddress::text() const {
    if (!known()) return "an unknown address";
    const bool brackets = host.find(':') != std::string::npos;
    return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_host(std::string_view text) {
    return !text.empty() && text.size() <= 253 && text != "?" &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace fanwire::core
