// Which node of a Cluster has which slots, as one node sees it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/server_address.h"
#include "core/protocol/reply.h"
#include "core/topology/slots.h"

namespace fanwire::core {

struct ClusterNode {
    std::string id;          // 40 hexadecimal digits; empty: known by its address only, from a redirect
    ServerAddress address;   // where to connect to
    std::string hostname;    // that it announces; may be empty, and may stand in `address` too
    bool master = false;     // in this view; of replicas:
    std::size_t copies = 0;  // the index of its master, if `has_master`
    bool has_master = false;
    bool failed = false;  // the view says so (CLUSTER SHARDS); CLUSTER SLOTS leaves failed replicas out

    // Of masters: what names it in placements. Handed on to the replica that takes its place, so that a failover does
    // not move channels of other nodes. Empty: only a redirect says that it is a master, so it has no place yet.
    std::string place_key;
};

// Whether both are the same node: by their ids, or by their addresses if one has no id.
bool is_same_node(const ClusterNode& one, const ClusterNode& other);

class SlotMap {
 public:
    static constexpr std::size_t nobody = SIZE_MAX;

    SlotMap() { owners_.fill(none); }

    // Reads the reply of the node at `asked` to CLUSTER SLOTS, or returns why it is of no use; `*this` is undefined
    // then. A host that is missing or empty is the address asked, a port of 0 is the port asked, "?" is the ip or
    // hostname of the entry's metadata, or an address that nobody knows.
    Error read_slots(const Reply& reply, const ServerAddress& asked);
    // The same for CLUSTER SHARDS; `tls`: which of the two ports.
    Error read_shards(const Reply& reply, const ServerAddress& asked, bool tls);

    const std::vector<ClusterNode>& nodes() const { return nodes_; }
    // The index of the master that serves it, or `nobody`.
    std::size_t owner(Slot slot) const { return owners_[slot] == none ? nobody : owners_[slot]; }
    // How many slots have an owner.
    std::size_t covered() const { return covered_; }
    bool complete() const { return covered_ == slot_count; }
    // The indices of the masters that serve slots, in the order of their first slots.
    std::vector<std::size_t> masters() const;
    // The index or `nobody`; masters before replicas.
    std::size_t find(const ServerAddress& address) const;
    std::size_t find_id(std::string_view id) const;
    bool has_ids() const;
    // Whether both have a node of the same id.
    bool shares_nodes_with(const SlotMap& other) const;

    // A redirect has said that the node at `address` serves it. The node becomes a master; indices stay.
    void move(Slot slot, const ServerAddress& address);
    // Takes over the place keys of the view before: those of the same masters, and for a master that serves nothing any
    // more, whoever has most of its slots.
    void inherit_places(const SlotMap& before);

 private:
    using Index = std::uint16_t;
    static constexpr Index none = 0xffff;
    class Reader;

    void give(Slot slot, Index to) {
        covered_ += (to != none ? 1u : 0u) - (owners_[slot] != none ? 1u : 0u);
        owners_[slot] = to;
    }

    std::vector<ClusterNode> nodes_;
    std::array<Index, slot_count> owners_;
    std::size_t covered_ = 0;
};

// Slots in a row that have gone from one node to another.
struct SlotMove {
    Slot first, last;
    std::size_t from, to;  // indices in the map before and after; SlotMap::nobody
};

struct MapChanges {
    std::vector<SlotMove> moved;
    std::vector<std::size_t> removed, added;                       // indices in the map before; after
    std::vector<std::pair<std::size_t, std::size_t>> readdressed;  // the same node elsewhere: before, after
    bool roles = false;                                            // a node has become master or replica, or of another

    bool any() const { return !moved.empty() || !removed.empty() || !added.empty() || !readdressed.empty() || roles; }
};

MapChanges changes_between(const SlotMap& before, const SlotMap& after);

}  // namespace fanwire::core
