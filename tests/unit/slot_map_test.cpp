// What nodes say about who has which slots: as servers write it, oddly, and wrongly.
#include "core/topology/slot_map.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/topology/placement.h"
#include "tests/support/cluster_replies.h"

namespace fanwire::core {
namespace {

using test::Pairs;
using test::SaidNode;
using test::SaidRange;
using test::shards_reply;
using test::slots_reply;
namespace resp = test::resp;

const ServerAddress asked{"asked.example", 7000};

Error read(SlotMap& map, const std::string& bytes, const ServerAddress& at = asked) {
    return map.read_slots(resp::Read(bytes).reply(), at);
}
Error read_shards(SlotMap& map, const std::string& bytes, bool tls = false) {
    return map.read_shards(resp::Read(bytes).reply(), asked, tls);
}
SlotMap map_of(const std::vector<SaidRange>& ranges) {
    SlotMap map;
    EXPECT_EQ(read(map, slots_reply(ranges)).text, "");
    return map;
}

std::string owner(const SlotMap& map, Slot slot) {
    const std::size_t index = map.owner(slot);
    return index == SlotMap::nobody ? "nobody" : map.nodes()[index].address.text();
}
std::string address_of(const SaidNode& node, const ServerAddress& at = asked) {
    SlotMap map;
    EXPECT_EQ(read(map, slots_reply({{0, 16383, {node}}}), at).text, "");
    return owner(map, 0);
}

// As Redis 8.2 and Valkey 9.1 write it.
const std::vector<SaidRange> three = {
    {0, 5460, {{"a", "10.0.0.1", 6379}, {"d", "10.0.0.4", 6379}}},
    {5461, 10921, {{"b", "10.0.0.2", 6379}, {"e", "10.0.0.5", 6379}}},
    {10922, 16383, {{"c", "10.0.0.3", 6379}, {"f", "10.0.0.6", 6379}}},
};

TEST(SlotMap, KnowsNobodyAtFirst) {
    const SlotMap map;
    EXPECT_EQ(map.covered(), 0u);
    EXPECT_FALSE(map.complete());
    EXPECT_EQ(map.owner(0), SlotMap::nobody);
    EXPECT_TRUE(map.masters().empty());
    EXPECT_EQ(map.find({"", 0}), SlotMap::nobody);
}

TEST(SlotMap, ReadsClusterSlots) {
    const SlotMap map = map_of(three);
    EXPECT_TRUE(map.complete());
    EXPECT_EQ(owner(map, 0), "10.0.0.1:6379");
    EXPECT_EQ(owner(map, 5460), "10.0.0.1:6379");
    EXPECT_EQ(owner(map, 5461), "10.0.0.2:6379");
    EXPECT_EQ(owner(map, 10921), "10.0.0.2:6379");
    EXPECT_EQ(owner(map, 16383), "10.0.0.3:6379");
    ASSERT_EQ(map.nodes().size(), 6u);
    EXPECT_EQ(map.masters(), (std::vector<std::size_t>{0, 2, 4}));
    for (std::size_t i = 0; i < 6; ++i) {
        const ClusterNode& node = map.nodes()[i];
        EXPECT_EQ(node.master, i % 2 == 0);
        EXPECT_EQ(node.has_master, i % 2 == 1);
        EXPECT_EQ(node.copies, node.has_master ? i - 1 : 0);
        EXPECT_EQ(node.place_key, node.master ? node.id : "");
    }
    EXPECT_EQ(map.find({"10.0.0.5", 6379}), 3u);
    EXPECT_EQ(map.find({"10.0.0.5", 6380}), SlotMap::nobody);
    EXPECT_EQ(map.find_id("f"), 5u);
    EXPECT_EQ(map.find_id("g"), SlotMap::nobody);
    EXPECT_EQ(map.find_id(""), SlotMap::nobody);
}

TEST(SlotMap, KnowsANodeOfSeveralRangesOnce) {
    const SlotMap map = map_of({{0, 10, {{"a", "h", 1}}}, {11, 20, {{"b", "h", 2}}}, {30, 40, {{"a", "h", 1}}}});
    EXPECT_EQ(map.nodes().size(), 2u);
    EXPECT_EQ(map.covered(), 32u);
    EXPECT_EQ(owner(map, 25), "nobody");
    EXPECT_EQ(owner(map, 30), "h:1");
}

TEST(SlotMap, KnowsNodesWithoutIdsByTheirAddresses) {
    const SlotMap map = map_of({{0, 10, {{"", "h", 1}}}, {11, 20, {{"", "h", 2}, {"", "h", 1}}}});
    EXPECT_EQ(map.nodes().size(), 2u);
    EXPECT_EQ(map.nodes()[0].place_key, "h:1");
    EXPECT_FALSE(map.has_ids());
}

TEST(SlotMap, WithoutAHostIsTheAddressAsked) {
    EXPECT_EQ(address_of({"a", std::nullopt, 7001}), "asked.example:7001");
    EXPECT_EQ(address_of({"a", "", 7001}), "asked.example:7001");
    EXPECT_EQ(address_of({"a", std::nullopt, 7001, {{"ip", "10.0.0.1"}, {"hostname", "n1.example"}}}),
              "asked.example:7001");
}

TEST(SlotMap, AnUnknownHostIsLookedForInTheMetadata) {
    EXPECT_EQ(address_of({"a", "?", 7001}), "an unknown address");
    EXPECT_EQ(address_of({"a", "?", 7001, {{"ip", "10.0.0.1"}}}), "10.0.0.1:7001");
    EXPECT_EQ(address_of({"a", "?", 7001, {{"ip", "10.0.0.1"}, {"hostname", "n1.example"}}}), "n1.example:7001");
    EXPECT_EQ(address_of({"a", "?", 7001, {{"ip", "?"}, {"hostname", ""}}}), "an unknown address");
    EXPECT_EQ(address_of({"a", "not a host", 7001, {{"ip", "10.0.0.1"}}}), "10.0.0.1:7001");
}

TEST(SlotMap, TheHostnameIsKeptWhicheverEndpointIsPreferred) {
    const SlotMap map =
        map_of({{0, 16383, {{"a", "10.0.0.1", 1, {{"hostname", "n1.example"}, {"availability-zone", "z"}}}}}});
    EXPECT_EQ(owner(map, 0), "10.0.0.1:1");
    EXPECT_EQ(map.nodes()[0].hostname, "n1.example");
    EXPECT_EQ(address_of({"a", "n1.example", 1, {{"ip", "10.0.0.1"}}}), "n1.example:1");
}

TEST(SlotMap, AHostMayBeIpv6) {
    EXPECT_EQ(address_of({"a", "2001:db8::1", 6379}), "[2001:db8::1]:6379");
    EXPECT_EQ(address_of({"a", "", 6379}, {"::1", 7000}), "[::1]:6379");
}

TEST(SlotMap, APortOfZeroIsThePortAsked) {
    EXPECT_EQ(address_of({"a", "10.0.0.1", 0}), "10.0.0.1:7000");
    // But not where that is somebody else.
    const SlotMap map =
        map_of({{0, 1, {{"a", "10.0.0.1", 0}}}, {2, 3, {{"b", "10.0.0.1", 0}}}, {4, 5, {{"c", "10.0.0.2", 0}}}});
    EXPECT_EQ(owner(map, 0), "10.0.0.1:7000");
    EXPECT_EQ(owner(map, 2), "an unknown address");
    EXPECT_EQ(owner(map, 4), "10.0.0.2:7000");
    const SlotMap behind = map_of({{0, 1, {{"a", "10.0.0.1", 0}}}, {2, 3, {{"b", "10.0.0.1", 7000}}}});
    EXPECT_EQ(owner(behind, 0), "an unknown address");
    EXPECT_EQ(owner(behind, 2), "10.0.0.1:7000");
}

TEST(SlotMap, SlotsThatNobodyServesMayBeListed) {
    const SlotMap map = map_of({{0, 5, {}}, {6, 9, {{"a", "h", 1}}}});
    EXPECT_EQ(map.covered(), 4u);
    EXPECT_EQ(owner(map, 5), "nobody");
}

TEST(SlotMap, EverySlotMayBeARangeOfItsOwn) {
    std::vector<SaidRange> ranges;
    for (std::int64_t slot = 0; slot < 16384; ++slot)
        ranges.push_back({slot, slot, {three[static_cast<std::size_t>(slot) % 3].nodes}});
    const SlotMap map = map_of(ranges);
    EXPECT_TRUE(map.complete());
    EXPECT_EQ(map.nodes().size(), 6u);
    EXPECT_EQ(owner(map, 16383), "10.0.0.1:6379");
    const MapChanges changes = changes_between(map_of(three), map);
    EXPECT_EQ(changes.moved.size(), 16384u - 3 * 1821);  // a third of each range has stayed
}

TEST(SlotMap, AnEmptyReplyIsAMapWithoutSlots) {
    SlotMap map = map_of(three);
    EXPECT_FALSE(read(map, "*0\r\n"));
    EXPECT_EQ(map.covered(), 0u);
    EXPECT_TRUE(map.nodes().empty());
}

TEST(SlotMap, ErrorsOfTheServerNameTheThing) {
    SlotMap map;
    Error error = read(map, resp::error("ERR This instance has cluster support disabled"));
    EXPECT_EQ(error.status, Status::REDIS_ERROR);
    EXPECT_EQ(error.text, "asked.example:7000 is not a node of a Cluster: it has cluster-enabled no");
    error = read(map, resp::error("ERR unknown command 'CLUSTER', with args beginning with: 'SLOTS' "));
    EXPECT_EQ(error.text, "asked.example:7000 is not a node of a Cluster: it knows no CLUSTER command");
    error = read(map, resp::error("NOPERM User u has no permissions to run the 'cluster|slots' command"));
    EXPECT_EQ(error.status, Status::NO_PERMISSION);
    EXPECT_NE(error.text.find("asked.example:7000: CLUSTER SLOTS: NOPERM"), std::string::npos) << error.text;
    error = read_shards(map, resp::error("NOAUTH Authentication required."));
    EXPECT_EQ(error.status, Status::AUTH_FAILED);
    EXPECT_NE(error.text.find("CLUSTER SHARDS"), std::string::npos) << error.text;
}

TEST(SlotMap, WhatMakesNoSenseIsRefused) {
    const std::string node = "*3\r\n$1\r\nh\r\n:1\r\n$1\r\na\r\n";
    const std::vector<std::string> replies = {
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "$1\r\nx\r\n",
        "*1\r\n:1\r\n",  // an entry that is a number
        "*1\r\n*0\r\n",
        "*1\r\n*1\r\n:1\r\n",  // and that is too short
        slots_reply({{5, 4, {}}}),
        slots_reply({{-1, 4, {}}}),
        slots_reply({{0, 16384, {}}}),
        slots_reply({{std::int64_t{1} << 40, (std::int64_t{1} << 40) + 1, {}}}),
        "*1\r\n*2\r\n$1\r\n0\r\n:4\r\n",                          // slots as text
        "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n",                         // a node that is a number
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nh\r\n",              // and that has no port
        "*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n:1\r\n:1\r\n$1\r\na\r\n",  // a host that is a number
        "*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n*0\r\n:1\r\n$1\r\na\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n$1\r\nh\r\n$-1\r\n$1\r\na\r\n",  // no port
        slots_reply({{0, 1, {{"a", "h", 65536}}}}),
        slots_reply({{0, 1, {{"a", "h", -1}}}}),
        "*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n$1\r\nh\r\n:1\r\n:7\r\n",  // an id that is none
        "*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n$1\r\nh\r\n:1\r\n$0\r\n\r\n",
        slots_reply({{0, 1, {{std::string(65, 'a'), "h", 1}}}}),
        slots_reply({{0, 1, {{"a b", "h", 1}}}}),
        slots_reply({{0, 5, {{"a", "h", 1}}}, {5, 6, {{"b", "h", 2}}}}),  // a slot of two
        "*2\r\n*3\r\n:0\r\n:1\r\n" + node + "*3\r\n:1\r\n:1\r\n" + node,
    };
    for (const std::string& bytes : replies) {
        SlotMap map;
        const Error error = read(map, bytes);
        EXPECT_EQ(error.status, Status::PROTOCOL_ERROR) << bytes;
        EXPECT_NE(error.text.find("asked.example:7000 answers CLUSTER SLOTS by"), std::string::npos) << error.text;
    }
}

Pairs shard_node(const std::string& id, const std::string& role, const std::string& health = "online") {
    return {{"id", id},
            {"port", "6379"},
            {"ip", "10.0.0." + id},
            {"endpoint", "10.0.0." + id},
            {"role", role},
            {"replication-offset", "14"},
            {"health", health}};
}

TEST(SlotMap, ReadsClusterShards) {
    SlotMap map;
    // An id of digits only is a number in these tests' writing, so the nodes have names.
    const std::string bytes = shards_reply({
        {{0, 99, 200, 299}, {shard_node("1x", "replica", "loading"), shard_node("2x", "master")}},
        {{100, 199, 300, 16383}, {shard_node("3x", "master")}},
        {{}, {shard_node("4x", "master")}},
    });
    ASSERT_EQ(read_shards(map, bytes).text, "");
    EXPECT_TRUE(map.complete());
    EXPECT_EQ(owner(map, 0), "10.0.0.2x:6379");
    EXPECT_EQ(owner(map, 150), "10.0.0.3x:6379");
    EXPECT_EQ(owner(map, 250), "10.0.0.2x:6379");
    ASSERT_EQ(map.nodes().size(), 4u);
    EXPECT_TRUE(map.nodes()[0].failed);
    EXPECT_TRUE(map.nodes()[0].has_master);
    EXPECT_EQ(map.nodes()[0].copies, 1u);
    EXPECT_TRUE(map.nodes()[3].master);
    EXPECT_EQ(map.masters(), (std::vector<std::size_t>{1, 2}));
}

TEST(SlotMap, OfTwoMastersInAShardTheOneThatIsWellCounts) {
    for (const bool failed_first : {false, true}) {
        std::vector<Pairs> nodes = {shard_node("1x", "master"), shard_node("2x", "master", "failed")};
        if (failed_first) std::swap(nodes[0], nodes[1]);
        SlotMap map;
        ASSERT_EQ(read_shards(map, shards_reply({{{0, 16383}, nodes}})).text, "");
        EXPECT_EQ(owner(map, 0), "10.0.0.1x:6379");
    }
}

TEST(SlotMap, OfTwoShardsWithTheSameSlotsTheOneThatIsWellHasThem) {
    for (const bool failed_first : {false, true}) {
        std::vector<test::SaidShard> shards = {{{0, 16383}, {shard_node("1x", "master")}},
                                               {{0, 16383}, {shard_node("2x", "master", "fail")}}};
        if (failed_first) std::swap(shards[0], shards[1]);
        SlotMap map;
        ASSERT_EQ(read_shards(map, shards_reply(shards)).text, "");
        EXPECT_EQ(owner(map, 77), "10.0.0.1x:6379");
        EXPECT_TRUE(map.complete());
    }
}

TEST(SlotMap, AShardWithoutAMasterServesNothing) {
    SlotMap map;
    ASSERT_EQ(read_shards(map, shards_reply({{{0, 16383}, {shard_node("1x", "replica")}}})).text, "");
    EXPECT_EQ(map.covered(), 0u);
    EXPECT_FALSE(map.nodes()[0].has_master);
}

TEST(SlotMap, ShardsHaveAPortForTls) {
    const Pairs both = {{"id", "ax"}, {"port", "1"}, {"tls-port", "2"}, {"endpoint", "h"}, {"role", "master"}};
    const Pairs tls_only = {{"id", "ax"}, {"tls-port", "2"}, {"endpoint", "h"}, {"role", "master"}};
    const Pairs plain_only = {{"id", "ax"}, {"port", "1"}, {"endpoint", ""}, {"ip", "i"}, {"role", "master"}};
    const auto where = [](const Pairs& node, bool tls) {
        SlotMap map;
        EXPECT_EQ(read_shards(map, shards_reply({{{0, 16383}, {node}}}), tls).text, "");
        return owner(map, 0);
    };
    EXPECT_EQ(where(both, false), "h:1");
    EXPECT_EQ(where(both, true), "h:2");
    EXPECT_EQ(where(tls_only, true), "h:2");
    EXPECT_EQ(where(tls_only, false), "h:7000");
    EXPECT_EQ(where(plain_only, false), "asked.example:1");
    EXPECT_EQ(where(plain_only, true), "asked.example:7000");
    EXPECT_EQ(where({{"id", "ax"}, {"port", "1"}, {"ip", "i"}, {"role", "master"}, {"new", "field"}}, false), "i:1");
}

TEST(SlotMap, ShardsThatMakeNoSenseAreRefused) {
    const Pairs node = shard_node("1x", "master");
    for (const std::string& bytes :
         {std::string("+OK\r\n"), std::string("*1\r\n:1\r\n"), shards_reply({{{0}, {node}}}),
          shards_reply({{{5, 4}, {node}}}), shards_reply({{{0, 16384}, {node}}}),
          shards_reply({{{0, 1}, {{{"role", "master"}}}}}), std::string("*1\r\n*2\r\n$5\r\nslots\r\n:1\r\n"),
          std::string("*1\r\n*2\r\n$5\r\nnodes\r\n:1\r\n"), std::string("*1\r\n*2\r\n$5\r\nnodes\r\n*1\r\n:1\r\n"),
          std::string("*1\r\n*2\r\n$5\r\nslots\r\n*2\r\n$1\r\nx\r\n:1\r\n")}) {
        SlotMap map;
        EXPECT_EQ(read_shards(map, bytes).status, Status::PROTOCOL_ERROR) << bytes;
    }
}

TEST(SlotMap, ARedirectMovesOneSlot) {
    SlotMap map = map_of(three);
    map.move(100, {"10.0.0.3", 6379});
    EXPECT_EQ(owner(map, 100), "10.0.0.3:6379");
    EXPECT_EQ(owner(map, 101), "10.0.0.1:6379");
    EXPECT_EQ(map.nodes().size(), 6u);
    map.move(101, {"10.0.0.9", 6379});  // nobody knows it
    EXPECT_EQ(owner(map, 101), "10.0.0.9:6379");
    ASSERT_EQ(map.nodes().size(), 7u);
    EXPECT_TRUE(map.nodes()[6].master);
    EXPECT_TRUE(map.nodes()[6].id.empty());
    EXPECT_TRUE(map.complete());
    map.move(5461, {"10.0.0.5", 6379});  // a replica has been promoted
    EXPECT_TRUE(map.nodes()[3].master);
    EXPECT_FALSE(map.nodes()[3].has_master);
    EXPECT_EQ(map.nodes()[3].place_key, "");  // no place before a view confirms it
    map.move(1, {"", 6379});
    EXPECT_EQ(owner(map, 1), "10.0.0.1:6379");
    SlotMap empty;
    empty.move(9, {"h", 1});
    EXPECT_EQ(empty.covered(), 1u);
}

std::vector<std::string> places(const SlotMap& map) {
    std::vector<std::string> keys;
    for (const std::size_t i : map.masters()) keys.push_back(map.nodes()[i].id + "=" + map.nodes()[i].place_key);
    return keys;
}

TEST(SlotMap, APromotedReplicaTakesThePlaceOfItsMaster) {
    const SlotMap before = map_of(three);
    std::vector<SaidRange> promoted = three;
    promoted[1].nodes = {{"e", "10.0.0.5", 6379}};
    SlotMap after = map_of(promoted);
    after.inherit_places(before);
    EXPECT_EQ(places(after), (std::vector<std::string>{"a=a", "e=b", "c=c"}));
    // The old one is back, as a replica and then, after another failover, as the master.
    promoted[1].nodes = {{"e", "10.0.0.5", 6379}, {"b", "10.0.0.2", 6379}};
    SlotMap back = map_of(promoted);
    back.inherit_places(after);
    EXPECT_EQ(places(back), (std::vector<std::string>{"a=a", "e=b", "c=c"}));
    SlotMap again = map_of(three);
    again.inherit_places(back);
    EXPECT_EQ(places(again), (std::vector<std::string>{"a=a", "b=b", "c=c"}));
}

TEST(SlotMap, APlaceIsTakenAlsoByAReplicaThatNobodyListed) {
    const SlotMap before = map_of({{0, 8000, {{"a", "h", 1}}}, {8001, 16383, {{"b", "h", 2}}}});
    SlotMap after = map_of({{0, 8000, {{"c", "h", 3}}}, {8001, 16383, {{"b", "h", 2}}}});
    after.inherit_places(before);
    EXPECT_EQ(places(after), (std::vector<std::string>{"c=a", "b=b"}));
}

TEST(SlotMap, ARedirectToThePromotedReplicaDoesNotTakeThePlaceAway) {
    SlotMap before = map_of(three);
    before.move(6000, {"10.0.0.5", 6379});
    std::vector<SaidRange> promoted = three;
    promoted[1].nodes = {{"e", "10.0.0.5", 6379}};
    SlotMap after = map_of(promoted);
    after.inherit_places(before);
    EXPECT_EQ(places(after), (std::vector<std::string>{"a=a", "e=b", "c=c"}));
}

TEST(SlotMap, ANodeThatJoinsHasAPlaceOfItsOwn) {
    const SlotMap before = map_of(three);
    std::vector<SaidRange> more = three;
    more[0].first = 1000;
    more.push_back({0, 999, {{"g", "10.0.0.7", 6379}}});
    SlotMap after = map_of(more);
    after.inherit_places(before);
    EXPECT_EQ(places(after), (std::vector<std::string>{"g=g", "a=a", "b=b", "c=c"}));
}

TEST(SlotMap, NoTwoMastersHaveOnePlace) {
    // c has taken a's place. Then a joins again, with slots of b.
    SlotMap one = map_of({{0, 8000, {{"a", "h", 1}}}, {8001, 16383, {{"b", "h", 2}}}});
    SlotMap two = map_of({{0, 8000, {{"c", "h", 3}}}, {8001, 16383, {{"b", "h", 2}}}});
    two.inherit_places(one);
    SlotMap three_masters =
        map_of({{0, 8000, {{"c", "h", 3}}}, {8001, 12000, {{"a", "h", 1}}}, {12001, 16383, {{"b", "h", 2}}}});
    three_masters.inherit_places(two);
    EXPECT_EQ(places(three_masters), (std::vector<std::string>{"c=a", "a=a+", "b=b"}));
    // Of two that share what one had, only one takes its place.
    SlotMap split = map_of({{0, 5000, {{"x", "h", 4}}}, {5001, 8000, {{"y", "h", 5}}}, {8001, 16383, {{"b", "h", 2}}}});
    split.inherit_places(one);
    EXPECT_EQ(places(split), (std::vector<std::string>{"x=a", "y=y", "b=b"}));
}

// A redirect named it by another address than the view, so it was nobody with a place.
TEST(SlotMap, ANodeWithoutAPlaceHasNoneToHandOn) {
    SlotMap before = map_of({{0, 1, {{"a", "h", 1}}}, {2, 3, {{"b", "h", 2}}}});
    before.move(0, {"10.0.0.9", 6379});
    before.move(1, {"10.0.0.9", 6379});
    SlotMap after = map_of({{0, 1, {{"n", "n.example", 6379}}}, {2, 3, {{"b", "h", 2}}}});
    after.inherit_places(before);
    EXPECT_EQ(places(after), (std::vector<std::string>{"n=n", "b=b"}));
}

std::string show(const MapChanges& changes) {
    std::string text;
    const auto index = [](std::size_t i) { return i == SlotMap::nobody ? std::string("-") : std::to_string(i); };
    for (const SlotMove& move : changes.moved)
        text += std::to_string(move.first) + "-" + std::to_string(move.last) + ":" + index(move.from) + ">" +
                index(move.to) + " ";
    for (const std::size_t i : changes.removed) text += "removed " + index(i) + " ";
    for (const std::size_t i : changes.added) text += "added " + index(i) + " ";
    for (const auto& [from, to] : changes.readdressed) text += "readdressed " + index(from) + ">" + index(to) + " ";
    if (changes.roles) text += "roles ";
    return text;
}

TEST(SlotMap, ChangesBetweenTheSameAreNone) {
    EXPECT_EQ(show(changes_between(map_of(three), map_of(three))), "");
    EXPECT_EQ(show(changes_between(SlotMap(), SlotMap())), "");
    // In whatever order the nodes are listed.
    const SlotMap other = map_of({three[2], three[0], three[1]});
    EXPECT_EQ(show(changes_between(map_of(three), other)), "");
    EXPECT_FALSE(changes_between(map_of(three), other).any());
}

TEST(SlotMap, ChangesNameWhatMoved) {
    std::vector<SaidRange> moved = three;
    moved[0].last = 5400;
    moved[1].first = 5401;
    EXPECT_EQ(show(changes_between(map_of(three), map_of(moved))), "5401-5460:0>2 ");
    moved[2].last = 16000;
    EXPECT_EQ(show(changes_between(map_of(three), map_of(moved))), "5401-5460:0>2 16001-16383:4>- ");
    EXPECT_EQ(show(changes_between(map_of(moved), map_of(three))), "5401-5460:2>0 16001-16383:->4 ");
    EXPECT_EQ(show(changes_between(SlotMap(), map_of({{0, 9, {{"a", "h", 1}}}}))), "0-9:->0 added 0 ");
    EXPECT_EQ(show(changes_between(map_of({{0, 9, {{"a", "h", 1}}}}), SlotMap())), "0-9:0>- removed 0 ");
}

TEST(SlotMap, ChangesNameAFailover) {
    std::vector<SaidRange> promoted = three;
    promoted[1].nodes = {{"e", "10.0.0.5", 6379}};
    EXPECT_EQ(show(changes_between(map_of(three), map_of(promoted))), "5461-10921:2>2 removed 2 roles ");
    std::vector<SaidRange> swapped = three;
    std::swap(swapped[1].nodes[0], swapped[1].nodes[1]);
    EXPECT_EQ(show(changes_between(map_of(three), map_of(swapped))), "5461-10921:2>2 roles ");
}

TEST(SlotMap, ANodeElsewhereIsTheSameNode) {
    std::vector<SaidRange> elsewhere = three;
    elsewhere[0].nodes[0].host = "10.9.0.1";
    EXPECT_EQ(show(changes_between(map_of(three), map_of(elsewhere))), "readdressed 0>0 ");
    // Another node at the same address is another node.
    elsewhere = three;
    elsewhere[0].nodes[0].id = "z";
    EXPECT_EQ(show(changes_between(map_of(three), map_of(elsewhere))), "0-5460:0>0 removed 0 added 0 roles ");
    // One that only a redirect has named is known by its address.
    SlotMap redirected = map_of(three);
    redirected.move(0, {"10.0.0.9", 6379});
    std::vector<SaidRange> confirmed = three;
    confirmed[0].first = 1;
    confirmed.push_back({0, 0, {{"n", "10.0.0.9", 6379}}});
    EXPECT_EQ(show(changes_between(redirected, map_of(confirmed))), "");
}

TEST(SlotMap, KnowsWhetherItIsOfTheSameCluster) {
    EXPECT_TRUE(map_of(three).shares_nodes_with(map_of({{0, 9, {{"f", "h", 1}}}})));
    EXPECT_FALSE(map_of(three).shares_nodes_with(map_of({{0, 9, {{"z", "10.0.0.1", 6379}}}})));
    EXPECT_FALSE(map_of({{0, 9, {{"", "h", 1}}}}).shares_nodes_with(map_of({{0, 9, {{"", "h", 1}}}})));
}

TEST(SlotMap, PlacesOfAFailoverMoveNoChannelOfOtherNodes) {
    const SlotMap before = map_of(three);
    std::vector<SaidRange> promoted = three;
    promoted[1].nodes = {{"e", "10.0.0.5", 6379}};
    SlotMap after = map_of(promoted);
    after.inherit_places(before);
    const auto placement = [](const SlotMap& map) {
        std::vector<std::string> keys;
        for (const std::size_t i : map.masters()) keys.push_back(map.nodes()[i].place_key);
        return Placement(keys);
    };
    for (int i = 0; i < 1000; ++i) {
        const std::string name = "ws:" + std::to_string(i);
        EXPECT_EQ(placement(before).place(name), placement(after).place(name));
    }
}

}  // namespace
}  // namespace fanwire::core
