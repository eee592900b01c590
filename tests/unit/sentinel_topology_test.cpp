// Who the master is, by what sentinels say: every rule with answers and time as arguments.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/topology/sentinel.h"

namespace fanwire::core {
namespace {

using Answer = SentinelTopology::Answer;
using Id = SentinelTopology::Id;

const ServerAddress a{"10.0.0.1", 6379}, b{"10.0.0.2", 6379};
const ServerAddress s1{"s1", 26379}, s2{"s2", 26379}, s3{"s3", 26379};

Answer master_at(const ServerAddress& address, std::optional<std::uint64_t> epoch = 0) {
    Answer answer;
    answer.kind = Answer::Kind::master;
    answer.address = address;
    answer.epoch = epoch;
    return answer;
}

Answer unknown() {
    Answer answer;
    answer.kind = Answer::Kind::unknown;
    return answer;
}

const Error gone{Status::CONNECT_FAILED, "connection refused"};

struct SentinelTopologyTest : testing::Test {
    SentinelTopology topology{"mymaster", {s1, s2, s3}};
    TimeMs now = 1000;

    Id id(std::size_t i) const { return topology.sentinels()[i].id; }
    std::vector<Id> asked() {
        std::vector<Id> all;
        while (const auto one = topology.next_to_ask(now)) all.push_back(*one);
        return all;
    }
    void connect_all() {
        for (const auto& sentinel : topology.sentinels()) topology.connected(sentinel.id, now);
    }
    void all_say(const ServerAddress& address, std::uint64_t epoch) {
        for (const auto& sentinel : topology.sentinels())
            topology.answered(sentinel.id, master_at(address, epoch), now);
    }
    void expect_master(const ServerAddress& address) {
        ASSERT_TRUE(topology.master());
        EXPECT_EQ(topology.master()->text(), address.text());
    }
};

TEST_F(SentinelTopologyTest, TheMajorityNeedNotWaitForTheRest) {
    connect_all();
    EXPECT_EQ(asked().size(), 3u);
    topology.answered(id(0), master_at(a), now);
    EXPECT_FALSE(topology.master());
    topology.answered(id(1), master_at(a), now);
    expect_master(a);
}

TEST_F(SentinelTopologyTest, OneThatAnswersAloneIsWaitedForOthersFor) {
    topology.connected(id(0), now);
    topology.answered(id(0), master_at(a), now);
    EXPECT_FALSE(topology.master());
    EXPECT_EQ(topology.deadline(), now + SentinelTopology::first_wait);
    now += SentinelTopology::first_wait;
    topology.tick(now);
    expect_master(a);
}

TEST_F(SentinelTopologyTest, OneIsEnoughWhereTheOthersCannotBeReached) {
    topology.failed(id(1), gone, now);
    topology.failed(id(2), gone, now);
    topology.connected(id(0), now);
    topology.answered(id(0), master_at(a), now);
    expect_master(a);
}

TEST_F(SentinelTopologyTest, TheHigherEpochDecidesAgainstTheMajority) {
    connect_all();
    all_say(a, 3);
    expect_master(a);
    topology.answered(id(2), master_at(b, 4), now);
    expect_master(b);
    // The others have not heard of it yet.
    topology.answered(id(0), master_at(a, 3), now);
    topology.answered(id(1), master_at(a, 3), now);
    expect_master(b);
}

TEST_F(SentinelTopologyTest, OfOneEpochMostVoicesDecide) {
    connect_all();
    topology.answered(id(0), master_at(a, 1), now);
    topology.answered(id(1), master_at(b, 1), now);
    topology.answered(id(2), master_at(b, 1), now);
    expect_master(b);
}

TEST_F(SentinelTopologyTest, WithoutEpochsMostVoicesDecideAndATieChangesNothing) {
    connect_all();
    for (std::size_t i = 0; i < 3; ++i) topology.answered(id(i), master_at(a, std::nullopt), now);
    expect_master(a);
    topology.answered(id(0), master_at(b, std::nullopt), now);
    expect_master(a);
    topology.failed(id(1), gone, now);  // one voice for each
    topology.answered(id(2), master_at(a, std::nullopt), now);
    expect_master(a);
    topology.answered(id(2), master_at(b, std::nullopt), now);
    expect_master(b);
}

TEST_F(SentinelTopologyTest, AStaleSentinelThatIsLeftAloneDoesNotWin) {
    connect_all();
    all_say(b, 5);
    topology.failed(id(0), gone, now);
    topology.failed(id(1), gone, now);
    topology.doubt(now);
    topology.answered(id(2), master_at(a, 4), now);
    expect_master(b);
}

TEST_F(SentinelTopologyTest, AGroupThatWasSetUpAgainCountsItsEpochsFromTheBeginning) {
    connect_all();
    all_say(a, 7);
    all_say(b, 0);  // the master is well: nobody is believed
    expect_master(a);
    topology.doubt(now);
    all_say(b, 0);
    expect_master(b);
    topology.trust();
    topology.answered(id(0), master_at(a, 1), now);
    expect_master(a);
}

TEST_F(SentinelTopologyTest, WhatTheyNoLongerKnowIsKept) {
    connect_all();
    all_say(a, 1);
    for (std::size_t i = 0; i < 3; ++i) topology.answered(id(i), unknown(), now);
    expect_master(a);
    for (std::size_t i = 0; i < 3; ++i) topology.failed(id(i), gone, now);
    expect_master(a);
    EXPECT_FALSE(topology.round_failed());
}

TEST_F(SentinelTopologyTest, ASignFromOneHasAllAsked) {
    connect_all();
    asked();
    all_say(a, 1);
    for (std::size_t i = 0; i < 3; ++i) topology.listening(id(i), true, now);
    EXPECT_EQ(asked().size(), 3u);
    all_say(a, 1);
    EXPECT_TRUE(asked().empty());
    topology.sign("+promoted-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ other 10.0.0.1 6379", now);
    EXPECT_TRUE(asked().empty());
    topology.sign("+promoted-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379", now);
    EXPECT_EQ(asked().size(), 3u);
    // One that comes while they are asked has them asked once more.
    topology.sign("+switch-master", "mymaster 10.0.0.1 6379 10.0.0.2 6379", now);
    EXPECT_TRUE(asked().empty());
    all_say(a, 1);
    EXPECT_EQ(asked().size(), 3u);
    all_say(b, 2);
    EXPECT_TRUE(asked().empty());
    expect_master(b);
}

TEST_F(SentinelTopologyTest, WhoeverMayNotListenIsAskedEverySecond) {
    connect_all();
    asked();
    topology.listening(id(0), true, now);
    all_say(a, 1);
    now += SentinelTopology::poll_interval;
    topology.answered(id(0), master_at(a, 1), now);
    EXPECT_EQ(asked(), (std::vector<Id>{id(1), id(2)}));
    topology.answered(id(1), master_at(a, 1), now);
    topology.answered(id(2), master_at(a, 1), now);
    EXPECT_EQ(topology.deadline(), now + SentinelTopology::poll_interval);
    now += SentinelTopology::ask_interval;
    EXPECT_EQ(asked().size(), 3u);
}

TEST_F(SentinelTopologyTest, WhoeverNoLongerListensIsAskedSoon) {
    SentinelTopology one("mymaster", {s1});
    const Id only = one.sentinels()[0].id;
    one.connected(only, now);
    one.next_to_ask(now);
    one.listening(only, true, now);
    one.answered(only, master_at(a, 1), now);
    one.next_to_ask(now);
    one.answered(only, master_at(a, 1), now);
    EXPECT_EQ(one.deadline(), now + SentinelTopology::ask_interval);
    one.listening(only, false, now);
    EXPECT_EQ(one.deadline(), now + SentinelTopology::poll_interval);
}

TEST_F(SentinelTopologyTest, WhileTheMasterIsInDoubtAllAreAskedOftenButOneByOne) {
    connect_all();
    asked();
    for (std::size_t i = 0; i < 3; ++i) topology.listening(id(i), true, now);
    all_say(a, 1);
    asked();
    all_say(a, 1);
    topology.doubt(now);
    EXPECT_EQ(asked().size(), 3u);
    topology.doubt(now);
    EXPECT_TRUE(asked().empty());
    all_say(a, 1);
    EXPECT_EQ(topology.deadline(), now + SentinelTopology::doubt_interval);
    now += SentinelTopology::doubt_interval;
    topology.trust();
    EXPECT_EQ(asked().size(), 3u);
    all_say(a, 1);
    EXPECT_EQ(topology.deadline(), now + SentinelTopology::ask_interval);
}

TEST_F(SentinelTopologyTest, OthersAreFoundAndForgottenAgainSeedsNever) {
    const ServerAddress other{"10.0.0.9", 26379};
    topology.introduced({other, s2}, now);
    ASSERT_EQ(topology.sentinels().size(), 4u);
    EXPECT_EQ(topology.sentinels()[3].address, other);
    topology.failed(id(3), gone, now);
    now += SentinelTopology::forget_after - 1;
    topology.introduced({}, now);  // SENTINEL RESET: no reason to forget
    topology.tick(now);
    EXPECT_EQ(topology.sentinels().size(), 4u);
    topology.introduced({other}, now);
    now += SentinelTopology::forget_after - 1;
    topology.tick(now);
    EXPECT_EQ(topology.sentinels().size(), 4u);
    EXPECT_EQ(topology.deadline(), now + 1);
    now += 1;
    topology.tick(now);
    EXPECT_EQ(topology.sentinels().size(), 3u);
    now += 100 * SentinelTopology::forget_after;
    topology.tick(now);
    EXPECT_EQ(topology.sentinels().size(), 3u);
}

TEST_F(SentinelTopologyTest, ThereAreNeverMoreThanItsLimit) {
    std::vector<ServerAddress> many;
    for (std::uint16_t port = 1; port <= 500; ++port) many.push_back({"10.0.0.9", port});
    topology.introduced(many, now);
    EXPECT_EQ(topology.sentinels().size(), SentinelTopology::sentinels_max);
}

TEST_F(SentinelTopologyTest, OneSentinelByTwoNamesHasOneVoiceAndTheSeedStays) {
    const ServerAddress same{"10.0.0.11", 26379};
    topology.introduced({same}, now);
    connect_all();
    topology.identified(id(3), "id-1", now);
    topology.identified(id(0), "id-1", now);
    ASSERT_EQ(topology.sentinels().size(), 3u);
    EXPECT_EQ(topology.sentinels()[0].address, s1);
}

TEST_F(SentinelTopologyTest, TwoSeedsOfOneSentinelHaveOneVoice) {
    connect_all();
    topology.identified(id(0), "id-1", now);
    topology.identified(id(1), "id-1", now);
    EXPECT_EQ(topology.sentinels().size(), 3u);
    topology.answered(id(0), master_at(a, 1), now);
    topology.answered(id(1), master_at(a, 1), now);
    EXPECT_FALSE(topology.master());  // one of two
    topology.answered(id(2), master_at(a, 1), now);
    expect_master(a);
}

TEST_F(SentinelTopologyTest, AnUnknownNameIsSaidByName) {
    connect_all();
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_FALSE(topology.round_failed());
        topology.answered(id(i), unknown(), now);
    }
    const std::optional<Error> why = topology.round_failed();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->status, Status::NO_MASTER);
    EXPECT_EQ(why->text, "the sentinels know no master named \"mymaster\"");
    EXPECT_FALSE(topology.round_failed());  // once for each round
    topology.answered(id(0), unknown(), now);
    EXPECT_FALSE(topology.round_failed());
    topology.failed(id(1), gone, now);
    topology.failed(id(2), gone, now);
    ASSERT_TRUE(topology.round_failed());
}

TEST_F(SentinelTopologyTest, SentinelsThatCannotBeReachedAreNamed) {
    topology.failed(id(0), {Status::RESOLVE_FAILED, "sentinel s1:26379: no such host"}, now);
    topology.failed(id(1), gone, now);
    topology.failed(id(2), gone, now);
    const std::optional<Error> why = topology.round_failed();
    ASSERT_TRUE(why);
    EXPECT_EQ(why->status, Status::RESOLVE_FAILED);
    EXPECT_EQ(why->text,
              "no sentinel says where the master \"mymaster\" is: sentinel s1:26379: no such host; connection refused; "
              "connection refused");
}

// Replies as servers send them.
struct SentinelRepliesTest : testing::Test {
    ReplyReader reader;
    Reply reply(const std::string& bytes) {
        reader.feed(bytes);
        EXPECT_EQ(reader.next(), ReplyReader::Result::reply);
        return reader.reply();
    }
    Answer answer(const std::string& bytes) {
        const Reply one = reply(bytes);
        return SentinelTopology::read_answer("sentinel s1:26379", &one);
    }
};

TEST_F(SentinelRepliesTest, Addresses) {
    EXPECT_EQ(answer("*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n").address, a);
    EXPECT_EQ(answer("*2\r\n$7\r\nredis-1\r\n$4\r\n6380\r\n").address, (ServerAddress{"redis-1", 6380}));
    EXPECT_EQ(answer("*2\r\n$3\r\n::1\r\n$4\r\n6380\r\n").address.text(), "[::1]:6380");
    EXPECT_EQ(answer("*-1\r\n").kind, Answer::Kind::unknown);
    EXPECT_EQ(answer("$-1\r\n").kind, Answer::Kind::unknown);
    EXPECT_EQ(answer("-ERR No such master with that name\r\n").kind, Answer::Kind::unknown);
    EXPECT_EQ(answer("-IDONTKNOW I have not enough information to reply\r\n").kind, Answer::Kind::unknown);
}

TEST_F(SentinelRepliesTest, WhatIsNoAddressIsRefused) {
    for (const char* bytes : {"*0\r\n", "*2\r\n$0\r\n\r\n$4\r\n6379\r\n", "*2\r\n$1\r\nh\r\n$1\r\n0\r\n",
                              "*2\r\n$1\r\nh\r\n$5\r\n65536\r\n", "*2\r\n$1\r\n?\r\n$4\r\n6379\r\n", ":1\r\n",
                              "+OK\r\n", "*3\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n2\r\n", "*2\r\n*0\r\n*0\r\n"}) {
        const Answer got = answer(bytes);
        EXPECT_EQ(got.kind, Answer::Kind::refused) << bytes;
        EXPECT_EQ(got.error.status, Status::PROTOCOL_ERROR) << bytes;
    }
    EXPECT_EQ(SentinelTopology::read_answer("sentinel s1:26379", nullptr).error.status, Status::TIMEOUT);
}

TEST_F(SentinelRepliesTest, APlainRedisIsNamed) {
    const Answer got =
        answer("-ERR unknown command 'SENTINEL', with args beginning with: 'GET-MASTER-ADDR-BY-NAME'\r\n");
    EXPECT_EQ(got.error.status, Status::WRONG_SERVER);
    EXPECT_NE(got.error.text.find("sentinel s1:26379 is a plain Redis server"), std::string::npos) << got.error.text;
    EXPECT_EQ(answer("-NOPERM this user has no permissions\r\n").error.status, Status::NO_PERMISSION);
    EXPECT_EQ(answer("-NOAUTH Authentication required.\r\n").error.status, Status::AUTH_FAILED);
}

TEST_F(SentinelRepliesTest, Epochs) {
    const Reply good = reply("*4\r\n$4\r\nname\r\n$1\r\nx\r\n$12\r\nconfig-epoch\r\n$2\r\n42\r\n");
    EXPECT_EQ(SentinelTopology::read_epoch(&good), 42u);
    for (const char* bytes : {"*0\r\n", "*1\r\n$12\r\nconfig-epoch\r\n", "*2\r\n$12\r\nconfig-epoch\r\n$2\r\n4x\r\n",
                              "-NOPERM no\r\n", "*2\r\n$12\r\nconfig-epoch\r\n*0\r\n"}) {
        const Reply bad = reply(bytes);
        EXPECT_FALSE(SentinelTopology::read_epoch(&bad)) << bytes;
    }
    EXPECT_FALSE(SentinelTopology::read_epoch(nullptr));
}

TEST_F(SentinelRepliesTest, Others) {
    const std::string entry =
        "*6\r\n$4\r\nname\r\n$2\r\nid\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n$4\r\nport\r\n$5\r\n26379\r\n";
    const auto others = SentinelTopology::read_sentinels(reply("*3\r\n" + entry + "*0\r\n" + ":1\r\n"));
    ASSERT_EQ(others.size(), 1u);
    EXPECT_EQ(others[0], (ServerAddress{"10.0.0.1", 26379}));
    EXPECT_TRUE(SentinelTopology::read_sentinels(reply("-ERR no\r\n")).empty());
    EXPECT_TRUE(SentinelTopology::read_sentinels(reply("*0\r\n")).empty());
}

TEST(ServerAddresses, Lists) {
    const auto all = parse_addresses("a,b:1,[::1]:2,[::2],a", 26379);
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 4u);  // none twice
    EXPECT_EQ((*all)[0], (ServerAddress{"a", 26379}));
    EXPECT_EQ((*all)[1], (ServerAddress{"b", 1}));
    EXPECT_EQ((*all)[2], (ServerAddress{"::1", 2}));
    EXPECT_EQ((*all)[3], (ServerAddress{"::2", 26379}));
    for (const char* bad :
         {"", ",", "a,", ",a", "a:0", "a:65536", "a:x", "a:", ":1", "[::1", "[a]:1", "a:1:2", "a b", "a@b"})
        EXPECT_FALSE(parse_addresses(bad, 1)) << bad;
}

}  // namespace
}  // namespace fanwire::core
