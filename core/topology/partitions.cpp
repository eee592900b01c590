#include "core/topology/partitions.h"

#include <array>
#include <cstdint>

#include "core/base/error.h"
#include "core/topology/placement.h"

namespace fanwire::core {

Partitions::Partitions(std::size_t count) {
    if (count < 1 || count > count_max)
        throw Failure(Status::INVALID_OPTION, "partitions must be a whole number from 1 to " +
                                                  std::to_string(count_max) + ", not " + std::to_string(count));
    std::array<std::uint16_t, slot_count> wanted{};  // the partition of each slot, and 1; 0: of none
    for (std::size_t p = 0; p < count; ++p) wanted[slot_of_partition(p, count)] = static_cast<std::uint16_t>(p + 1);
    tags_.resize(count);
    // The numbers below 110,000 have every slot among theirs.
    std::size_t missing = count;
    for (std::uint32_t number = 0; missing > 0; ++number) {
        std::string tag = std::to_string(number);
        std::uint16_t& partition = wanted[slot_of(tag)];
        if (partition == 0) continue;
        tags_[partition - 1u] = std::move(tag);
        partition = 0;
        --missing;
    }
}

std::size_t Partitions::partition_of(std::string_view name) const noexcept {
    // The upper half of the hash, so that the product has room.
    return static_cast<std::size_t>((place_hash(hashed_part(name)) >> 32) * count() >> 32);
}

std::string Partitions::tagged(std::string_view name) const {
    const std::string& own = tag(partition_of(name));
    std::string tagged;
    tagged.reserve(own.size() + 2 + name.size());
    tagged += '{';
    tagged += own;
    tagged += '}';
    return tagged += name;
}

}  // namespace fanwire::core
