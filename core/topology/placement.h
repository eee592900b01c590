// Which of several nodes has a channel: rendezvous hashing. Every node weighs every channel, and the heaviest has it.
// So a node that leaves gives away its own channels only, evenly to the others, and one that joins takes its share
// evenly from all. Every process and every language comes to the same result; "Placement" in core/DESIGN.md has it byte
// by byte. It is no secret: whoever chooses names can choose them so that one node has them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fanwire::core {

// FNV-1a of the bytes, in 64 bits, and then the finalizer of SplitMix64.
std::uint64_t place_hash(std::string_view bytes) noexcept;

class Placement {
 public:
    static constexpr std::size_t nobody = SIZE_MAX;

    Placement() = default;
    // `keys`: what names each node for as long as it is the same one. Their order does not matter, but for keys that
    // are there twice, of which the first counts.
    explicit Placement(std::vector<std::string> keys);

    std::size_t size() const { return nodes_.size(); }
    const std::string& key(std::size_t node) const { return nodes_[node].key; }

    // The index of the node that has it; `nobody` when there are none.
    std::size_t place(std::string_view channel) const noexcept { return place(place_hash(channel)); }
    std::size_t place(std::uint64_t channel_hash) const noexcept {
        return place(channel_hash, [](std::size_t) { return true; });
    }
    // As if only those nodes existed for which `usable` returns true.
    template <class Usable>
    std::size_t place(std::uint64_t channel_hash, Usable&& usable) const {
        std::size_t best = nobody;
        std::uint64_t best_weight = 0;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (!usable(i)) continue;
            const std::uint64_t weight = mix(nodes_[i].hash ^ channel_hash);
            const bool heavier = weight > best_weight || (weight == best_weight && nodes_[i].key < nodes_[best].key);
            if (best != nobody && !heavier) continue;
            best = i;
            best_weight = weight;
        }
        return best;
    }

    // The finalizer of SplitMix64: each bit of the result depends on all bits of `x`.
    static constexpr std::uint64_t mix(std::uint64_t x) noexcept {
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
    }

 private:
    struct Node {
        std::string key;
        std::uint64_t hash;
    };
    std::vector<Node> nodes_;
};

}  // namespace fanwire::core
