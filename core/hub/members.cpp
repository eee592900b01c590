#include "core/hub/members.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace fanwire::core {

namespace {

// So many topics of a connection are looked through in less time than a table takes.
constexpr std::size_t few = 48;

// Of a topic's place, which nobody chooses.
constexpr std::uint64_t hash_of_place(PlaceTable::Place place) {
    return (place * std::uint64_t{0x9e3779b97f4a7c15}) >> 32;
}

[[noreturn]] void refuse(std::size_t limit, const std::string& what) {
    throw Failure(Status::LIMIT_REACHED, what + " " + std::to_string(limit) + ", which is the limit");
}

// For one more. By half, so that little is left unused.
template <class T>
void make_room(std::vector<T>& list) {
    if (list.size() == list.capacity()) list.reserve(list.size() + list.size() / 2 + 8);
}

}  // namespace

Members::Members(const Limits& limits, std::uint64_t seed)
    : limits_{std::min<std::size_t>(limits.connections, PlaceTable::none - 1),
              std::min<std::size_t>(limits.topics, PlaceTable::none - 1), limits.topics_of_a_connection},
      hash_(seed) {}

std::uint64_t Members::hash_of(const ConnectionId& id) const {
    return hash_({reinterpret_cast<const char*>(id.data()), id.size()});
}

Members::Place Members::connection_of(Key key) const {
    const auto place = static_cast<Place>(static_cast<std::uint64_t>(key));
    const auto generation = static_cast<std::uint32_t>(static_cast<std::uint64_t>(key) >> 32);
    if (place >= connections_.size()) return PlaceTable::none;
    const Connection& connection = connections_[place];
    return connection.is_here && connection.generation == generation ? place : PlaceTable::none;
}

Members::Place Members::checked(Key key) const {
    const Place place = connection_of(key);
    if (place == PlaceTable::none) throw Failure(Status::INVALID_ARGUMENT, "the connection is not connected");
    return place;
}

Members::Key Members::find(const ConnectionId& id) const {
    const Place place = ids_.find(hash_of(id), [&](Place at) { return connections_[at].id == id; });
    if (place == PlaceTable::none) return Key::none;
    return Key{std::uint64_t{connections_[place].generation} << 32 | place};
}

Members::Key Members::connect(const ConnectionId& id, std::uint64_t handle) {
    if (!is_connection_id(id))
        throw Failure(Status::INVALID_ARGUMENT, "the connection's id " + to_text(id) + " is no UUID of version 4");
    if (find(id) != Key::none)
        throw Failure(Status::INVALID_ARGUMENT, "there is a connection " + to_text(id) + " already");
    if (connections() >= limits_.connections) refuse(limits_.connections, "the connections are");
    ids_.make_room();
    if (free_connections_.empty()) {
        make_room(connections_);
        make_room(handles_);
        // So that disconnecting needs no memory.
        free_connections_.reserve(connections_.capacity());
        free_connections_.push_back(static_cast<Place>(connections_.size()));
        connections_.emplace_back();
        handles_.push_back(0);
    }
    const Place place = free_connections_.back();
    free_connections_.pop_back();
    Connection& connection = connections_[place];
    connection.id = id;
    connection.is_here = true;
    handles_[place] = handle;
    ids_.insert(hash_of(id), place);
    return Key{std::uint64_t{connection.generation} << 32 | place};
}

Members::Place Members::topic_of(std::string_view name, std::uint64_t hash) const {
    return names_.find(hash, [&](Place at) { return topics_[at].name == name; });
}

Members::Place Members::find_membership(const Connection& connection, Place topic) const {
    const Compact<Membership>& list = connection.topics;
    if (connection.table)
        return connection.table->find(hash_of_place(topic), [&](Place at) { return list[at].topic == topic; });
    for (Place at = 0; at < list.size(); ++at)
        if (list[at].topic == topic) return at;
    return PlaceTable::none;
}

Members::Place Members::make_topic(std::string_view name, std::uint64_t hash) {
    if (topics() >= limits_.topics) refuse(limits_.topics, "the topics are");
    names_.make_room();
    if (free_topics_.empty()) {
        make_room(topics_);
        free_topics_.reserve(topics_.capacity());
        free_topics_.push_back(static_cast<Place>(topics_.size()));
        topics_.emplace_back();
    }
    const Place place = free_topics_.back();
    topics_[place].name = name;
    free_topics_.pop_back();
    names_.insert(hash, place);
    return place;
}

std::string Members::drop_topic(Place topic) noexcept {
    names_.erase(hash_(topics_[topic].name), topic);
    std::string name;
    name.swap(topics_[topic].name);
    free_topics_.push_back(topic);
    return name;
}

void Members::make_table(Connection& connection) const {
    auto table = std::make_unique<PlaceTable>();
    for (Place at = 0; at < connection.topics.size(); ++at) {
        table->make_room();
        table->insert(hash_of_place(connection.topics[at].topic), at);
    }
    connection.table = std::move(table);
}

Members::Change Members::join(Key key, std::string_view name) {
    const Place place = checked(key);
    Connection& connection = connections_[place];
    const std::uint64_t hash = hash_(name);
    Place topic = topic_of(name, hash);
    const bool is_new = topic == PlaceTable::none;
    if (!is_new && find_membership(connection, topic) != PlaceTable::none) return {};
    if (connection.topics.size() >= limits_.topics_of_a_connection)
        refuse(limits_.topics_of_a_connection, "the topics of connection " + to_text(connection.id) + " are");

    connection.topics.make_room();
    if (!connection.table && connection.topics.size() >= few) make_table(connection);
    if (connection.table) connection.table->make_room();
    if (is_new) topic = make_topic(name, hash);
    Compact<Member>& members = topics_[topic].members;
    try {
        members.make_room();
    } catch (...) {
        if (is_new) drop_topic(topic);
        throw;
    }
    const Place at = connection.topics.size();
    connection.topics.push({topic, members.size()});
    members.push({place, at});
    if (connection.table) connection.table->insert(hash_of_place(topic), at);
    ++memberships_;
    return {true, is_new};
}

void Members::take_out(Place place, Place at) noexcept {
    Connection& connection = connections_[place];
    const Membership gone = connection.topics[at];
    Compact<Member>& members = topics_[gone.topic].members;
    const Member last_member = members.back();
    members[gone.at] = last_member;
    connections_[last_member.connection].topics[last_member.at].at = gone.at;
    members.pop();

    if (connection.table) connection.table->erase(hash_of_place(gone.topic), at);
    const Place last = connection.topics.size() - 1;
    if (at != last) {
        const Membership moved = connection.topics[last];
        connection.topics[at] = moved;
        topics_[moved.topic].members[moved.at].at = at;
        if (connection.table) connection.table->move(hash_of_place(moved.topic), last, at);
    }
    connection.topics.pop();
    if (connection.table && connection.topics.size() < few / 2) connection.table.reset();
    --memberships_;
}

Members::Change Members::leave(Key key, std::string_view name) {
    const Place place = checked(key);
    const Place topic = topic_of(name);
    if (topic == PlaceTable::none) return {};
    const Place at = find_membership(connections_[place], topic);
    if (at == PlaceTable::none) return {};
    take_out(place, at);
    const bool was_last = topics_[topic].members.empty();
    if (was_last) drop_topic(topic);
    return {true, was_last};
}

std::size_t Members::leave_all(Key key, const Emptied& emptied) {
    const Place place = checked(key);
    Connection& connection = connections_[place];
    const std::size_t count = connection.topics.size();
    while (!connection.topics.empty()) {
        const Place topic = connection.topics.back().topic;
        take_out(place, connection.topics.size() - 1);
        if (!topics_[topic].members.empty()) continue;
        const std::string name = drop_topic(topic);
        if (emptied) emptied(name);
    }
    return count;
}

std::size_t Members::disconnect(Key key, const Emptied& emptied) {
    const Place place = checked(key);
    const std::size_t count = leave_all(key, emptied);
    Connection& connection = connections_[place];
    ids_.erase(hash_of(connection.id), place);
    connection.is_here = false;
    ++connection.generation;
    if (connection.generation == 0) connection.generation = 1;
    free_connections_.push_back(place);
    return count;
}

bool Members::is_in(Key key, std::string_view name) const {
    const Place place = checked(key);
    const Place topic = topic_of(name);
    return topic != PlaceTable::none && find_membership(connections_[place], topic) != PlaceTable::none;
}

std::vector<std::string> Members::topics_of(Key key) const {
    const Connection& connection = connections_[checked(key)];
    std::vector<std::string> names;
    names.reserve(connection.topics.size());
    for (const Membership& membership : connection.topics) names.push_back(topics_[membership.topic].name);
    return names;
}

std::size_t Members::connection_count(std::string_view name) const {
    const Place topic = topic_of(name);
    return topic == PlaceTable::none ? 0 : topics_[topic].members.size();
}

std::vector<ConnectionId> Members::connections_of(std::string_view name) const {
    std::vector<ConnectionId> ids;
    const Place topic = topic_of(name);
    if (topic == PlaceTable::none) return ids;
    ids.reserve(topics_[topic].members.size());
    for (const Member& member : topics_[topic].members) ids.push_back(connections_[member.connection].id);
    return ids;
}

void Members::gather(std::string_view name, const ConnectionId& excluded, std::vector<std::uint64_t>& handles) const {
    const Place topic = topic_of(name);
    if (topic == PlaceTable::none) return handles.clear();
    const Compact<Member>& members = topics_[topic].members;
    const Member* hole = members.end();
    if (const Place out = connection_of(find(excluded)); out != PlaceTable::none) {
        const Place at = find_membership(connections_[out], topic);
        if (at != PlaceTable::none) hole = members.begin() + connections_[out].topics[at].at;
    }
    handles.resize(members.size() - (hole == members.end() ? 0 : 1));
    const auto copy = [&](const Member* from, const Member* end, std::uint64_t* to) {
        const std::uint64_t* const all = handles_.data();
        for (; from != end; ++from) *to++ = all[from->connection];
        return to;
    };
    std::uint64_t* const rest = copy(members.begin(), hole, handles.data());
    if (hole != members.end()) copy(hole + 1, members.end(), rest);
}

void Members::gather_all(const ConnectionId& excluded, std::vector<std::uint64_t>& handles) const {
    handles.clear();
    handles.reserve(connections());
    const Place out = connection_of(find(excluded));
    for (Place place = 0; place < connections_.size(); ++place)
        if (connections_[place].is_here && place != out) handles.push_back(handles_[place]);
}

}  // namespace fanwire::core
