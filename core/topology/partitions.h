// `partitions=N`: the channels of a Cluster in N groups, each of which lives in one slot, so that one command
// subscribes to many of them. The slots of the groups are spread evenly over all slots, and therefore over the nodes.
// Every process and every language comes to the same result; "Partitions" in core/DESIGN.md says how.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/topology/slots.h"

namespace fanwire::core {

class Partitions {
 public:
    static constexpr std::size_t count_max = slot_count;

    // `count` from 1 to count_max. Looks for the tags, which takes up to some milliseconds.
    explicit Partitions(std::size_t count);

    std::size_t count() const { return tags_.size(); }
    // What stands in the braces: the smallest decimal number of the right slot.
    const std::string& tag(std::size_t partition) const { return tags_[partition]; }
    Slot slot(std::size_t partition) const { return slot_of_partition(partition, count()); }
    // Of a channel by its name in Redis without the tag. Names of one hash tag stay together.
    std::size_t partition_of(std::string_view name) const noexcept;
    // The name in Redis: the partition's tag in braces, then the name.
    std::string tagged(std::string_view name) const;

 private:
    static Slot slot_of_partition(std::size_t partition, std::size_t count) {
        return static_cast<Slot>((2 * partition + 1) * (slot_count / 2) / count);
    }

    std::vector<std::string> tags_;
};

}  // namespace fanwire::core
