#include "core/topology/placement.h"

#include <utility>

namespace fanwire::core {

std::uint64_t place_hash(std::string_view bytes) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return Placement::mix(hash);
}

Placement::Placement(std::vector<std::string> keys) {
    nodes_.reserve(keys.size());
    for (std::string& key : keys) {
        const std::uint64_t hash = place_hash(key);
        nodes_.push_back({std::move(key), hash});
    }
}

}  // namespace fanwire::core
