// Partitions: tags of the right slots, spread evenly over nodes however these share the slots.
#include "core/topology/partitions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using core::Partitions;
using core::slot_count;
using core::slot_of;

TEST(Partitions, AgreeWithTheVectors) {
    for (const Json& item : read_vectors("partitions.json")) {
        SCOPED_TRACE(item.at("name").dump());
        const Partitions partitions(item.at("partitions").get<std::size_t>());
        const std::string name = bytes_of(item, "channel");
        const std::size_t partition = partitions.partition_of(name);
        EXPECT_EQ(partition, item.at("partition").get<std::size_t>());
        EXPECT_EQ(partitions.tag(partition), item.at("tag").get<std::string>());
        EXPECT_EQ(partitions.slot(partition), item.at("slot").get<int>());
        EXPECT_EQ(partitions.tagged(name), bytes_of(item, "wire"));
    }
}

TEST(Partitions, HaveTagsOfTheirSlots) {
    for (const std::size_t count : {1u, 2u, 3u, 7u, 64u, 1000u, 4096u, 16383u, 16384u}) {
        const Partitions partitions(count);
        ASSERT_EQ(partitions.count(), count);
        std::set<int> slots;
        for (std::size_t p = 0; p < count; ++p) {
            ASSERT_FALSE(partitions.tag(p).empty());
            ASSERT_EQ(slot_of(partitions.tag(p)), partitions.slot(p)) << count << ' ' << p;
            slots.insert(partitions.slot(p));
        }
        EXPECT_EQ(slots.size(), count);
    }
}

TEST(Partitions, ThatMakeNoSenseAreRefused) {
    for (const std::size_t count : {std::size_t{0}, slot_count + 1, SIZE_MAX}) {
        try {
            Partitions partitions(count);
            ADD_FAILURE() << count;
        } catch (const core::Failure& failure) {
            EXPECT_EQ(failure.status(), core::Status::INVALID_OPTION);
            EXPECT_NE(std::string(failure.what()).find("partitions"), std::string::npos);
        }
    }
}

// How many tags each of `nodes` has, when they share the slots as `owner` says.
template <class Owner>
double spread(const Partitions& partitions, std::size_t nodes, Owner owner) {
    std::vector<int> tags(nodes);
    for (std::size_t p = 0; p < partitions.count(); ++p) ++tags[owner(partitions.slot(p))];
    const auto [least, most] = std::minmax_element(tags.begin(), tags.end());
    return *least == 0 ? 1000 : static_cast<double>(*most) / *least;
}

TEST(Partitions, AreSpreadEvenlyOverNodes) {
    // With fewer than ten tags for each node a difference of one would be more than a tenth.
    for (const std::size_t count : {64u, 100u, 128u, 256u, 500u, 1024u, 4096u, 16384u}) {
        const Partitions partitions(count);
        for (std::size_t nodes = 1; nodes * 11 <= count && nodes <= 200; ++nodes) {
            EXPECT_LE(spread(partitions, nodes, [&](std::size_t slot) { return slot * nodes / slot_count; }), 1.1)
                << count << " tags, " << nodes << " nodes with a range each, as redis-cli makes them";
        }
    }
}

TEST(Partitions, AreSpreadEvenlyAfterNodesWereAdded) {
    // Three nodes with a range each, and a fourth one that got the first quarter of each of these.
    const auto owner = [](std::size_t slot) {
        const std::size_t range = slot * 3 / slot_count, within = slot * 3 % slot_count;
        return within < slot_count / 4 ? std::size_t{3} : range;
    };
    for (const std::size_t count : {128u, 256u, 512u, 1024u, 4096u})
        EXPECT_LE(spread(Partitions(count), 4, owner), 1.1) << count;
}

TEST(Partitions, ShareTheChannelsEvenly) {
    const Partitions partitions(64);
    std::vector<int> share(64);
    for (int i = 0; i < 64 * 4000; ++i) ++share[partitions.partition_of("ws:room:" + std::to_string(i))];
    for (const int one : share) EXPECT_NEAR(one, 4000, 253);
}

TEST(Partitions, NamesOfOneHashTagStayTogether) {
    const Partitions partitions(512);
    for (int i = 0; i < 100; ++i) {
        const std::string tag = "{user:" + std::to_string(i) + "}";
        EXPECT_EQ(partitions.partition_of("ws:" + tag + ":inbox"), partitions.partition_of("ws:" + tag + ":typing"));
    }
}

TEST(Partitions, TheTagCountsWhateverBracesTheNameHas) {
    const Partitions partitions(16);
    for (const char* name : {"ws:a", "ws:{b}", "{}", "}", "{", "", "a{b"}) {
        const std::string wire = partitions.tagged(name);
        EXPECT_TRUE(wire.ends_with(name));
        EXPECT_EQ(slot_of(wire), partitions.slot(partitions.partition_of(name))) << wire;
    }
}

}  // namespace
}  // namespace fanwire::test
