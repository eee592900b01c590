// The slot map of a Cluster as nodes answer, err, contradict each other, come and go; in virtual time.
#include "core/topology/cluster.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/cluster_replies.h"

namespace fanwire::core {
namespace {

using test::info_reply;
using test::SaidRange;
using test::slots_reply;
namespace resp = test::resp;
using Strings = std::vector<std::string>;

ServerAddress node(int number) {
    return {"10.0.0." + std::to_string(number), 6379};
}
// Masters 1, 2 and 3, and the ids a, b and c.
std::vector<SaidRange> three() {
    return {{0, 5460, {{"a", "10.0.0.1"}}}, {5461, 10921, {{"b", "10.0.0.2"}}}, {10922, 16383, {{"c", "10.0.0.3"}}}};
}
// b is gone, its replica e serves instead.
std::vector<SaidRange> promoted() {
    std::vector<SaidRange> ranges = three();
    ranges[1].nodes = {{"e", "10.0.0.5"}};
    return ranges;
}

struct ClusterTest : testing::Test, ClusterTopology::Listener {
    ClusterTopology::Config config;
    double random = 0;
    TimeMs now = 1000000;
    Strings heard;
    std::unique_ptr<ClusterTopology> topology;

    ClusterTest() { config.seeds = {{"seed-1", 7000}, {"seed-2", 7000}}; }

    void map_changed(const MapChanges& changes, const SlotMap& before) override {
        std::string text = "changed";
        for (const SlotMove& move : changes.moved)
            text += " " + std::to_string(move.first) + "-" + std::to_string(move.last) + ":" + name(before, move.from) +
                    ">" + name(topology->map(), move.to);
        if (!changes.readdressed.empty()) text += " readdressed " + std::to_string(changes.readdressed.size());
        heard.push_back(text);
    }
    void round_failed(const Error& why) override {
        heard.push_back("failed " + std::string(status_name(why.status)) + " " + why.text);
    }
    static std::string name(const SlotMap& map, std::size_t index) {
        if (index == SlotMap::nobody) return "-";
        const ClusterNode& one = map.nodes()[index];
        return one.id.empty() ? one.address.text() : one.id;
    }

    void start() {
        topology = std::make_unique<ClusterTopology>(
            config, [this] { return random; }, *this);
        topology->start(now);
    }
    // What is to be asked now.
    Strings asked() {
        Strings all;
        while (const auto question = topology->next_question(now))
            all.push_back(question->address.text() + (question->shards ? " shards" : ""));
        return all;
    }
    void pass(TimeMs time) {
        now += time;
        topology->tick(now);
    }
    void to_deadline() {
        ASSERT_NE(topology->deadline(), never);
        ASSERT_GE(topology->deadline(), now);
        pass(topology->deadline() - now);
    }
    void view(const ServerAddress& by, const std::string& slots) { topology->view(by, resp::Read(slots).reply(), now); }
    void answer(const ServerAddress& by, const std::vector<SaidRange>& ranges, std::uint64_t epoch = 5,
                const std::string& state = "ok") {
        topology->info(by, resp::Read(info_reply(epoch, state)).reply());
        view(by, slots_reply(ranges));
    }
    void refuse(const ServerAddress& by) {
        topology->unreachable(by, {Status::CONNECT_FAILED, by.text() + ": refused"}, now);
    }
    Strings take() { return std::exchange(heard, {}); }
    std::string owner(Slot slot) const { return name(topology->map(), topology->map().owner(slot)); }

    // With the map of three(), at rest.
    void begin() {
        start();
        ASSERT_EQ(asked(), (Strings{"seed-1:7000"}));
        answer({"seed-1", 7000}, three());
        ASSERT_EQ(take(), (Strings{"changed 0-5460:->a 5461-10921:->b 10922-16383:->c"}));
        ASSERT_TRUE(topology->known());
        ASSERT_FALSE(topology->trouble());
    }
    // To the next round, which asks `first`.
    void next_round(const std::string& first) {
        to_deadline();
        ASSERT_EQ(asked(), (Strings{first}));
    }
};

TEST_F(ClusterTest, TheFirstViewComesFromASeed) {
    begin();
    EXPECT_EQ(topology->known_at(), now);
    EXPECT_TRUE(asked().empty());
    EXPECT_EQ(owner(16383), "c");
}

TEST_F(ClusterTest, ASilentSeedDoesNotKeepTheNextFromBeingAsked) {
    start();
    ASSERT_EQ(asked(), (Strings{"seed-1:7000"}));
    EXPECT_EQ(topology->deadline(), now + config.patience);
    pass(config.patience - 1);
    EXPECT_TRUE(asked().empty());
    pass(1);
    EXPECT_EQ(asked(), (Strings{"seed-2:7000"}));
    // Whichever answers first; the other one is late.
    answer({"seed-1", 7000}, three());
    EXPECT_EQ(take().size(), 1u);
    answer({"seed-2", 7000}, promoted(), 9);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(owner(6000), "b");
}

TEST_F(ClusterTest, ASeedThatRefusesMakesTheNextOneAskedAtOnce) {
    start();
    asked();
    refuse({"seed-1", 7000});
    EXPECT_EQ(asked(), (Strings{"seed-2:7000"}));
    answer({"seed-2", 7000}, three());
    EXPECT_EQ(take().size(), 1u);
    EXPECT_FALSE(topology->trouble());
}

TEST_F(ClusterTest, WithoutAnySeedItSaysSoAndTriesAgain) {
    start();
    const TimeMs begun = now;
    for (int round = 0; round < 3; ++round) {
        ASSERT_EQ(asked(), (Strings{"seed-1:7000"}));
        refuse({"seed-1", 7000});
        asked();
        refuse({"seed-2", 7000});
        EXPECT_EQ(take(), (Strings{"failed CONNECT_FAILED no node says who has which slots of the Cluster: "
                                   "seed-1:7000: refused; seed-2:7000: refused"}));
        EXPECT_FALSE(topology->known());
        EXPECT_EQ(topology->trouble().status, Status::CONNECT_FAILED);
        EXPECT_EQ(topology->deadline(), begun + (round + 1) * config.gap);
        to_deadline();
    }
    asked();
    answer({"seed-1", 7000}, three());
    EXPECT_FALSE(topology->trouble());
    EXPECT_TRUE(topology->known());
}

TEST_F(ClusterTest, WhatIsWrongForLongIsLookedAtLessOften) {
    config.seeds.pop_back();
    start();
    TimeMs last = now, pause = 0;
    const TimeMs begun = now;
    while (now < begun + config.slow_after + 5000) {
        asked();
        refuse({"seed-1", 7000});
        to_deadline();
        pause = now - std::exchange(last, now);
        ASSERT_EQ(pause, now - begun <= config.slow_after + config.gap ? config.gap : config.slow_gap) << now - begun;
    }
    EXPECT_EQ(pause, config.slow_gap);
    // Anything new makes it quick again, once.
    asked();
    topology->suspect(now);
    refuse({"seed-1", 7000});
    EXPECT_EQ(topology->deadline(), now + config.gap);
}

TEST_F(ClusterTest, NoAnswerInTimeIsAnError) {
    start();
    asked();
    pass(config.patience);
    asked();
    pass(config.timeout - config.patience);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(topology->deadline(), now + config.patience);
    to_deadline();
    EXPECT_EQ(take(),
              (Strings{"failed TIMEOUT no node says who has which slots of the Cluster: seed-1:7000 did not say "
                       "in time who has which slots; seed-2:7000 did not say in time who has which slots"}));
}

TEST_F(ClusterTest, WhatServersSayStandsBeforeWhatConnectionsDo) {
    config.seeds = {{"s1", 1}, {"s2", 1}, {"s3", 1}, {"s4", 1}, {"s5", 1}};
    start();
    for (const char* seed : {"s1", "s2", "s3"}) {
        asked();
        refuse({seed, 1});
    }
    asked();
    view({"s4", 1}, resp::error("ERR This instance has cluster support disabled"));
    asked();
    view({"s5", 1}, resp::array({}));
    EXPECT_EQ(
        take(),
        (Strings{"failed REDIS_ERROR no node says who has which slots of the Cluster: s4:1 is not a node of a "
                 "Cluster: it has cluster-enabled no; s5:1 is a node of a Cluster that has no slots: none is given "
                 "to any node; s1:1: refused; and 2 more"}));
}

TEST_F(ClusterTest, WithoutSeedsItSaysSo) {
    config.seeds.clear();
    start();
    EXPECT_TRUE(asked().empty());
    EXPECT_EQ(take(), (Strings{"failed INVALID_OPTION no node of the Cluster is given"}));
}

TEST_F(ClusterTest, AViewThatMakesNoSenseIsNoView) {
    begin();
    next_round("10.0.0.1:6379");
    view(node(1), "*1\r\n:1\r\n");
    EXPECT_EQ(asked(), (Strings{"10.0.0.2:6379"}));
    answer(node(2), three());
    EXPECT_TRUE(take().empty());
    EXPECT_FALSE(topology->trouble());
}

TEST_F(ClusterTest, LooksNowAndThen) {
    for (const double one : {0.0, 0.5, 0.999}) {
        random = one;
        begin();
        const auto wait = static_cast<TimeMs>(static_cast<double>(config.interval) * (0.9 + 0.2 * one));
        EXPECT_EQ(topology->deadline(), now + wait);
    }
}

TEST_F(ClusterTest, AsksAnyMasterFirstThenReplicasThenSeeds) {
    std::vector<SaidRange> ranges = three();
    ranges[0].nodes.push_back({"d", "10.0.0.4"});
    config.seeds.pop_back();
    start();
    asked();
    answer({"seed-1", 7000}, ranges);
    random = 0.5;
    to_deadline();
    Strings order;
    for (int i = 0; i < 5; ++i) {
        for (const std::string& one : asked()) order.push_back(one);
        pass(config.patience);
    }
    EXPECT_EQ(order, (Strings{"10.0.0.2:6379", "10.0.0.3:6379", "10.0.0.1:6379", "10.0.0.4:6379", "seed-1:7000"}));
    EXPECT_TRUE(asked().empty());
}

TEST_F(ClusterTest, ARedirectCountsAtOnceAndIsAskedAbout) {
    begin();
    pass(5000);
    EXPECT_TRUE(topology->redirected({Redirect::Kind::moved, 100, node(3)}, node(1), now));
    EXPECT_EQ(take(), (Strings{"changed 100-100:a>c"}));
    EXPECT_EQ(owner(100), "c");
    EXPECT_EQ(owner(101), "a");
    // Whoever has it knows most.
    EXPECT_EQ(topology->deadline(), now);
    next_round("10.0.0.3:6379");
    std::vector<SaidRange> moved = three();
    moved[0].last = 99;
    moved.push_back({100, 5460, {{"c", "10.0.0.3"}}});
    answer(node(3), moved);
    EXPECT_EQ(take(), (Strings{"changed 101-5460:a>c"}));
    // The same again is nothing new.
    EXPECT_FALSE(topology->redirected({Redirect::Kind::moved, 100, node(3)}, node(1), now));
    EXPECT_TRUE(take().empty());
    EXPECT_NE(topology->deadline(), never);
}

TEST_F(ClusterTest, ARedirectToANodeThatNobodyKnowsMakesItKnown) {
    begin();
    EXPECT_TRUE(topology->redirected({Redirect::Kind::moved, 7, node(9)}, node(1), now));
    EXPECT_EQ(take(), (Strings{"changed 7-7:a>10.0.0.9:6379"}));
    pass(config.gap);
    EXPECT_EQ(asked(), (Strings{"10.0.0.9:6379"}));
}

TEST_F(ClusterTest, ARedirectThatSaysNothingNewMakesItAskOnly) {
    begin();
    pass(5000);
    const TimeMs later = topology->deadline();
    ASSERT_GT(later, now);
    EXPECT_FALSE(topology->redirected({Redirect::Kind::ask, 100, node(3)}, node(1), now));
    EXPECT_EQ(topology->deadline(), later);  // a slot on its way is still where it was
    for (const Redirect& redirect : {Redirect{Redirect::Kind::moved, 100, node(1)},        // to itself
                                     Redirect{Redirect::Kind::moved, 100, {"", 6379}}}) {  // to somebody
        EXPECT_FALSE(topology->redirected(redirect, node(1), now));
        EXPECT_EQ(topology->deadline(), now);
        next_round("10.0.0.1:6379");
        answer(node(1), three());
        EXPECT_GT(topology->deadline(), now + config.gap);
        pass(config.gap);
    }
    EXPECT_EQ(owner(100), "a");
    EXPECT_TRUE(take().empty());
}

TEST_F(ClusterTest, ARedirectBeforeThereIsAMapIsNoMap) {
    start();
    EXPECT_FALSE(topology->redirected({Redirect::Kind::moved, 100, node(1)}, node(2), now));
    EXPECT_FALSE(topology->known());
}

TEST_F(ClusterTest, ARedirectIsBelievedMoreThanViewsThatDoNotKnowOfItYet) {
    begin();
    topology->redirected({Redirect::Kind::moved, 100, node(3)}, node(1), now);
    take();
    pass(config.gap);
    asked();
    refuse(node(3));
    ASSERT_EQ(asked(), (Strings{"10.0.0.1:6379"}));
    answer(node(1), three());
    EXPECT_EQ(owner(100), "c");
    EXPECT_TRUE(take().empty());
    // It asks until that is settled, and not for ever.
    const TimeMs until = now - config.gap + config.claim_kept;
    while (now < until) {
        ASSERT_EQ(owner(100), "c") << until - now;
        next_round("10.0.0.3:6379");
        refuse(node(3));
        ASSERT_EQ(asked(), (Strings{"10.0.0.1:6379"}));
        answer(node(1), three());
    }
    EXPECT_GT(topology->deadline(), now + config.gap);
    EXPECT_EQ(owner(100), "a");
    EXPECT_EQ(take(), (Strings{"changed 100-100:c>a"}));
}

TEST_F(ClusterTest, WhoeverARedirectNamesKnowsBetter) {
    begin();
    topology->redirected({Redirect::Kind::moved, 100, node(3)}, node(1), now);
    take();
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.0.0.3:6379"}));
    answer(node(3), three());
    EXPECT_EQ(owner(100), "a");
    EXPECT_EQ(take(), (Strings{"changed 100-100:c>a"}));
}

TEST_F(ClusterTest, AConfirmedRedirectIsForgotten) {
    begin();
    topology->redirected({Redirect::Kind::moved, 0, node(3)}, node(1), now);
    std::vector<SaidRange> moved = three();
    moved[0].first = 1;
    moved.push_back({0, 0, {{"c", "10.0.0.3"}}});
    pass(config.gap);
    asked();
    answer(node(3), moved);
    take();
    // Back again; the view that says so is not held up by the redirect.
    topology->suspect(now);
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.0.0.1:6379"}));
    answer(node(1), three());
    EXPECT_EQ(take(), (Strings{"changed 0-0:c>a"}));
}

TEST_F(ClusterTest, ARedirectToANodeThatIsLostAndThatNoViewHasIsForgotten) {
    begin();
    topology->redirected({Redirect::Kind::moved, 0, node(9)}, node(1), now);
    take();
    topology->node_lost(node(9), now);
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.0.0.1:6379"}));
    answer(node(1), three());
    EXPECT_EQ(take(), (Strings{"changed 0-0:10.0.0.9:6379>a"}));
}

TEST_F(ClusterTest, AnOlderViewDoesNotReplaceANewerOne) {
    begin();
    topology->suspect(now);
    pass(config.gap);
    asked();
    answer(node(1), promoted(), 6);
    EXPECT_EQ(take(), (Strings{"changed 5461-10921:b>e"}));
    // A node that was cut off, or has not heard yet.
    topology->suspect(now);
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.0.0.1:6379"}));
    answer(node(1), three(), 5);
    ASSERT_EQ(asked(), (Strings{"10.0.0.5:6379"}));
    answer(node(5), promoted(), 6);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(owner(6000), "e");
    EXPECT_FALSE(topology->trouble());
    // Nobody else can be asked: what is known is kept, and that is said.
    topology->suspect(now);
    pass(config.gap);
    asked();
    answer(node(1), three(), 5);
    while (true) {
        const Strings next = asked();
        if (next.empty()) break;
        refuse({next[0].substr(0, next[0].rfind(':')),
                static_cast<std::uint16_t>(next[0].find("seed") == 0 ? 7000 : 6379)});
    }
    const Strings said = take();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("failed REDIS_ERROR"), std::string::npos) << said[0];
    EXPECT_NE(said[0].find("10.0.0.1:6379 knows less than is known already"), std::string::npos) << said[0];
    EXPECT_EQ(owner(6000), "e");
    EXPECT_TRUE(static_cast<bool>(topology->trouble()));
}

TEST_F(ClusterTest, AnOlderViewOfMostIsBelieved) {
    config.seeds = {node(1)};
    start();
    asked();
    answer(node(1), three(), 50);
    take();
    // Restored from a backup: nobody knows of epoch 50 any more.
    topology->suspect(now);
    pass(config.gap);
    std::vector<SaidRange> other = three();
    std::swap(other[0].nodes, other[1].nodes);
    for (int i = 1; i <= 3; ++i) {
        ASSERT_EQ(asked(), (Strings{node(i).text()}));
        answer(node(i), other, static_cast<std::uint64_t>(2 + i));
    }
    EXPECT_EQ(take(), (Strings{"changed 0-5460:a>b 5461-10921:b>a"}));
    // From now on that is what counts.
    topology->suspect(now);
    pass(config.gap);
    asked();
    answer(node(2), three(), 5);
    EXPECT_EQ(take().size(), 1u);
}

TEST_F(ClusterTest, AViewWithoutAnEpochIsTaken) {
    begin();
    next_round("10.0.0.1:6379");
    topology->info(node(1), resp::Read(resp::error("NOPERM no")).reply());
    view(node(1), slots_reply(promoted()));
    EXPECT_EQ(owner(6000), "e");
    // And does not make an older one good.
    topology->suspect(now);
    pass(config.gap);
    asked();
    answer(node(1), three(), 4);
    EXPECT_EQ(owner(6000), "e");
}

TEST_F(ClusterTest, ANodeThatSeesTheClusterDownIsAskedLast) {
    begin();
    next_round("10.0.0.1:6379");
    answer(node(1), promoted(), 5, "fail");
    EXPECT_EQ(owner(6000), "b");
    ASSERT_EQ(asked(), (Strings{"10.0.0.2:6379"}));
    answer(node(2), three());
    EXPECT_EQ(owner(6000), "b");
    EXPECT_FALSE(topology->trouble());
}

TEST_F(ClusterTest, ADownClusterIsStillKnownAndSaid) {
    config.seeds = {node(1)};
    start();
    asked();
    answer(node(1), three(), 5, "fail");
    EXPECT_TRUE(topology->known());
    EXPECT_EQ(take().size(), 1u);
    EXPECT_EQ(topology->trouble().text, "10.0.0.1:6379 says that the Cluster is down (cluster_state)");
    EXPECT_EQ(topology->deadline(), now + config.gap);
    to_deadline();
    for (int i = 1; i <= 3; ++i) {
        ASSERT_EQ(asked(), (Strings{node(i).text()}));
        answer(node(i), three(), 5, "fail");
    }
    EXPECT_TRUE(static_cast<bool>(topology->trouble()));
    to_deadline();
    asked();
    answer(node(1), three());
    EXPECT_FALSE(topology->trouble());
}

TEST_F(ClusterTest, AnAddressThatAnotherClusterHasGotIsNotFollowed) {
    begin();
    next_round("10.0.0.1:6379");
    const std::vector<SaidRange> foreign = {{0, 16383, {{"z", "10.0.0.1"}}}};
    answer(node(1), foreign, 99);
    ASSERT_EQ(asked(), (Strings{"10.0.0.2:6379"}));
    answer(node(2), three());
    EXPECT_TRUE(take().empty());
    // Nor if nobody else can be asked.
    topology->suspect(now);
    pass(config.gap);
    asked();
    answer(node(1), foreign, 99);
    for (const ServerAddress& other : {node(2), node(3), config.seeds[0], config.seeds[1]}) {
        asked();
        refuse(other);
    }
    const Strings said = take();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("10.0.0.1:6379 is a node of another Cluster now"), std::string::npos) << said[0];
    EXPECT_EQ(owner(0), "a");
}

TEST_F(ClusterTest, TheSeedsSayWhichClusterItIs) {
    begin();
    next_round("10.0.0.1:6379");
    for (int i = 1; i <= 3; ++i) {
        refuse(node(i));
        asked();
    }
    // A new one, whose epochs begin again.
    answer({"seed-1", 7000}, {{0, 16383, {{"z", "10.7.0.1"}}}}, 1);
    asked();
    refuse({"seed-2", 7000});
    EXPECT_EQ(take(), (Strings{"changed 0-5460:a>z 5461-10921:b>z 10922-16383:c>z"}));
    topology->suspect(now);
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.7.0.1:6379"}));
    answer({"10.7.0.1", 6379}, {{0, 16383, {{"y", "10.7.0.2"}, {"z", "10.7.0.1"}}}}, 2);
    EXPECT_EQ(owner(0), "y");
}

// Some of its nodes have the addresses of the old one's.
TEST_F(ClusterTest, TheSeedsSayWhichClusterItIsWhoeverElseIsOfIt) {
    begin();
    next_round("10.0.0.1:6379");
    const std::vector<SaidRange> foreign = {{0, 16383, {{"z", "10.0.0.1"}}}};
    for (int i = 1; i <= 3; ++i) {
        answer(node(i), foreign, 9);
        asked();
    }
    answer({"seed-1", 7000}, foreign, 9);
    asked();
    refuse({"seed-2", 7000});
    EXPECT_EQ(take(), (Strings{"changed 0-5460:a>z 5461-10921:b>z 10922-16383:c>z"}));
}

TEST_F(ClusterTest, AllAddressesReplacedAtOnceAreFoundByTheSeedsNames) {
    begin();
    for (int i = 1; i <= 3; ++i) topology->node_lost(node(i), now);
    pass(config.gap);
    // Nobody waits for addresses that are known to be lost.
    ASSERT_EQ(asked(), (Strings{"seed-1:7000"}));
    std::vector<SaidRange> elsewhere = three();
    for (std::size_t i = 0; i < 3; ++i) elsewhere[i].nodes[0].host = "10.8.0." + std::to_string(i + 1);
    answer({"seed-1", 7000}, elsewhere);
    EXPECT_EQ(take(), (Strings{"changed readdressed 3"}));
    EXPECT_FALSE(topology->is_lost(node(1)));
    EXPECT_GT(topology->deadline(), now + config.gap);
}

TEST_F(ClusterTest, WhileAMasterIsLostItLooksAgainAndAgain) {
    begin();
    pass(5000);
    topology->node_lost(node(1), now);
    EXPECT_EQ(topology->deadline(), now);
    for (int i = 0; i < 20; ++i) {
        to_deadline();
        ASSERT_EQ(asked(), (Strings{"10.0.0.2:6379"}));
        const TimeMs begun = now;
        pass(3);
        answer(node(2), three());
        EXPECT_EQ(topology->deadline(), begun + config.gap);
    }
    EXPECT_TRUE(take().empty());
    to_deadline();
    asked();
    std::vector<SaidRange> after = three();
    after[0].nodes = {{"d", "10.0.0.4"}};
    answer(node(2), after, 6);
    EXPECT_EQ(take(), (Strings{"changed 0-5460:a>d"}));
    EXPECT_FALSE(topology->is_lost(node(1)));  // nobody's any more
    EXPECT_GT(topology->deadline(), now + 10 * config.gap);
}

TEST_F(ClusterTest, ALostReplicaIsNoReasonToLookForLong) {
    std::vector<SaidRange> ranges = three();
    ranges[0].nodes.push_back({"d", "10.0.0.4"});
    start();
    asked();
    answer({"seed-1", 7000}, ranges);
    topology->node_lost(node(4), now);
    pass(config.gap);
    asked();
    answer(node(1), ranges);
    EXPECT_TRUE(topology->is_lost(node(4)));
    EXPECT_GT(topology->deadline(), now + 10 * config.gap);
}

TEST_F(ClusterTest, ANodeThatIsBackIsAskedAgainLikeTheOthers) {
    begin();
    topology->node_lost(node(1), now);
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.0.0.2:6379"}));
    answer(node(2), three());
    topology->node_up(node(1), now);
    pass(config.gap);
    ASSERT_EQ(asked(), (Strings{"10.0.0.1:6379"}));
    answer(node(1), three());
    EXPECT_GT(topology->deadline(), now + 10 * config.gap);
}

TEST_F(ClusterTest, WhileSlotsAreMissingItLooksAgainAndAgain) {
    start();
    asked();
    std::vector<SaidRange> partial = three();
    partial.pop_back();
    answer({"seed-1", 7000}, partial);
    EXPECT_EQ(topology->deadline(), now + config.gap);
    EXPECT_FALSE(topology->trouble());  // the nodes answer
    EXPECT_EQ(owner(16383), "-");
}

TEST_F(ClusterTest, HintsDoNotMakeMoreRoundsThanOneInAGap) {
    begin();
    int rounds = 0;
    const TimeMs begun = now;
    while (now < begun + 1000) {
        topology->suspect(now);
        topology->redirected({Redirect::Kind::moved, 1, node(2 + static_cast<int>(now % 2))}, node(1), now);
        pass(1);
        for (const std::string& one : asked()) {
            ++rounds;
            answer({one.substr(0, one.find(':')), 6379}, three());
        }
    }
    EXPECT_EQ(rounds, 10);
}

TEST_F(ClusterTest, AHintDuringARoundMakesAnother) {
    begin();
    next_round("10.0.0.1:6379");
    const TimeMs begun = now;
    pass(10);
    topology->suspect(now);
    answer(node(1), three());
    EXPECT_EQ(topology->deadline(), begun + config.gap);
    next_round("10.0.0.1:6379");
    answer(node(1), three());
    EXPECT_GT(topology->deadline(), now + config.gap);
}

TEST_F(ClusterTest, WhereSlotsIsRefusedShardsIsAsked) {
    for (const char* error : {"NOPERM User u has no permissions to run the 'cluster|slots' command",
                              "ERR unknown subcommand 'SLOTS'. Try CLUSTER HELP."}) {
        start();
        ASSERT_EQ(asked(), (Strings{"seed-1:7000"}));
        view({"seed-1", 7000}, resp::error(error));
        ASSERT_EQ(asked(), (Strings{"seed-1:7000 shards"}));
        EXPECT_TRUE(asked().empty());
        view({"seed-1", 7000}, test::shards_reply({{{0, 16383},
                                                    {{{"id", "ax"},
                                                      {"port", "6379"},
                                                      {"endpoint", "10.0.0.1"},
                                                      {"role", "master"},
                                                      {"health", "online"}}}}}));
        EXPECT_EQ(take(), (Strings{"changed 0-16383:->ax"}));
    }
    // And if that is refused as well, it is said.
    config.seeds.pop_back();
    start();
    asked();
    view({"seed-1", 7000}, resp::error("NOPERM no slots"));
    asked();
    view({"seed-1", 7000}, resp::error("NOPERM no shards"));
    EXPECT_EQ(take(), (Strings{"failed NO_PERMISSION no node says who has which slots of the Cluster: seed-1:7000: "
                               "CLUSTER SHARDS: NOPERM no shards"}));
}

TEST_F(ClusterTest, WhatWasNotAskedIsIgnored) {
    begin();
    answer(node(1), promoted(), 9);
    refuse(node(2));
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(owner(6000), "b");
    next_round("10.0.0.1:6379");
    answer(node(2), promoted(), 9);
    refuse(node(3));
    EXPECT_TRUE(take().empty());
    EXPECT_TRUE(asked().empty());
    EXPECT_EQ(owner(6000), "b");
}

TEST_F(ClusterTest, AFailoverHandsThePlaceOn) {
    begin();
    topology->suspect(now);
    pass(config.gap);
    asked();
    answer(node(1), promoted(), 6);
    const SlotMap& map = topology->map();
    EXPECT_EQ(map.nodes()[map.owner(6000)].place_key, "b");
}

}  // namespace
}  // namespace fanwire::core
