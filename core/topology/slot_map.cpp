#include "core/topology/slot_map.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "core/base/text.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

// What a node says of another one, before it is known which of it to use.
struct Description {
    std::string_view endpoint;  // the preferred one
    std::string_view ip, hostname, id;
    std::optional<std::int64_t> port;  // nullopt: not said
};

bool is_id(std::string_view text) {
    return is_host(text) && text.size() <= 64;
}

std::optional<std::int64_t> integer_of(const Reply& reply) {
    if (reply.is(ReplyType::integer)) return reply.integer();
    std::int64_t number = 0;
    const std::string_view text = reply.text();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

bool is_text(const Reply& reply) {
    return reply.is(ReplyType::string) || reply.is(ReplyType::status);
}

bool is_slot(std::int64_t number) {
    return number >= 0 && number < static_cast<std::int64_t>(slot_count);
}

}  // namespace

bool is_same_node(const ClusterNode& one, const ClusterNode& other) {
    if (!one.id.empty() && !other.id.empty()) return one.id == other.id;
    return one.address.known() && one.address == other.address;
}

// Reads a reply into an empty map.
class SlotMap::Reader {
 public:
    Reader(SlotMap& map, const ServerAddress& asked, const char* command)
        : map_(map), asked_(asked), command_(command) {
        map_ = SlotMap();
    }

    Error slots(const Reply& reply);
    Error shards(const Reply& reply, bool tls);

 private:
    Error refuse(std::string_view what) const {
        return Error::of(Status::PROTOCOL_ERROR,
                         {asked_.text(), " answers ", command_, " by what makes no sense: ", what});
    }
    Error of_error(std::string_view text) const;

    // The index of the node, new or not; nullopt when there are too many.
    std::optional<Index> add(const Description& description);
    Error slots_entry(const Reply& entry);
    Error slots_node(const Reply& reply, Description& description) const;
    Error shard(const Reply& reply, bool tls);
    Error shard_node(const Reply& reply, bool tls, Description& description, bool& master, bool& failed) const;
    // Those that copy `master`, or nobody that is known.
    void set_master(const std::vector<Index>& members, Index master);
    // Of what remains when all is read.
    void finish();

    SlotMap& map_;
    const ServerAddress& asked_;
    const char* command_;
    std::map<std::string, Index, std::less<>> by_id_;
    std::map<ServerAddress, Index> by_address_;  // without an id
    std::set<Index> port_unknown_;
};

Error SlotMap::Reader::of_error(std::string_view text) const {
    if (text.find("cluster support disabled") != std::string_view::npos)
        return Error::of(Status::REDIS_ERROR,
                         {asked_.text(), " is not a node of a Cluster: it has cluster-enabled no"});
    if (text.starts_with("ERR unknown command"))
        return Error::of(Status::REDIS_ERROR,
                         {asked_.text(), " is not a node of a Cluster: it knows no CLUSTER command"});
    return error_of_reply(asked_.text() + ": " + command_, text);
}

std::optional<SlotMap::Index> SlotMap::Reader::add(const Description& description) {
    ClusterNode node;
    node.id = description.id;
    if (is_host(description.hostname)) node.hostname = description.hostname;
    if (is_host(description.endpoint))
        node.address.host = description.endpoint;
    else if (description.endpoint.empty())
        node.address.host = asked_.host;
    else if (is_host(description.hostname))
        node.address.host = description.hostname;
    else if (is_host(description.ip))
        node.address.host = description.ip;
    const std::int64_t port = description.port.value_or(0);
    const bool port_known = port >= 1 && port <= 65535;
    node.address.port = port_known ? static_cast<std::uint16_t>(port) : asked_.port;

    const auto next = static_cast<Index>(map_.nodes_.size());
    if (next == none) return std::nullopt;
    const auto [index, is_new] = node.id.empty() ? [&] {
        const auto [at, inserted] = by_address_.try_emplace(node.address, next);
        return std::pair(at->second, inserted);
    }() : [&] {
        const auto [at, inserted] = by_id_.try_emplace(node.id, next);
        return std::pair(at->second, inserted);
    }();
    if (is_new) {
        map_.nodes_.push_back(std::move(node));
        if (!port_known) port_unknown_.insert(index);
    }
    return index;
}

void SlotMap::Reader::set_master(const std::vector<Index>& members, Index master) {
    if (master != none) map_.nodes_[master].master = true;
    for (const Index member : members) {
        ClusterNode& node = map_.nodes_[member];
        if (member == master || node.has_master) continue;
        node.has_master = master != none;
        node.copies = master;
    }
}

void SlotMap::Reader::finish() {
    for (std::size_t i = 0; i < map_.nodes_.size(); ++i) {
        ClusterNode& node = map_.nodes_[i];
        // Named in one place as a master and in another as a copy: what it serves counts.
        if (node.master || !node.has_master) {
            node.copies = 0;
            node.has_master = false;
        }
        if (node.master) node.place_key = node.id.empty() ? node.address.text() : node.id;
        // The port asked is a guess, and wrong if another node is there.
        if (port_unknown_.contains(static_cast<Index>(i)))
            for (std::size_t other = 0; other < map_.nodes_.size(); ++other)
                if (other != i && map_.nodes_[other].address == node.address &&
                    (other < i || !port_unknown_.contains(static_cast<Index>(other))))
                    node.address = {};
    }
}

Error SlotMap::Reader::slots_node(const Reply& reply, Description& description) const {
    if (!reply.is(ReplyType::array) || reply.size() < 2) return refuse("a node that is no list of host and port");
    const Reply host = reply[0];
    if (!is_text(host) && !host.is(ReplyType::nil)) return refuse("a host that is no text");
    description.endpoint = host.text();
    description.port = integer_of(reply[1]);
    if (!description.port || *description.port < 0 || *description.port > 65535) return refuse("a port that is none");
    if (reply.size() < 3) return {};
    if (!is_text(reply[2]) || !is_id(reply[2].text())) return refuse("a node whose id is none");
    description.id = reply[2].text();
    if (reply.size() < 4 || !reply[3].is(ReplyType::array)) return {};
    const Reply about = reply[3];
    for (std::size_t i = 0; i + 1 < about.size(); i += 2) {
        if (about[i].text() == "ip") description.ip = about[i + 1].text();
        if (about[i].text() == "hostname") description.hostname = about[i + 1].text();
    }
    return {};
}

Error SlotMap::Reader::slots_entry(const Reply& entry) {
    if (!entry.is(ReplyType::array) || entry.size() < 2) return refuse("an entry that is no list");
    const Reply first = entry[0], last = entry[1];
    if (!first.is(ReplyType::integer) || !last.is(ReplyType::integer) || !is_slot(first.integer()) ||
        !is_slot(last.integer()) || first.integer() > last.integer())
        return refuse("a range of slots that is none");
    std::vector<Index> members;
    for (std::size_t i = 2; i < entry.size(); ++i) {
        Description description;
        if (Error error = slots_node(entry[i], description)) return error;
        const std::optional<Index> index = add(description);
        if (!index) return refuse("too many nodes");
        members.push_back(*index);
    }
    if (members.empty()) return {};  // slots that nobody serves
    set_master(members, members.front());
    for (std::int64_t slot = first.integer(); slot <= last.integer(); ++slot) {
        if (map_.owners_[static_cast<std::size_t>(slot)] != none) return refuse("a slot with two owners");
        map_.give(static_cast<Slot>(slot), members.front());
    }
    return {};
}

Error SlotMap::Reader::slots(const Reply& reply) {
    if (reply.is(ReplyType::error)) return of_error(reply.text());
    if (!reply.is(ReplyType::array)) return refuse("no list");
    for (const Reply entry : reply)
        if (Error error = slots_entry(entry)) return error;
    finish();
    return {};
}

Error SlotMap::Reader::shard_node(const Reply& reply, bool tls, Description& description, bool& master,
                                  bool& failed) const {
    if (!reply.is(ReplyType::array)) return refuse("a node that is no map");
    std::optional<std::int64_t> plain_port, tls_port;
    bool has_endpoint = false;
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
        const std::string_view field = reply[i].text();
        const Reply value = reply[i + 1];
        if (field == "id")
            description.id = value.text();
        else if (field == "endpoint") {
            has_endpoint = true;
            description.endpoint = value.text();
        } else if (field == "ip")
            description.ip = value.text();
        else if (field == "hostname")
            description.hostname = value.text();
        else if (field == "port")
            plain_port = integer_of(value);
        else if (field == "tls-port")
            tls_port = integer_of(value);
        else if (field == "role")
            master = value.text() == "master";
        else if (field == "health")
            failed = value.text() != "online";
    }
    if (!is_id(description.id)) return refuse("a node whose id is none");
    if (!has_endpoint) description.endpoint = description.ip;
    description.port = tls ? tls_port : plain_port;
    return {};
}

Error SlotMap::Reader::shard(const Reply& reply, bool tls) {
    if (!reply.is(ReplyType::array)) return refuse("a shard that is no map");
    std::vector<std::pair<Slot, Slot>> ranges;
    std::vector<Index> members;
    Index master = none;
    bool master_failed = true;
    for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
        const std::string_view field = reply[i].text();
        const Reply value = reply[i + 1];
        if (field == "slots") {
            if (!value.is(ReplyType::array) || value.size() % 2 != 0) return refuse("slots that are no ranges");
            for (auto at = value.begin(); at != value.end(); ++at) {
                const std::optional<std::int64_t> first = integer_of(*at), last = integer_of(*++at);
                if (!first || !last || !is_slot(*first) || !is_slot(*last) || *first > *last)
                    return refuse("a range of slots that is none");
                ranges.emplace_back(static_cast<Slot>(*first), static_cast<Slot>(*last));
            }
        } else if (field == "nodes") {
            if (!value.is(ReplyType::array)) return refuse("nodes that are no list");
            for (const Reply node : value) {
                Description description;
                bool is_master = false, failed = false;
                if (Error error = shard_node(node, tls, description, is_master, failed)) return error;
                const std::optional<Index> index = add(description);
                if (!index) return refuse("too many nodes");
                map_.nodes_[*index].failed = failed;
                members.push_back(*index);
                // After a failure the old master may still be listed as one.
                if (is_master && (master == none || (master_failed && !failed))) {
                    master = *index;
                    master_failed = failed;
                }
            }
        }
    }
    set_master(members, master);
    if (master == none) return {};
    for (const auto& [first, last] : ranges)
        for (std::size_t slot = first; slot <= last; ++slot) {
            // Listed twice after failures: then the one whose master is well has it.
            const Index before = map_.owners_[slot];
            if (before == none || (map_.nodes_[before].failed && !master_failed))
                map_.give(static_cast<Slot>(slot), master);
        }
    return {};
}

Error SlotMap::Reader::shards(const Reply& reply, bool tls) {
    if (reply.is(ReplyType::error)) return of_error(reply.text());
    if (!reply.is(ReplyType::array)) return refuse("no list");
    for (const Reply one : reply)
        if (Error error = shard(one, tls)) return error;
    finish();
    return {};
}

Error SlotMap::read_slots(const Reply& reply, const ServerAddress& asked) {
    return Reader(*this, asked, "CLUSTER SLOTS").slots(reply);
}

Error SlotMap::read_shards(const Reply& reply, const ServerAddress& asked, bool tls) {
    return Reader(*this, asked, "CLUSTER SHARDS").shards(reply, tls);
}

std::vector<std::size_t> SlotMap::masters() const {
    std::vector<std::size_t> found;
    std::vector<bool> seen(nodes_.size());
    for (const Index owner : owners_)
        if (owner != none && !seen[owner]) {
            seen[owner] = true;
            found.push_back(owner);
        }
    return found;
}

std::size_t SlotMap::find(const ServerAddress& address) const {
    std::size_t found = nobody;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].address != address || !address.known()) continue;
        if (nodes_[i].master) return i;
        if (found == nobody) found = i;
    }
    return found;
}

std::size_t SlotMap::find_id(std::string_view id) const {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (!id.empty() && nodes_[i].id == id) return i;
    return nobody;
}

bool SlotMap::has_ids() const {
    return std::any_of(nodes_.begin(), nodes_.end(), [](const ClusterNode& node) { return !node.id.empty(); });
}

bool SlotMap::shares_nodes_with(const SlotMap& other) const {
    std::set<std::string_view> ids;
    for (const ClusterNode& node : nodes_)
        if (!node.id.empty()) ids.insert(node.id);
    return std::any_of(other.nodes_.begin(), other.nodes_.end(),
                       [&](const ClusterNode& node) { return ids.contains(node.id); });
}

void SlotMap::move(Slot slot, const ServerAddress& address) {
    std::size_t index = find(address);
    if (index == nobody) {
        if (!address.known() || nodes_.size() >= none) return;
        index = nodes_.size();
        nodes_.emplace_back().address = address;
    }
    ClusterNode& node = nodes_[index];
    if (!node.master) {
        node.master = true;
        node.has_master = false;
        node.copies = 0;
    }
    give(slot, static_cast<Index>(index));
}

void SlotMap::inherit_places(const SlotMap& before) {
    const std::vector<std::size_t> ours = masters();
    std::set<std::string> used;
    std::vector<std::size_t> fresh;
    const auto hand_on = [&](const ClusterNode& from, ClusterNode& to) {
        if (from.place_key.empty() || !used.insert(from.place_key).second) return false;
        to.place_key = from.place_key;
        return true;
    };
    for (const std::size_t i : ours) {
        const auto old = std::find_if(before.nodes_.begin(), before.nodes_.end(),
                                      [&](const ClusterNode& node) { return is_same_node(node, nodes_[i]); });
        if (old == before.nodes_.end() || !hand_on(*old, nodes_[i])) fresh.push_back(i);
    }
    // By what they serve and not by who copied whom: CLUSTER SLOTS leaves out replicas that have just begun. The place
    // of a master that still serves is used already.
    for (const std::size_t i : fresh) {
        std::map<Index, std::size_t> slots_of;
        for (std::size_t slot = 0; slot < slot_count; ++slot)
            if (owners_[slot] == i && before.owners_[slot] != none) ++slots_of[before.owners_[slot]];
        const auto most = std::max_element(slots_of.begin(), slots_of.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        ClusterNode& node = nodes_[i];
        if (most != slots_of.end() && hand_on(before.nodes_[most->first], node)) continue;
        if (!node.place_key.empty())
            while (!used.insert(node.place_key).second) node.place_key += '+';  // its own was handed on
    }
}

MapChanges changes_between(const SlotMap& before, const SlotMap& after) {
    constexpr std::size_t nobody = SlotMap::nobody;
    std::map<std::string_view, std::size_t> by_id;
    std::map<ServerAddress, std::size_t> by_address;
    for (std::size_t i = 0; i < after.nodes().size(); ++i) {
        const ClusterNode& node = after.nodes()[i];
        if (!node.id.empty()) by_id.emplace(node.id, i);
        if (node.address.known()) by_address.emplace(node.address, i);
    }
    // Where each node of `before` is in `after`.
    std::vector<std::size_t> now(before.nodes().size(), nobody);
    std::vector<bool> found(after.nodes().size());
    MapChanges changes;
    for (std::size_t i = 0; i < now.size(); ++i) {
        const ClusterNode& node = before.nodes()[i];
        if (const auto at = by_id.find(node.id); at != by_id.end())
            now[i] = at->second;
        else if (const auto there = by_address.find(node.address);
                 there != by_address.end() && is_same_node(node, after.nodes()[there->second]))
            now[i] = there->second;
        if (now[i] == nobody) {
            changes.removed.push_back(i);
            continue;
        }
        found[now[i]] = true;
        const ClusterNode& same = after.nodes()[now[i]];
        if (same.address != node.address || same.hostname != node.hostname) changes.readdressed.emplace_back(i, now[i]);
    }
    for (std::size_t i = 0; i < found.size(); ++i)
        if (!found[i]) changes.added.push_back(i);
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (now[i] == nobody) continue;
        const ClusterNode &old = before.nodes()[i], &same = after.nodes()[now[i]];
        if (old.master != same.master || old.has_master != same.has_master || old.failed != same.failed ||
            (old.has_master && now[old.copies] != same.copies))
            changes.roles = true;
    }

    for (std::size_t slot = 0; slot < slot_count; ++slot) {
        const std::size_t from = before.owner(static_cast<Slot>(slot)), to = after.owner(static_cast<Slot>(slot));
        if ((from == nobody ? nobody : now[from]) == to && (from == nobody) == (to == nobody)) continue;
        SlotMove* last = changes.moved.empty() ? nullptr : &changes.moved.back();
        if (last && last->last + 1u == slot && last->from == from && last->to == to)
            last->last = static_cast<Slot>(slot);
        else
            changes.moved.push_back({static_cast<Slot>(slot), static_cast<Slot>(slot), from, to});
    }
    return changes;
}

}  // namespace fanwire::core
