// Who is in which topic, in this process: connections, topics, and the memberships between them. Pure; one thread at a
// time.
//
// A membership is two entries of 8 bytes that know each other's place: one in the topic's list, so that a delivery
// reads one array, and one in the connection's, so that a connection that goes takes its memberships with it. Leaving
// moves the last of each list into the hole; so neither has an order. Of a connection in many topics a table knows the
// places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/keyed_hash.h"
#include "core/hub/compact.h"
#include "core/hub/connection_id.h"
#include "core/hub/place_table.h"

namespace fanwire::core {

class Members {
 public:
    struct Limits {
        std::size_t connections = 1u << 24, topics = 1u << 24;
        std::size_t topics_of_a_connection = 1u << 16;
    };
    // Of a connection that is here: what its host asks with. Never the same again for another one, so that what comes
    // after a disconnect is known to be late.
    enum class Key : std::uint64_t { none = 0 };

    // `seed`: of the hashes of ids and topics, which others choose.
    Members(const Limits& limits, std::uint64_t seed);

    // `handle` is of the host's choosing and is what deliveries name. Throws INVALID_ARGUMENT when the id is no UUID of
    // version 4 or is here already, LIMIT_REACHED, std::bad_alloc; then nothing has changed.
    Key connect(const ConnectionId& id, std::uint64_t handle);

    // What became of a topic.
    struct Change {
        bool changed = false;  // false: it was in it already, or not in it
        bool edge = false;     // it joined as the first one, or left as the last one
    };
    // Throws INVALID_ARGUMENT when the connection is gone, LIMIT_REACHED, std::bad_alloc; then nothing has changed.
    Change join(Key key, std::string_view topic);
    // Throws INVALID_ARGUMENT when the connection is gone.
    Change leave(Key key, std::string_view topic);
    // `emptied` is called with each topic that it leaves as the last one, and may not call back. Throws
    // INVALID_ARGUMENT when the connection is gone, and what `emptied` throws; the topics that it has not left by then
    // are still to leave. Returns how many it has left.
    using Emptied = std::function<void(std::string_view topic)>;
    std::size_t leave_all(Key key, const Emptied& emptied);
    // The same, and the connection is gone.
    std::size_t disconnect(Key key, const Emptied& emptied);

    // none: it is not here.
    Key find(const ConnectionId& id) const;
    bool is_connected(Key key) const { return connection_of(key) != PlaceTable::none; }
    // These throw INVALID_ARGUMENT when the connection is gone.
    const ConnectionId& id_of(Key key) const { return connections_[checked(key)].id; }
    std::uint64_t handle_of(Key key) const { return handles_[checked(key)]; }
    std::size_t topic_count(Key key) const { return connections_[checked(key)].topics.size(); }
    bool is_in(Key key, std::string_view topic) const;
    std::vector<std::string> topics_of(Key key) const;

    std::size_t connection_count(std::string_view topic) const;
    std::vector<ConnectionId> connections_of(std::string_view topic) const;

    // The handles of those who are in the topic at this moment, but for `excluded`, take the place of what is in
    // `handles`. They are a copy: whoever leaves while they are used changes nothing about them. Throws std::bad_alloc.
    void gather(std::string_view topic, const ConnectionId& excluded, std::vector<std::uint64_t>& handles) const;
    // The handles of all connections.
    void gather_all(const ConnectionId& excluded, std::vector<std::uint64_t>& handles) const;

    std::size_t connections() const { return ids_.size(); }
    std::size_t topics() const { return names_.size(); }
    std::size_t memberships() const { return memberships_; }

 private:
    using Place = PlaceTable::Place;
    struct Membership {  // in a connection's list
        Place topic;
        Place at;  // in the topic's list
    };
    struct Member {  // in a topic's list
        Place connection;
        Place at;  // in the connection's list
    };
    struct Connection {
        ConnectionId id{};
        Compact<Membership> topics;
        std::unique_ptr<PlaceTable> table;  // of the places in `topics`, when they are many
        std::uint32_t generation = 1;
        bool is_here = false;
    };
    struct Topic {
        std::string name;
        Compact<Member> members;
    };

    std::uint64_t hash_of(const ConnectionId& id) const;
    Place connection_of(Key key) const;
    Place checked(Key key) const;
    Place topic_of(std::string_view name, std::uint64_t hash) const;
    Place topic_of(std::string_view name) const { return topic_of(name, hash_(name)); }
    Place find_membership(const Connection& connection, Place topic) const;
    Place make_topic(std::string_view name, std::uint64_t hash);
    // Of one without members. Returns its name.
    std::string drop_topic(Place topic) noexcept;
    void make_table(Connection& connection) const;
    // Takes the membership at this place of the connection's list out of both lists.
    void take_out(Place connection, Place at) noexcept;

    const Limits limits_;
    const KeyedHash hash_;
    std::vector<Connection> connections_;
    std::vector<std::uint64_t> handles_;  // of the connections: apart, since deliveries read nothing else of them
    std::vector<Topic> topics_;
    std::vector<Place> free_connections_, free_topics_;
    PlaceTable ids_, names_;
    std::size_t memberships_ = 0;
};

}  // namespace fanwire::core
