// Connections, topics and memberships: against a simple model, and what they cost.
#include "core/hub/members.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "failures.h"
#include "tests/support/heap.h"

namespace fanwire::core {
namespace {

ConnectionId id_of(std::uint64_t number) {
    ConnectionId id{};
    for (std::size_t i = 0; i < 8; ++i) id[15 - i] = static_cast<unsigned char>(number >> (8 * i));
    id[6] = 0x40;
    id[8] = static_cast<unsigned char>(0x80 | (id[8] & 0x3f));
    return id;
}

std::vector<std::uint64_t> gathered(const Members& members, std::string_view topic, const ConnectionId& excluded = {}) {
    std::vector<std::uint64_t> handles{99};  // which does not stay
    members.gather(topic, excluded, handles);
    std::sort(handles.begin(), handles.end());
    return handles;
}

using Handles = std::vector<std::uint64_t>;

TEST(ConnectionIds, AreMadeAndChecked) {
    std::set<ConnectionId> made;
    for (int i = 0; i < 100; ++i) {
        const ConnectionId id = make_connection_id();
        EXPECT_TRUE(is_connection_id(id));
        EXPECT_EQ(id, parse_connection_id(to_text(id)));
        EXPECT_TRUE(made.insert(id).second);
    }
    const ConnectionId id = *parse_connection_id("123E4567-e89b-42d3-a456-426614174000");
    EXPECT_EQ("123e4567-e89b-42d3-a456-426614174000", to_text(id));
    for (const char* bad : {"", "123e4567-e89b-42d3-a456-42661417400", "123e4567-e89b-42d3-a456-4266141740000",
                            "123e4567e89b-42d3-a456-4266141740000", "123e4567-e89b-42d3-a456-42661417400g",
                            "123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-42d3-c456-426614174000",
                            "123e4567+e89b-42d3-a456-426614174000", "00000000-0000-0000-0000-000000000000"})
        EXPECT_EQ(std::nullopt, parse_connection_id(bad)) << bad;
}

TEST(Members, JoinAndLeave) {
    Members members({}, 1);
    const auto a = members.connect(id_of(1), 10), b = members.connect(id_of(2), 20);
    EXPECT_TRUE(members.join(a, "room").edge) << "the first one";
    const Members::Change second = members.join(b, "room");
    EXPECT_TRUE(second.changed);
    EXPECT_FALSE(second.edge);
    EXPECT_FALSE(members.join(b, "room").changed) << "it is in it already";
    EXPECT_TRUE(members.join(a, "").edge);
    EXPECT_EQ((Handles{10, 20}), gathered(members, "room"));
    EXPECT_EQ((Handles{20}), gathered(members, "room", id_of(1)));
    EXPECT_EQ((Handles{10, 20}), gathered(members, "room", id_of(3))) << "who is not here is not excluded";
    EXPECT_EQ((Handles{10}), gathered(members, "", id_of(2))) << "who is not in the topic, neither";
    EXPECT_EQ(Handles{}, gathered(members, "other"));
    EXPECT_EQ((std::vector<std::string>{"room", ""}), members.topics_of(a));
    EXPECT_EQ((std::vector{id_of(1), id_of(2)}), members.connections_of("room"));
    EXPECT_EQ(2u, members.connection_count("room"));
    EXPECT_TRUE(members.is_in(a, "room"));
    EXPECT_FALSE(members.is_in(b, ""));
    EXPECT_EQ(3u, members.memberships());

    EXPECT_FALSE(members.leave(b, "other").changed);
    EXPECT_FALSE(members.leave(b, "").changed);
    EXPECT_FALSE(members.leave(a, "room").edge);
    EXPECT_EQ((Handles{20}), gathered(members, "room"));
    EXPECT_TRUE(members.leave(b, "room").edge) << "the last one";
    EXPECT_EQ(1u, members.topics());
    EXPECT_EQ(1u, members.memberships());
}

TEST(Members, ADisconnectLeavesEverything) {
    Members members({}, 1);
    const auto a = members.connect(id_of(1), 10), b = members.connect(id_of(2), 20);
    for (const char* topic : {"alone", "both", "too"}) members.join(a, topic);
    members.join(b, "both");
    std::set<std::string> emptied;
    const auto note = [&](std::string_view topic) { emptied.insert(std::string(topic)); };
    EXPECT_EQ(3u, members.disconnect(a, note));
    EXPECT_EQ((std::set<std::string>{"alone", "too"}), emptied);
    EXPECT_EQ((Handles{20}), gathered(members, "both"));
    EXPECT_EQ(Members::Key::none, members.find(id_of(1)));
    EXPECT_EQ(1u, members.connections());
    EXPECT_EQ(1u, members.topics());
    EXPECT_EQ(1u, members.leave_all(b, note));
    EXPECT_TRUE(members.is_connected(b));
    EXPECT_EQ(0u, members.leave_all(b, nullptr));
}

TEST(Members, NothingHappensAfterADisconnect) {
    Members members({}, 1);
    const auto a = members.connect(id_of(1), 10);
    members.disconnect(a, nullptr);
    const auto b = members.connect(id_of(2), 20);  // in the same place
    for (const auto gone : {a, Members::Key::none, Members::Key{~std::uint64_t{0}}}) {
        EXPECT_FALSE(members.is_connected(gone));
        const auto refused = [&](const std::function<void()>& action) {
            test::expect_failure(Status::INVALID_ARGUMENT, {"not connected"}, action);
        };
        refused([&] { members.join(gone, "t"); });
        refused([&] { members.leave(gone, "t"); });
        refused([&] { members.leave_all(gone, nullptr); });
        refused([&] { members.disconnect(gone, nullptr); });
        refused([&] { members.topics_of(gone); });
        refused([&] { members.handle_of(gone); });
        refused([&] { members.id_of(gone); });
    }
    EXPECT_EQ(20u, members.handle_of(b));
    EXPECT_EQ(id_of(2), members.id_of(b));
    EXPECT_EQ(0u, members.memberships());
    EXPECT_EQ(0u, members.topics());
}

TEST(Members, BadIds) {
    Members members({}, 1);
    members.connect(id_of(1), 10);
    test::expect_failure(Status::INVALID_ARGUMENT, {"already", "00000000-0000-4000-8000-000000000001"},
                         [&] { members.connect(id_of(1), 11); });
    test::expect_failure(Status::INVALID_ARGUMENT, {"no UUID of version 4"}, [&] { members.connect({}, 11); });
    EXPECT_EQ(1u, members.connections());
}

TEST(Members, LimitsAreReported) {
    Members members({2, 3, 2}, 1);
    const auto a = members.connect(id_of(1), 10), b = members.connect(id_of(2), 20);
    test::expect_failure(Status::LIMIT_REACHED, {"connections are 2"}, [&] { members.connect(id_of(3), 30); });
    members.join(a, "1");
    members.join(a, "2");
    test::expect_failure(Status::LIMIT_REACHED, {"topics of connection 00000000-", "are 2"},
                         [&] { members.join(a, "3"); });
    EXPECT_FALSE(members.join(a, "2").changed) << "that is no new one";
    members.join(b, "3");
    test::expect_failure(Status::LIMIT_REACHED, {"topics are 3"}, [&] { members.join(b, "4"); });
    members.join(b, "1");
    EXPECT_EQ(4u, members.memberships());
    members.disconnect(a, nullptr);
    members.connect(id_of(3), 30);
    EXPECT_EQ(2u, members.topics());
}

TEST(Members, WhoLeavesDuringADeliveryChangesNothingAboutIt) {
    Members members({}, 1);
    std::vector<Members::Key> keys;
    for (std::uint64_t i = 0; i < 100; ++i) {
        keys.push_back(members.connect(id_of(i), i));
        members.join(keys.back(), "room");
    }
    std::vector<std::uint64_t> handles;
    members.gather("room", id_of(50), handles);
    std::set<std::uint64_t> delivered;
    for (const std::uint64_t handle : handles) {
        members.disconnect(keys[(handle + 1) % 100 == 50 ? 50 : handle], nullptr);
        if (handle == 20) members.join(members.connect(id_of(1000), 1000), "room");
        delivered.insert(handle);
    }
    EXPECT_EQ(99u, delivered.size());
    EXPECT_FALSE(delivered.contains(50));
    EXPECT_FALSE(delivered.contains(1000));
}

// A few connections in a few topics, one in many, whatever happens in whatever order.
class Model {
 public:
    explicit Model(unsigned seed) : random_(seed), members_({12, 150, 120}, seed) {}

    void step() {
        const std::uint64_t number = random_() % 2 == 0 ? random_() % 2 : random_() % 14;
        const bool is_here = keys_.contains(number);
        switch (random_() % 16) {
            case 0:
            case 1:
                return is_here ? refuse_twice(number) : connect(number);
            case 2:
                if (is_here && (number > 1 || random_() % 20 == 0)) leave_everything(number, random_() % 2 == 0);
                return;
            default:
                if (is_here) change(number);
        }
    }

    void check() const {
        std::size_t memberships = 0;
        std::map<std::string, std::set<std::uint64_t>> topics;
        for (const auto& [number, key] : keys_) {
            const std::set<std::string>& mine = model_.at(number);
            ASSERT_EQ(key, members_.find(id_of(number)));
            ASSERT_EQ(number * 7, members_.handle_of(key));
            const std::vector<std::string> names = members_.topics_of(key);
            ASSERT_EQ(mine, std::set<std::string>(names.begin(), names.end()));
            ASSERT_EQ(mine.size(), names.size());
            ASSERT_EQ(mine.size(), members_.topic_count(key));
            memberships += mine.size();
            for (const std::string& name : mine) topics[name].insert(number);
        }
        ASSERT_EQ(keys_.size(), members_.connections());
        ASSERT_EQ(topics.size(), members_.topics());
        ASSERT_EQ(memberships, members_.memberships());
        for (const auto& [name, numbers] : topics) {
            for (const std::uint64_t excluded : {*numbers.begin(), *numbers.rbegin(), std::uint64_t{5}}) {
                Handles expected;
                for (const std::uint64_t number : numbers)
                    if (number != excluded) expected.push_back(number * 7);
                ASSERT_EQ(expected, gathered(members_, name, id_of(excluded)));
            }
            std::set<ConnectionId> ids;
            for (const std::uint64_t number : numbers) ids.insert(id_of(number));
            const std::vector<ConnectionId> here = members_.connections_of(name);
            ASSERT_EQ(ids, std::set<ConnectionId>(here.begin(), here.end()));
            ASSERT_EQ(ids.size(), here.size());
        }
        Handles all, expected;
        members_.gather_all(id_of(3), all);
        std::sort(all.begin(), all.end());
        for (const auto& [number, key] : keys_)
            if (number != 3) expected.push_back(number * 7);
        ASSERT_EQ(expected, all);
        for (const Members::Key key : gone_) ASSERT_FALSE(members_.is_connected(key));
    }

 private:
    void connect(std::uint64_t number) {
        if (keys_.size() >= 12)
            return test::expect_failure(Status::LIMIT_REACHED, {}, [&] { members_.connect(id_of(number), 0); });
        keys_[number] = members_.connect(id_of(number), number * 7);
        model_[number];
    }
    void refuse_twice(std::uint64_t number) {
        test::expect_failure(Status::INVALID_ARGUMENT, {}, [&] { members_.connect(id_of(number), 0); });
    }
    bool is_used(const std::string& topic) const {
        return std::any_of(model_.begin(), model_.end(), [&](const auto& one) { return one.second.contains(topic); });
    }
    void leave_everything(std::uint64_t number, bool disconnects) {
        std::set<std::string> emptied, expected = std::exchange(model_[number], {});
        const std::size_t count = expected.size();
        std::erase_if(expected, [&](const std::string& topic) { return is_used(topic); });
        const auto note = [&](std::string_view topic) { EXPECT_TRUE(emptied.insert(std::string(topic)).second); };
        const Members::Key key = keys_.at(number);
        EXPECT_EQ(count, disconnects ? members_.disconnect(key, note) : members_.leave_all(key, note));
        EXPECT_EQ(expected, emptied);
        if (!disconnects) return;
        gone_.push_back(key);
        keys_.erase(number);
        model_.erase(number);
    }
    void change(std::uint64_t number) {
        std::set<std::string>& mine = model_.at(number);
        const std::string topic = "topic " + std::to_string(number < 2 ? random_() % 160 : random_() % 10);
        EXPECT_EQ(mine.contains(topic), members_.is_in(keys_.at(number), topic));
        if (mine.size() >= 120) grows_ = false;  // then it leaves more than it joins, and so on
        if (mine.size() < 10) grows_ = true;
        if (random_() % 5 < (grows_ ? 4u : 2u)) return join(number, mine, topic);
        const Members::Change left = members_.leave(keys_.at(number), topic);
        EXPECT_EQ(mine.erase(topic) > 0, left.changed);
        EXPECT_EQ(left.changed && !is_used(topic), left.edge);
    }
    void join(std::uint64_t number, std::set<std::string>& mine, const std::string& topic) {
        const bool was_used = is_used(topic);
        if (!mine.contains(topic) && (mine.size() >= 120 || (!was_used && members_.topics() >= 150)))
            return test::expect_failure(Status::LIMIT_REACHED, {}, [&] { members_.join(keys_.at(number), topic); });
        const Members::Change joined = members_.join(keys_.at(number), topic);
        EXPECT_EQ(mine.insert(topic).second, joined.changed);
        EXPECT_EQ(!was_used, joined.edge);
    }

    std::mt19937 random_;
    Members members_;
    std::map<std::uint64_t, Members::Key> keys_;
    std::map<std::uint64_t, std::set<std::string>> model_;
    std::vector<Members::Key> gone_;
    bool grows_ = true;
};

TEST(Members, AreAsASimpleModelHasThem) {
    for (unsigned seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE(seed);
        Model model(seed);
        for (int i = 0; i < 1500; ++i) {
            model.step();
            if (i % 50 == 0) model.check();
            if (testing::Test::HasFailure()) return;
        }
        model.check();
    }
}

#ifdef FANWIRE_COUNTS_BYTES
TEST(Members, AMillionMembershipsTakeAtMost32BytesEach) {
    constexpr std::uint64_t connections = 100'000, each = 10, topics = 10'000;
    const std::size_t before = test::bytes_in_use();
    {
        Members members({}, 1);
        std::vector<Members::Key> keys;
        keys.reserve(connections);
        for (std::uint64_t i = 0; i < connections; ++i) keys.push_back(members.connect(id_of(i), i));
        for (std::uint64_t j = 0; j < each; ++j)
            for (std::uint64_t i = 0; i < connections; ++i)
                members.join(keys[i], "room:" + std::to_string((i * 7919 + j * 104729 + i / topics * j) % topics));
        ASSERT_EQ(connections * each, members.memberships());
        ASSERT_EQ(topics, members.topics());
        const std::size_t used = test::bytes_in_use() - before - keys.capacity() * sizeof(Members::Key);
        EXPECT_LE(used, 32 * connections * each) << used / (connections * each) << " bytes each";
        // What has left is given back.
        for (const Members::Key key : keys) members.leave_all(key, nullptr);
        EXPECT_LE(test::bytes_in_use() - before, 16 * connections * each);

        for (const char* topic : {"one", "all"})  // the lists of the connections have room for more than one topic
            for (const Members::Key key : keys) members.join(key, topic);
        const std::size_t full = test::bytes_in_use();
        for (std::size_t i = 100; i < keys.size(); ++i) members.leave(keys[i], "all");
        EXPECT_LE(test::bytes_in_use(), full - 7 * connections) << "a list that was long once does not stay so";
    }
    EXPECT_LE(test::bytes_in_use(), before + 65536);
}
#endif

}  // namespace
}  // namespace fanwire::core
