// What nodes of a Cluster say about it, written down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/resp.h"

namespace fanwire::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct SaidNode {
    std::string id;
    std::optional<std::string> host;
    std::int64_t port = 6379;
    Pairs about{};
};

struct SaidRange {
    std::int64_t first, last;
    std::vector<SaidNode> nodes;  // the master first
};

// CLUSTER SLOTS, as Redis 7 and later write it; nodes without an id as Redis 3 did.
inline std::string slots_reply(const std::vector<SaidRange>& ranges) {
    std::vector<std::string> entries;
    for (const SaidRange& range : ranges) {
        std::vector<std::string> entry{resp::integer(range.first), resp::integer(range.last)};
        for (const SaidNode& node : range.nodes) {
            std::vector<std::string> fields{node.host ? resp::bulk(*node.host) : resp::nil(), resp::integer(node.port)};
            if (!node.id.empty()) {
                fields.push_back(resp::bulk(node.id));
                std::vector<std::string> about;
                for (const auto& [name, value] : node.about) {
                    about.push_back(resp::bulk(name));
                    about.push_back(resp::bulk(value));
                }
                fields.push_back(resp::array(about));
            }
            entry.push_back(resp::array(fields));
        }
        entries.push_back(resp::array(entry));
    }
    return resp::array(entries);
}

struct SaidShard {
    std::vector<std::int64_t> slots;  // first, last, first, last
    std::vector<Pairs> nodes;         // fields; values of digits only are numbers
};

inline std::string shards_reply(const std::vector<SaidShard>& shards) {
    std::vector<std::string> all;
    for (const SaidShard& shard : shards) {
        std::vector<std::string> slots, nodes;
        for (const std::int64_t slot : shard.slots) slots.push_back(resp::integer(slot));
        for (const Pairs& fields : shard.nodes) {
            std::vector<std::string> node;
            for (const auto& [name, value] : fields) {
                node.push_back(resp::bulk(name));
                const bool number = value.find_first_not_of("0123456789") == std::string::npos && !value.empty();
                node.push_back(number ? ":" + value + "\r\n" : resp::bulk(value));
            }
            nodes.push_back(resp::array(node));
        }
        all.push_back(resp::array({resp::bulk("slots"), resp::array(slots), resp::bulk("nodes"), resp::array(nodes),
                                   resp::bulk("id"), resp::bulk("of-the-shard")}));
    }
    return resp::array(all);
}

inline std::string info_reply(std::uint64_t epoch, const std::string& state = "ok") {
    return resp::bulk("cluster_state:" + state + "\r\ncluster_slots_assigned:16384\r\ncluster_current_epoch:" +
                      std::to_string(epoch) + "\r\ncluster_my_epoch:1\r\n");
}

}  // namespace fanwire::test
