// Requests with everything around them pretended: the reply channel, the publishes, the inbox, time.
#include "core/engine/requests.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/net/event_fd.h"

namespace fanwire::core {
namespace {

using Strings = std::vector<std::string>;

struct RequestsTest : testing::Test {
    struct Published {
        std::string channel, payload;
        frame::Address address;
        std::shared_ptr<OutcomeSink> sink;
    };

    void open(std::size_t count_max = 100, std::size_t bytes_max = 1 << 20) {
        requests.emplace(
            frame::Address::Id{1, 2, 3}, 3, count_max, bytes_max,
            Requests::Engine{
                [this] {
                    if (no_memory) throw std::bad_alloc();
                    ++listens;
                },
                [this] { ++needs; },
                [this](const std::string& channel, const std::string& framed, const std::shared_ptr<OutcomeSink>& sink,
                       TimeMs deadline) {
                    deadlines.push_back(deadline);
                    if (refusal) throw Failure(refusal);
                    published.push_back({channel, framed.substr(frame::request_size), frame::address_of(framed), sink});
                },
                [this](const std::shared_ptr<Inbox>&, Event event) { tell(event); },
                [this](const std::shared_ptr<Inbox>&, Event event) {
                    if (full) return false;
                    tell(event);
                    return true;
                }});
    }
    void SetUp() override { open(); }
    void TearDown() override { requests->end_all({Status::CLOSED, "closed"}); }

    void tell(const Event& event) {
        std::string text = std::to_string(reinterpret_cast<std::uintptr_t>(event.user_data)) + ":";
        if (event.kind == EventKind::reply) {
            text += "reply " + std::string(event.message->payload());
        } else {
            text += std::string(status_name(event.status)) + " " + std::to_string(event.count) + " missing " +
                    (event.delay_ms == count_unknown ? "?" : std::to_string(event.delay_ms));
            last_text = event.message ? std::string(event.message->payload()) : "";
        }
        told.push_back(text);
    }
    std::shared_ptr<Request> ask(std::uintptr_t name, std::uint64_t expect, TimeMs deadline = never) {
        auto request =
            requests->open("c", "q" + std::to_string(name), expect, deadline, inbox, reinterpret_cast<void*>(name));
        requests->turn(now);
        return request;
    }
    void settle(std::size_t i, std::uint64_t receivers, const Error& error = {}) {
        EXPECT_FALSE(published.at(i).sink->settle(nullptr, {error, receivers}));
    }
    void reply(std::size_t i, const std::string& payload) {
        requests->reply(frame::reply(published.at(i).address.number, payload));
    }
    Strings take() { return std::exchange(told, {}); }

    std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>(InboxLimits{}, make_event_fd);
    TimeMs now = 1000;
    std::vector<Published> published;
    std::vector<TimeMs> deadlines;  // of them
    Strings told;
    std::string last_text;
    Error refusal;
    int listens = 0, needs = 0;
    bool no_memory = false, full = false;
    std::optional<Requests> requests;
};

TEST_F(RequestsTest, ArePublishedWhenTheReplyChannelIsConfirmed) {
    ask(1, 1);
    ask(2, 1);
    EXPECT_EQ(1, listens);
    EXPECT_EQ(2, needs);
    EXPECT_TRUE(published.empty());
    requests->confirmed();
    ASSERT_EQ(2u, published.size());
    EXPECT_EQ("c", published[0].channel);
    EXPECT_EQ("q1", published[0].payload);
    EXPECT_EQ(3, published[0].address.prefix_size);
    EXPECT_EQ((frame::Address::Id{1, 2, 3}), published[0].address.id);
    EXPECT_NE(published[0].address.number, published[1].address.number);
    ask(3, 1);
    EXPECT_EQ(3u, published.size());
    EXPECT_EQ(1, listens);
    EXPECT_EQ(2, needs);
}

TEST_F(RequestsTest, EndWithTheLastReplyThatIsExpected) {
    requests->confirmed();
    ask(1, 2);
    ask(2, 1);
    reply(1, "b");
    reply(0, "a1");
    settle(0, 5);
    settle(1, 1);
    reply(0, "a2");
    reply(0, "late");
    EXPECT_EQ(take(), (Strings{"2:reply b", "2:OK 1 missing 0", "1:reply a1", "1:reply a2", "1:OK 2 missing 0"}));
    EXPECT_EQ(0u, requests->size());
}

TEST_F(RequestsTest, WithoutANumberAllWhoReceivedItAreExpected) {
    requests->confirmed();
    ask(1, 0, 2000);
    ask(2, 0, 2000);
    ask(3, 0, 2000);
    reply(0, "before the outcome");
    settle(0, 2);
    settle(1, 0);
    settle(2, 2);
    reply(0, "after it");
    reply(2, "one");
    EXPECT_EQ(2000, requests->deadline());
    EXPECT_EQ(deadlines, std::vector<TimeMs>(3, 2000)) << "not sent when nobody waits any more";
    requests->tick(1999);
    requests->tick(2000);
    EXPECT_EQ(take(), (Strings{"1:reply before the outcome", "2:OK 0 missing 0", "1:reply after it", "1:OK 2 missing 0",
                               "3:reply one", "3:TIMEOUT 1 missing 1"}));
    EXPECT_EQ(never, requests->deadline());
}

TEST_F(RequestsTest, MoreRepliesThanReceiversAreNoneMissing) {
    requests->confirmed();
    ask(1, 0);
    for (const char* payload : {"1", "2", "3"}) reply(0, payload);
    settle(0, 2);
    EXPECT_EQ(take().back(), "1:OK 3 missing 0");
}

TEST_F(RequestsTest, ThatNobodyReceivesIsKnownAtOnce) {
    requests->confirmed();
    ask(1, 3);
    settle(0, 0);
    EXPECT_EQ(take(), Strings{"1:TIMEOUT 0 missing 3"});
    EXPECT_NE(std::string::npos, last_text.find("nobody")) << last_text;
}

TEST_F(RequestsTest, AFailedPublishIsTheEndUnlessItMayHaveHappened) {
    requests->confirmed();
    for (std::uintptr_t name : {1u, 2u, 3u}) ask(name, name == 3 ? 2 : 0, 2000);
    settle(0, 0, {Status::NO_PERMISSION, "NOPERM"});
    EXPECT_EQ(take(), Strings{"1:NO_PERMISSION 0 missing ?"});
    settle(1, 0, {Status::OUTCOME_UNKNOWN, "sent, but not answered: reset"});
    settle(2, 0, {Status::OUTCOME_UNKNOWN, "sent, but not answered: reset"});
    reply(1, "one has it");
    reply(2, "one has it");
    requests->tick(2000);
    EXPECT_EQ(take(),
              (Strings{"2:reply one has it", "3:reply one has it", "2:TIMEOUT 1 missing ?", "3:TIMEOUT 1 missing 1"}));
    EXPECT_NE(std::string::npos, last_text.find("reset")) << last_text;
}

TEST_F(RequestsTest, ThatCannotBePublishedEndsAtOnce) {
    requests->confirmed();
    refusal = {Status::QUEUE_FULL, "full"};
    ask(1, 1);
    EXPECT_EQ(take(), Strings{"1:QUEUE_FULL 0 missing 1"});
}

TEST_F(RequestsTest, ABreakIsSurvived) {
    requests->confirmed();
    ask(1, 2, 2000);
    reply(0, "before");
    requests->lost();
    ask(2, 1, 2000);
    EXPECT_EQ(1u, published.size()) << "nobody would hear the replies";
    requests->confirmed();
    EXPECT_EQ(2u, published.size());
    reply(1, "after");
    reply(0, "after");
    EXPECT_EQ(take(),
              (Strings{"1:reply before", "2:reply after", "2:OK 1 missing 0", "1:reply after", "1:OK 2 missing 0"}));
}

TEST_F(RequestsTest, TheTimeRunsWhileTheChannelIsNotConfirmed) {
    ask(1, 1, 1500);
    requests->tick(1500);
    EXPECT_EQ(take(), Strings{"1:TIMEOUT 0 missing 1"});
    EXPECT_NE(std::string::npos, last_text.find("not confirmed")) << last_text;
    requests->confirmed();
    EXPECT_TRUE(published.empty());
    now = 2000;
    ask(2, 1, 1999);  // over before it began
    EXPECT_EQ(take(), Strings{"2:TIMEOUT 0 missing 1"});
}

TEST_F(RequestsTest, ARefusedChannelRefusesThemUntilItIsConfirmed) {
    ask(1, 1);
    requests->refused({Status::NO_PERMISSION, "NOPERM"});
    ask(2, 1);
    EXPECT_EQ(take(), (Strings{"1:NO_PERMISSION 0 missing 1", "2:NO_PERMISSION 0 missing 1"}));
    EXPECT_NE(std::string::npos, last_text.find("channel for replies")) << last_text;
    requests->confirmed();
    ask(3, 1);
    EXPECT_EQ(1u, published.size());
    requests->refused({Status::NO_PERMISSION, "NOPERM"});
    requests->lost();
    take();
    ask(4, 1);
    EXPECT_EQ(take(), Strings{}) << "the next link may allow it";
}

TEST_F(RequestsTest, GivingUpEndsThoseThatAreNotPublished) {
    requests->confirmed();
    ask(1, 1);
    requests->lost();
    ask(2, 1);
    requests->gave_up({Status::CONNECT_FAILED, "refused"});
    ask(3, 1);
    EXPECT_EQ(take(), (Strings{"2:NOT_CONNECTED 0 missing 1", "3:NOT_CONNECTED 0 missing 1"}));
    requests->revived();
    ask(4, 1);
    requests->confirmed();
    EXPECT_EQ(2u, published.size());
}

TEST_F(RequestsTest, MayBeCancelledAtAnyTime) {
    const auto first = ask(1, 1);
    auto second = requests->open("c", "q", 1, never, inbox, reinterpret_cast<void*>(2));
    EXPECT_TRUE(requests->cancel(second)) << "before the IO thread has seen it";
    EXPECT_FALSE(requests->cancel(second));
    EXPECT_TRUE(requests->cancel(first));
    requests->turn(now);
    EXPECT_EQ(take(), (Strings{"1:UNSUBSCRIBED 0 missing 1", "2:UNSUBSCRIBED 0 missing 1"}));
    requests->confirmed();
    EXPECT_TRUE(published.empty());
    const auto third = ask(3, 2);
    reply(0, "one");
    EXPECT_TRUE(requests->cancel(third));
    requests->turn(now);
    EXPECT_EQ(take(), (Strings{"3:reply one", "3:UNSUBSCRIBED 1 missing 1"}));
    EXPECT_TRUE(third->ended());
    EXPECT_FALSE(requests->cancel(third));
    settle(0, 1);  // is nobody's matter any more
    reply(0, "late");
    EXPECT_EQ(take(), Strings{});
}

TEST_F(RequestsTest, RepliesThatTheInboxHasNoRoomForAreMissing) {
    requests->confirmed();
    ask(1, 3);
    reply(0, "1");
    full = true;
    reply(0, "2");
    full = false;
    reply(0, "3");
    EXPECT_EQ(take(), (Strings{"1:reply 1", "1:reply 3", "1:LIMIT_REACHED 2 missing 1"}));
}

TEST_F(RequestsTest, WhatIsNoReplyOfOursIsIgnored) {
    ask(1, 1);
    const std::uint64_t number = 1;
    requests->reply(frame::reply(number, "guessed"));  // not published yet
    requests->confirmed();
    ASSERT_EQ(number, published[0].address.number);
    requests->reply(frame::reply(99, "x"));
    requests->reply("x");
    requests->reply("");
    requests->reply(frame::plain("x"));
    requests->reply(frame::plain(std::string("\0\0\0\0\0\0\0\1", 8)));  // where a reply has its number
    requests->reply(frame::request({}, "x"));
    EXPECT_EQ(take(), Strings{});
    reply(0, "");
    EXPECT_EQ(take(), (Strings{"1:reply ", "1:OK 1 missing 0"}));
}

TEST_F(RequestsTest, AreLimited) {
    open(2);
    const auto one = ask(1, 1), two = ask(2, 1);
    EXPECT_THROW(ask(3, 1), Failure);
    EXPECT_TRUE(requests->cancel(one));
    requests->turn(now);
    EXPECT_NO_THROW(ask(3, 1));
    requests->end_all({});

    open(100, 100);
    ask(1, 1);
    ask(2, 1);
    try {
        requests->open("c", std::string(50, 'x'), 1, never, inbox, nullptr);
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.status(), Status::QUEUE_FULL);
    }
    requests->confirmed();
    EXPECT_NO_THROW(requests->open("c", std::string(500, 'x'), 1, never, inbox, nullptr))
        << "the others' are published";
}

TEST_F(RequestsTest, EndWithTheirInbox) {
    requests->confirmed();
    ask(1, 1);
    inbox->retire();
    requests->end_retired();
    EXPECT_EQ(0u, requests->size());
    ask(2, 1);
    EXPECT_EQ(0u, requests->size()) << "also one that was still at the door when it went";
    EXPECT_EQ(1u, published.size());
}

TEST_F(RequestsTest, AllEndWithTheEngine) {
    requests->confirmed();
    ask(1, 1);
    requests->open("c", "unseen", 2, never, inbox, reinterpret_cast<void*>(2));
    requests->shut();
    EXPECT_THROW(ask(3, 1), Failure);
    requests->end_all({Status::CLOSED, "closed"});
    Strings ends = take();
    EXPECT_EQ(ends, (Strings{"1:CLOSED 0 missing 1", "2:CLOSED 0 missing 2"}));
}

TEST_F(RequestsTest, WithoutMemoryTheyWaitForTheNextTurn) {
    no_memory = true;
    EXPECT_THROW(ask(1, 1), std::bad_alloc);
    no_memory = false;
    requests->turn(now);
    requests->confirmed();
    EXPECT_EQ(1u, published.size());
}

}  // namespace
}  // namespace fanwire::core
