// A named memory bus as its members use it: whose messages are whose, in which order, and what a full mailbox does.
#include "core/backend/memory_bus.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/message/frame.h"

namespace fanwire::core {
namespace {

struct Place {
    std::atomic<int> wakes{0};
    std::vector<TopicRef> topics;  // of the member, as long as it is one
    MemoryBus::Member member;
    MemoryBus::Letters letters;

    explicit Place(std::string_view name) : member(name, [this] { ++wakes; }) {}
    Topic& add(TargetKind kind, std::string_view name) {
        topics.push_back(Topic::make(kind, name, 0));
        member.add(*topics.back(), letters);
        return *topics.back();
    }
    // Receivers elsewhere.
    std::uint64_t post(std::string_view channel, std::string_view payload) {
        std::uint64_t receivers = 0;
        EXPECT_TRUE(member.post(channel, payload, receivers, letters));
        return receivers;
    }
    std::string take() {
        MemoryBus::Letters more;
        member.take(more);
        letters.insert(letters.end(), more.begin(), more.end());
        std::string text;
        for (const MemoryBus::Letter& letter : letters)
            text += std::string(letter.channel()) + "=" + std::string(letter.payload()) + " ";
        letters.clear();
        return text;
    }
};

TEST(MemoryBus, SharesMessagesAmongAllThatNameIt) {
    Place a("one"), b("one"), c("one"), other("two");
    b.add(TargetKind::channel, "x");
    c.add(TargetKind::channel, "y");
    other.add(TargetKind::channel, "x");
    EXPECT_EQ(1u, a.post("x", "1"));
    EXPECT_EQ(1u, a.post("y", std::string_view("\0\n", 2)));
    EXPECT_EQ(0u, a.post("z", ""));
    EXPECT_EQ("x=1 ", b.take());
    EXPECT_EQ(std::string("y=\0\n ", 5), c.take());
    EXPECT_EQ("", a.take());
    EXPECT_EQ("", other.take());
}

TEST(MemoryBus, CountsReceiversAsRedisDoesAndSendsOneLetterToEachEngine) {
    Place a("one"), b("one"), c("one");
    a.add(TargetKind::channel, "x");  // one's own are not counted: the backend knows them
    a.add(TargetKind::pattern, "*");
    b.add(TargetKind::channel, "x");
    b.add(TargetKind::pattern, "x*");
    b.add(TargetKind::pattern, "*x");
    c.add(TargetKind::pattern, "?");
    EXPECT_EQ(4u, a.post("x", "m"));
    EXPECT_EQ("x=m ", b.take());
    EXPECT_EQ("x=m ", c.take());
    EXPECT_EQ(1u, a.member.count("x")) << "of others, and patterns are not counted";
    EXPECT_EQ(2u, c.member.count("x"));
    EXPECT_EQ(0u, a.member.count("y"));
}

TEST(MemoryBus, PatternsDoNotSeeReplyChannels) {
    Place a("one"), b("one"), c("one");
    const std::string channel = "ws:" + frame::reply_channel({});
    b.add(TargetKind::pattern, "*");
    c.add(TargetKind::channel, channel);
    EXPECT_EQ(1u, a.post(channel, "m"));
    EXPECT_EQ("", b.take());
}

TEST(MemoryBus, ForgetsWhatIsRemovedAndWhoHasLeft) {
    Place a("one"), b("one");
    Topic& x = b.add(TargetKind::channel, "x");
    Topic& pattern = b.add(TargetKind::pattern, "x");
    b.member.remove(x);
    EXPECT_EQ(1u, a.post("x", "1"));
    b.member.remove(pattern);
    EXPECT_EQ(0u, a.post("x", "2"));
    b.add(TargetKind::channel, "x");
    b.member.leave();
    EXPECT_EQ(0u, a.post("x", "3"));
    EXPECT_EQ(0u, a.member.count("x"));
}

TEST(MemoryBus, ASubscriptionBeginsBehindWhatWaits) {
    Place a("one"), b("one");
    b.add(TargetKind::channel, "x");
    a.post("x", "old");
    ASSERT_TRUE(b.letters.empty());
    b.add(TargetKind::pattern, "*");
    ASSERT_EQ(1u, b.letters.size()) << "it is to be delivered before the pattern is confirmed";
    EXPECT_EQ("x=old ", b.take());
}

TEST(MemoryBus, APublishTakesWhatWasPublishedBefore) {
    Place a("one"), b("one");
    a.add(TargetKind::channel, "x");
    b.post("x", "theirs");
    a.post("x", "ours");
    ASSERT_EQ(1u, a.letters.size()) << "to be delivered before our own";
}

TEST(MemoryBus, WakesOnceForAnEmptyMailbox) {
    Place a("one"), b("one");
    b.add(TargetKind::channel, "x");
    a.post("x", "1");
    a.post("x", "2");
    EXPECT_EQ(1, b.wakes);
    EXPECT_EQ("x=1 x=2 ", b.take());
    a.post("x", "3");
    EXPECT_EQ(2, b.wakes);
    EXPECT_EQ(0, a.wakes);
}

TEST(MemoryBus, APublishThatFindsAFullMailboxWaitsUntilItIsTaken) {
    Place a("one"), b("one"), c("one");
    b.add(TargetKind::channel, "x");
    c.add(TargetKind::channel, "x");
    c.add(TargetKind::channel, "y");
    for (std::size_t i = 0; i < MemoryBus::letters_max; ++i) ASSERT_EQ(2u, a.post("x", ""));
    std::uint64_t receivers = 0;
    c.take();
    EXPECT_FALSE(a.member.post("x", "more", receivers, a.letters));
    EXPECT_EQ("", c.take()) << "then nobody has it";
    EXPECT_EQ(1u, a.post("y", "other")) << "which goes to a mailbox that has room";
    EXPECT_EQ(0, a.wakes);
    b.take();
    EXPECT_EQ(1, a.wakes);
    EXPECT_EQ(2u, a.post("x", "more"));
    EXPECT_EQ("x=more ", b.take());
}

TEST(MemoryBus, AMailboxIsFullOfBytesToo) {
    Place a("one"), b("one");
    b.add(TargetKind::channel, "x");
    const std::string large(MemoryBus::bytes_max, 'x');
    EXPECT_EQ(1u, a.post("x", large)) << "an empty mailbox takes whatever may be published";
    std::uint64_t receivers = 0;
    EXPECT_FALSE(a.member.post("x", "", receivers, a.letters));
    b.member.leave();
    EXPECT_EQ(1, a.wakes) << "nobody is in the way any more";
    EXPECT_EQ(0u, a.post("x", ""));
}

TEST(MemoryBus, ManyThreadsMayJoinPostAndLeave) {
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> taken{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int round = 0; round < 50; ++round) {
                Place place(round % 2 == 0 ? "even" : "odd");
                place.add(TargetKind::channel, "x");
                place.add(TargetKind::pattern, "?");
                for (int i = 0; i < 20; ++i) place.post("x", std::to_string(t));
                taken += place.take().size();
            }
        });
    for (std::thread& thread : threads) thread.join();
    Place last("even");
    EXPECT_EQ(0u, last.post("x", "")) << "the others have left";
}

}  // namespace
}  // namespace fanwire::core
