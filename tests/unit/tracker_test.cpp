// Desired against confirmed subscriptions: each transition, and convergence under random schedules against a model of
// what Redis does with the commands.
#include "core/protocol/tracker.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/protocol/reply.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

// Redis's side of the pub/sub commands: takes the bytes, answers by acknowledgements or one error.
class FakeRedis {
 public:
    struct Answer {
        enum { subscribed, unsubscribed, error } what;
        TargetKind kind;
        std::string name;
    };
    std::set<std::pair<TargetKind, std::string>> subscribed;
    std::set<std::string> forbidden;
    std::deque<Answer> answers;
    std::vector<std::string> commands;  // "SUBSCRIBE a b"

    void take(const std::string& bytes) {
        reader_.feed(bytes);
        while (reader_.next() == ReplyReader::Result::reply) run(reader_.reply());
    }
    void forget() {
        subscribed.clear();
        answers.clear();
        reader_.reset();
    }

 private:
    void run(const Reply& command) {
        const std::string word(command[0].text());
        const TargetKind kind = word[0] == 'P' ? TargetKind::pattern : TargetKind::channel;
        const bool subscribe = word == "SUBSCRIBE" || word == "PSUBSCRIBE";
        std::vector<std::string> names;
        std::string text = word;
        for (std::size_t i = 1; i < command.size(); ++i) {
            names.emplace_back(command[i].text());
            text += " " + names.back();
        }
        commands.push_back(text);
        for (const auto& name : names)
            if (subscribe && forbidden.contains(name)) {
                answers.push_back({Answer::error, kind, name});
                return;
            }
        for (const auto& name : names) {
            if (subscribe)
                subscribed.emplace(kind, name);
            else
                subscribed.erase({kind, name});
            answers.push_back({subscribe ? Answer::subscribed : Answer::unsubscribed, kind, name});
        }
    }
    ReplyReader reader_;
};

struct TrackerTest : testing::Test, SubscriptionTracker::Listener {
    void confirmed(Topic& topic) override { events.push_back("+" + std::string(topic.view())); }
    void refused(Topic& topic, const Error& why) override {
        events.push_back("!" + std::string(topic.view()));
        last_refusal = why;
    }
    void lost(std::span<Topic* const> some, const Error& why) noexcept override {
        EXPECT_EQ(why.text, gone.text);
        for (const Topic* const topic : some) events.push_back("-" + std::string(topic->view()));
    }
    void SetUp() override { tracker.begin(); }
    std::vector<std::string> take_events() { return std::exchange(events, {}); }

    void want(const std::string& name, TargetKind kind = TargetKind::channel) {
        tracker.want(topic_of(topics, kind, name), now);
    }
    void unwant(const std::string& name, TargetKind kind = TargetKind::channel) {
        if (Topic* const topic = topics.find(kind, name)) tracker.unwant(*topic, now);
    }
    // Sends what there is to send.
    void send() {
        std::string bytes;
        while (tracker.next_command(bytes)) {
        }
        redis.take(bytes);
    }
    // Delivers one answer; false if it did not fit.
    bool answer() {
        const auto one = redis.answers.front();
        redis.answers.pop_front();
        if (one.what == FakeRedis::Answer::error) return tracker.refused("NOPERM no access", now);
        return tracker.acknowledged(one.what == FakeRedis::Answer::subscribed, one.kind, one.name, now);
    }
    void exchange() {
        send();
        while (!redis.answers.empty()) {
            ASSERT_TRUE(answer());
            send();
        }
    }

    const Error gone{Status::CONNECTION_LOST, "gone"};
    std::vector<std::string> events;
    Error last_refusal;
    TimeMs now = 1000;
    FakeRedis redis;
    Topics topics;
    SubscriptionTracker tracker{500, 30000, topics, *this};
};

using Strings = std::vector<std::string>;

TEST_F(TrackerTest, BatchesWhatIsWanted) {
    want("a");
    want("b");
    want("p*", TargetKind::pattern);
    want("c");
    exchange();
    EXPECT_EQ(redis.commands, (Strings{"SUBSCRIBE a b", "PSUBSCRIBE p*", "SUBSCRIBE c"}));
    EXPECT_EQ(take_events(), (Strings{"+a", "+b", "+p*", "+c"}));
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, ABatchHasALimit) {
    for (int i = 0; i < 1200; ++i) want("channel" + std::to_string(i));
    exchange();
    EXPECT_EQ(redis.commands.size(), 3u);
    EXPECT_EQ(redis.subscribed.size(), 1200u);
    redis.commands.clear();
    for (int i = 0; i < 128; ++i) want(std::string(1024, 'x') + std::to_string(i));
    exchange();
    EXPECT_EQ(redis.commands.size(), 2u);
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, UnsubscribingLingers) {
    want("a");
    exchange();
    take_events();
    unwant("a");
    exchange();
    EXPECT_EQ(redis.subscribed.size(), 1u);
    EXPECT_EQ(tracker.deadline(), 1500);
    now = 1499;
    want("a");  // wanted again in time: confirmed at once, at no cost
    EXPECT_EQ(take_events(), Strings{"+a"});
    EXPECT_EQ(tracker.deadline(), never);
    unwant("a");
    now = 1999;
    tracker.tick(now);
    exchange();
    EXPECT_EQ(redis.commands, (Strings{"SUBSCRIBE a", "UNSUBSCRIBE a"}));
    EXPECT_EQ(tracker.size(), 0u);
    EXPECT_TRUE(take_events().empty());
}

TEST_F(TrackerTest, AStormOnOneChannelCostsFewCommandsAndEndsRight) {
    want("a");
    send();
    for (int i = 0; i < 1000; ++i) {
        unwant("a");
        want("a");
    }
    exchange();
    EXPECT_EQ(redis.commands, Strings{"SUBSCRIBE a"});
    EXPECT_EQ(take_events(), Strings{"+a"});
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, SubscribeDuringAnUnsubscribeUnderWay) {
    want("a");
    exchange();
    unwant("a");
    tracker.tick(now = 2000);
    send();  // UNSUBSCRIBE is on its way
    want("a");
    exchange();
    EXPECT_EQ(redis.commands, (Strings{"SUBSCRIBE a", "UNSUBSCRIBE a", "SUBSCRIBE a"}));
    EXPECT_EQ(take_events(), (Strings{"+a", "+a"}));
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, UnwantedBeforeItsAnswer) {
    want("a");
    send();
    unwant("a");
    exchange();
    EXPECT_TRUE(take_events().empty());
    tracker.tick(now += 500);
    exchange();
    EXPECT_TRUE(redis.subscribed.empty());
    EXPECT_EQ(tracker.size(), 0u);
}

TEST_F(TrackerTest, UnwantedBeforeItWasSent) {
    want("a");
    unwant("a");
    exchange();
    EXPECT_TRUE(redis.commands.empty());
    EXPECT_EQ(tracker.size(), 0u);
}

TEST_F(TrackerTest, OneForbiddenNameDoesNotHurtItsBatch) {
    redis.forbidden = {"b"};
    for (const char* name : {"a", "b", "c"}) want(name);
    exchange();
    EXPECT_EQ(redis.commands, (Strings{"SUBSCRIBE a b c", "SUBSCRIBE a", "SUBSCRIBE b", "SUBSCRIBE c"}));
    EXPECT_EQ(take_events(), (Strings{"+a", "!b", "+c"}));
    EXPECT_EQ(last_refusal.status, Status::NO_PERMISSION);
    EXPECT_EQ(last_refusal.text, "SUBSCRIBE \"b\": NOPERM no access");

    // It is still wanted: tried again after a second, then two, ...
    EXPECT_EQ(tracker.deadline(), 2000);
    tracker.tick(now = 2000);
    exchange();
    EXPECT_EQ(take_events(), Strings{"!b"});
    EXPECT_EQ(tracker.deadline(), 4000);
    redis.forbidden.clear();
    tracker.tick(now = 4000);
    exchange();
    EXPECT_EQ(take_events(), Strings{"+b"});
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, TheDelayOfARefusedNameBeginsAgainWithSuccess) {
    want("b");
    for (int life = 0; life < 2; ++life) {
        redis.forbidden = {"b"};
        for (const TimeMs delay : {1000, 2000, 4000}) {
            exchange();
            EXPECT_EQ(tracker.deadline(), now + delay) << life;
            tracker.tick(now += delay);
        }
        redis.forbidden.clear();
        exchange();
        EXPECT_TRUE(tracker.settled());
        tracker.end(gone);  // and the next connection refuses it again
        tracker.begin();
        redis.forget();
    }
}

TEST_F(TrackerTest, TimesAreRightAfterMonths) {
    now = TimeMs{1} << 33;
    tracker.tick(now);
    want("a");
    want("b");
    redis.forbidden = {"b"};
    exchange();
    EXPECT_EQ(tracker.deadline(), now + 1000);
    unwant("a");
    EXPECT_GT(tracker.deadline(), now);
    EXPECT_LT(tracker.deadline(), now + 1000);
}

// What was asked for by itself to learn who is to blame is asked for together on the next connection.
TEST_F(TrackerTest, ABreakForgetsThatABatchWasRefused) {
    redis.forbidden = {"b"};
    want("a");
    want("b");
    send();
    EXPECT_TRUE(tracker.refused("NOPERM no permissions", now));
    tracker.end(gone);
    tracker.begin();
    redis.forget();
    redis.commands.clear();
    send();
    EXPECT_EQ(redis.commands, Strings{"SUBSCRIBE a b"});
}

TEST_F(TrackerTest, ARefusedNameThatIsGivenUpIsForgotten) {
    redis.forbidden = {"b"};
    want("b");
    exchange();
    unwant("b");
    EXPECT_EQ(tracker.size(), 0u);
    EXPECT_EQ(tracker.deadline(), never);
}

TEST_F(TrackerTest, ABreakDuringTheReplayReplaysEverything) {
    for (int i = 0; i < 2000; ++i) want("c" + std::to_string(i));
    exchange();
    take_events();
    tracker.end(gone);
    tracker.begin();
    redis.forget();
    send();
    for (int i = 0; i < 700; ++i) ASSERT_TRUE(answer());  // and then it breaks again
    tracker.end(gone);
    tracker.begin();
    redis.forget();
    exchange();
    EXPECT_EQ(redis.subscribed.size(), 2000u);
    EXPECT_TRUE(tracker.settled());
}

// Those that are wanted, and of which the connection may have said something; once.
TEST_F(TrackerTest, ABreakNamesWhatIsLost) {
    redis.forbidden = {"refused"};
    for (const char* name : {"a", "refused", "b", "unwanted"}) want(name);
    want("p*", TargetKind::pattern);
    exchange();
    unwant("unwanted");
    take_events();
    tracker.end(gone);
    std::vector<std::string> lost = take_events();
    std::sort(lost.begin(), lost.end());
    EXPECT_EQ(lost, (Strings{"-a", "-b", "-p*", "-refused"}));
    want("in between");
    tracker.end(gone);
    EXPECT_EQ(take_events(), Strings{}) << "there was no connection";

    tracker.begin();
    redis.forget();
    for (int i = 0; i < 1000; ++i) want("c" + std::to_string(i));
    exchange();
    take_events();
    tracker.end(gone);
    EXPECT_EQ(take_events().size(), 1005u);
}

TEST_F(TrackerTest, UnwantedNamesAreNotReplayed) {
    want("a");
    want("b");
    exchange();
    unwant("a");
    tracker.end(gone);
    tracker.begin();
    redis.forget();
    exchange();
    EXPECT_EQ(redis.commands.back(), "SUBSCRIBE b");
    EXPECT_EQ(tracker.size(), 1u);
}

TEST_F(TrackerTest, WithoutAConnectionOnlyWhatIsWantedIsKept) {
    want("kept");
    exchange();
    tracker.end(gone);
    redis.forget();
    for (int i = 0; i < 1000; ++i) {
        want("c" + std::to_string(i));
        unwant("c" + std::to_string(i));
    }
    unwant("kept");
    EXPECT_EQ(tracker.size(), 0u);
    want("new");
    EXPECT_EQ(tracker.size(), 1u);
    tracker.begin();
    exchange();
    EXPECT_EQ(redis.subscribed.size(), 1u);
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, ARefusedUnsubscribeOfWhatIsWantedAgainIsAConfirmation) {
    want("a");
    exchange();
    take_events();
    unwant("a");
    tracker.tick(now += 500);
    send();
    want("a");
    redis.answers.clear();
    EXPECT_TRUE(tracker.refused("NOPERM no unsubscribe", now));
    EXPECT_EQ(take_events(), Strings{"+a"});
    EXPECT_TRUE(tracker.settled());
}

TEST_F(TrackerTest, AnswersToNothingAreFaults) {
    EXPECT_FALSE(tracker.acknowledged(true, TargetKind::channel, "a", now));
    EXPECT_FALSE(tracker.refused("ERR what", now));
    EXPECT_FALSE(tracker.ponged());
    want("a");
    send();
    EXPECT_FALSE(tracker.acknowledged(true, TargetKind::channel, "b", now));
    EXPECT_FALSE(tracker.acknowledged(true, TargetKind::pattern, "a", now));
    EXPECT_FALSE(tracker.acknowledged(false, TargetKind::channel, "a", now));  // a spontaneous unsubscribe
    EXPECT_FALSE(tracker.ponged());
    EXPECT_TRUE(answer());
}

TEST_F(TrackerTest, PingsStandInTheQueueOfAnswers) {
    tracker.pinged();
    want("a");
    send();
    EXPECT_FALSE(tracker.acknowledged(true, TargetKind::channel, "a", now));
    EXPECT_TRUE(tracker.ponged());
    EXPECT_TRUE(answer());
    tracker.pinged();
    EXPECT_TRUE(tracker.refused("NOPERM no ping", now));
    EXPECT_FALSE(tracker.under_way());
}

TEST_F(TrackerTest, BinaryNames) {
    const std::string name("a\0\r\n b", 6);
    want(name);
    exchange();
    EXPECT_TRUE(redis.subscribed.contains({TargetKind::channel, name}));
    EXPECT_TRUE(tracker.settled());
}

// Any interleaving of calls, sends, answers, breaks and time ends with confirmed equal to wanted.
class TrackerSchedules : public TrackerTest, public testing::WithParamInterface<std::uint32_t> {};

TEST_P(TrackerSchedules, Converge) {
    for (std::uint32_t seed = GetParam() * 1000; seed < (GetParam() + 1) * 1000; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](std::uint32_t n) { return random() % n; };
        FakeRedis server;
        std::string unread;  // sent, not yet taken by the server
        std::set<std::pair<TargetKind, std::string>> wanted;
        Topics all;
        SubscriptionTracker t(pick(2) ? 500 : 0, 4000, all, *this);
        TimeMs time = 0;
        bool up = true;
        t.begin();
        server.forbidden = {"n1"};

        const auto step_answer = [&] {
            if (server.answers.empty()) return;
            const auto one = server.answers.front();
            server.answers.pop_front();
            const bool fits = one.what == FakeRedis::Answer::error
                                  ? t.refused("NOPERM no", time)
                                  : t.acknowledged(one.what == FakeRedis::Answer::subscribed, one.kind, one.name, time);
            ASSERT_TRUE(fits) << "seed " << seed;
        };
        for (int step = 0; step < 200; ++step) {
            const TargetKind kind = pick(3) ? TargetKind::channel : TargetKind::pattern;
            const std::string name = "n" + std::to_string(pick(5));
            switch (pick(12)) {
                case 0:
                case 1:
                case 2:
                    t.want(topic_of(all, kind, name), time);
                    wanted.emplace(kind, name);
                    break;
                case 3:
                case 4:
                    if (Topic* const topic = all.find(kind, name)) t.unwant(*topic, time);
                    wanted.erase({kind, name});
                    break;
                case 5:
                case 6:
                    t.next_command(unread);
                    break;
                case 7:
                    server.take(unread);
                    unread.clear();
                    break;
                case 8:
                case 9:
                    step_answer();
                    break;
                case 10:
                    time += pick(1500);
                    t.tick(time);
                    break;
                case 11:
                    if (up && pick(4)) break;
                    up = !up;
                    if (up) {
                        t.begin();
                        break;
                    }
                    t.end(gone);
                    server.forget();
                    unread.clear();
                    if (pick(2)) server.forbidden.clear();
                    break;
            }
            if (HasFatalFailure()) return;
        }
        server.forbidden.clear();
        if (!up) t.begin();
        for (int round = 0; round < 1000 && !t.settled(); ++round) {
            while (t.next_command(unread)) {
            }
            server.take(unread);
            unread.clear();
            while (!server.answers.empty()) {
                step_answer();
                if (HasFatalFailure()) return;
            }
            if (t.deadline() != never) t.tick(time = std::max(time, t.deadline()));
        }
        ASSERT_TRUE(t.settled()) << "seed " << seed;
        ASSERT_EQ(server.subscribed, wanted) << "seed " << seed;
        ASSERT_EQ(t.size(), wanted.size()) << "seed " << seed;
        ASSERT_EQ(all.size(), wanted.size()) << "seed " << seed;
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TrackerSchedules, testing::Range(0u, 10u));

}  // namespace
}  // namespace fanwire::core
