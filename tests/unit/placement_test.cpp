// Rendezvous hashing: the same everywhere, even, and only what must moves.
#include "core/topology/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using core::place_hash;
using core::Placement;

std::vector<std::string> keys(int count, int from = 0) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back("10.0.0." + std::to_string(from + i) + ":6379");
    return names;
}

std::string channel(int i) {
    return "ws:room:" + std::to_string(i);
}

TEST(Placement, AgreesWithTheVectors) {
    for (const Json& item : read_vectors("placement.json")) {
        SCOPED_TRACE(item.at("name").dump());
        const auto nodes = item.at("nodes").get<std::vector<std::string>>();
        const std::string name = bytes_of(item, "channel");
        char hash[17];
        std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(place_hash(name)));
        EXPECT_EQ(hash, item.at("hash").get<std::string>());
        EXPECT_EQ(nodes.at(Placement(nodes).place(name)), item.at("node").get<std::string>());
    }
}

TEST(Placement, OfNoNodesIsNobody) {
    EXPECT_EQ(Placement().place("a"), Placement::nobody);
    const Placement three(keys(3));
    EXPECT_EQ(three.place(place_hash("a"), [](std::size_t) { return false; }), Placement::nobody);
}

TEST(Placement, DoesNotDependOnTheOrderOfTheNodes) {
    std::vector<std::string> names = keys(7);
    const Placement forward(names);
    std::reverse(names.begin(), names.end());
    const Placement backward(names);
    for (int i = 0; i < 2000; ++i)
        ASSERT_EQ(forward.key(forward.place(channel(i))), backward.key(backward.place(channel(i))));
}

// Of the same weight, since they have the same key.
TEST(Placement, OfAKeyThatIsThereTwiceTheFirstCounts) {
    const Placement twice({"a", "a"});
    for (int i = 0; i < 100; ++i) ASSERT_EQ(twice.place(channel(i)), 0u);
}

TEST(Placement, IsEven) {
    for (const int count : {2, 3, 6, 16, 50}) {
        const Placement placement(keys(count));
        std::vector<int> share(static_cast<std::size_t>(count));
        const int per_node = 4000;
        for (int i = 0; i < per_node * count; ++i) ++share[placement.place(channel(i))];
        // Four standard deviations of what chance gives: 4 * sqrt(4000).
        for (const int one : share) EXPECT_NEAR(one, per_node, 253) << count;
    }
}

TEST(Placement, ANodeThatLeavesGivesAwayItsOwnChannelsOnlyAndEvenly) {
    const Placement all(keys(5));
    std::vector<int> taken(5);
    for (int i = 0; i < 20000; ++i) {
        const std::uint64_t hash = place_hash(channel(i));
        const std::size_t before = all.place(hash);
        const std::size_t after = all.place(hash, [](std::size_t node) { return node != 2; });
        if (before != 2)
            ASSERT_EQ(after, before);
        else
            ++taken[after];
    }
    EXPECT_EQ(taken[2], 0);
    for (const std::size_t other : {0u, 1u, 3u, 4u}) EXPECT_NEAR(taken[other], 1000, 127);
}

TEST(Placement, ANodeThatJoinsTakesItsShareAndNothingElseMoves) {
    const Placement four(keys(4)), five(keys(5));
    int moved = 0;
    for (int i = 0; i < 20000; ++i) {
        const std::size_t before = four.place(channel(i)), after = five.place(channel(i));
        if (before == after) continue;
        ASSERT_EQ(after, 4u);
        ++moved;
    }
    EXPECT_NEAR(moved, 4000, 240);
}

TEST(Placement, NamesThatDifferInOneBitAreNoFriends) {
    const Placement two(keys(2));
    int same = 0;
    for (int i = 0; i < 4096; ++i) {
        std::string name = channel(i), other = name;
        other[static_cast<std::size_t>(i) % name.size()] ^= static_cast<char>(1 << i % 8);
        same += two.place(name) == two.place(other);
    }
    EXPECT_NEAR(same, 2048, 160);
}

}  // namespace
}  // namespace fanwire::test
