// Waiting for a subscription while its state changes.
#include "core/fanout/subscription.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "core/fanout/inbox.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

struct SubscriptionTest : testing::Test {
    // Its status, and the text.
    std::pair<Status, std::string> wait(std::chrono::milliseconds patience = std::chrono::seconds(60)) {
        try {
            subscription->wait_active(std::chrono::steady_clock::now() + patience);
            return {Status::OK, ""};
        } catch (const Failure& failure) {
            return {failure.status(), failure.what()};
        }
    }
    const std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>(InboxLimits{}, Inbox::MakePollable{});
    const SubscriptionRef subscription =
        make_subscription(TargetKind::channel, "a", inbox, nullptr, std::make_shared<EngineShare>());
    const Reason refused{Error{Status::NO_PERMISSION, "NOPERM no"}};
};

using Told = std::pair<Status, std::string>;

TEST_F(SubscriptionTest, WaitingTellsWhyItFailed) {
    EXPECT_EQ(wait(std::chrono::milliseconds(0)).first, Status::TIMEOUT);
    subscription->change(SubscriptionState::failed, refused);
    EXPECT_EQ(wait(), Told(Status::NO_PERMISSION, "NOPERM no"));
    subscription->change(SubscriptionState::active);
    EXPECT_EQ(wait(), Told(Status::OK, ""));
    subscription->change(SubscriptionState::ended, Reason(Error{Status::CLOSED, ""}));
    EXPECT_EQ(wait(), Told(Status::CLOSED, find_status(static_cast<int>(Status::CLOSED))->text));
}

TEST_F(SubscriptionTest, AReasonGoesWithTheStateThatItWasOf) {
    for (const Reason& why : {refused, Reason(Error{Status::NO_PERMISSION, ""})})  // a text, or none
        for (const SubscriptionState next : {SubscriptionState::lost, SubscriptionState::active}) {
            subscription->change(SubscriptionState::failed, why);
            EXPECT_EQ(subscription->why().status, Status::NO_PERMISSION);
            subscription->change(next);
            EXPECT_EQ(subscription->why().status, Status::OK);
            EXPECT_FALSE(subscription->why().text);
        }
}

TEST_F(SubscriptionTest, WhatWasUnsubscribedStaysSoWhenTheEngineCloses) {
    SubscriptionQueue& queue = subscription->share().queue;
    queue.wake = [] {};
    queue.reserve(0);
    EXPECT_EQ(subscription->end(), Status::OK);
    EXPECT_EQ(queue.open(), 0u);
    queue.shut();
    EXPECT_EQ(subscription->end(), Status::UNSUBSCRIBED);
    EXPECT_EQ(queue.open(), 0u) << "counted once";
    EXPECT_EQ(queue.front(), subscription.get());
    EXPECT_EQ(queue.pop(), subscription);
    EXPECT_EQ(queue.front(), nullptr);
}

TEST_F(SubscriptionTest, WhatEndedWithoutAReasonWasUnsubscribed) {
    subscription->change(SubscriptionState::ended);
    EXPECT_EQ(wait().first, Status::UNSUBSCRIBED);
}

// A state that is gone when the waiting thread comes to tell of it: what it was, with its own reason, or nothing yet.
TEST_F(SubscriptionTest, WaitingNeverTellsOfAStateWithTheReasonOfAnother) {
    const Reason without_text(Error{Status::NO_PERMISSION, ""}), full(Error{Status::LIMIT_REACHED, "full"});
    const std::string named = find_status(static_cast<int>(Status::NO_PERMISSION))->text;
    std::atomic<bool> done{false};
    std::thread io([&] {
        // Each state lasts for a moment, so that the other thread comes between two of them everywhere.
        std::atomic<int> moment{0};
        const auto change = [&](SubscriptionState state, const Reason& why = {}) {
            subscription->change(state, why);
            for (moment = 0; moment < 100;) ++moment;
        };
        for (int round = 0; round < 100000; ++round) {
            for (const Reason* why : {&refused, &without_text, &full}) {
                change(SubscriptionState::failed, *why);
                change(SubscriptionState::lost);
            }
            change(SubscriptionState::active);
            change(SubscriptionState::lost);
        }
        subscription->change(SubscriptionState::active);
        done = true;
    });
    std::map<Told, int> told;
    while (!done) ++told[wait()];
    io.join();
    for (const Told& right : {Told(Status::OK, ""), Told(Status::NO_PERMISSION, "NOPERM no"),
                              Told(Status::NO_PERMISSION, named), Told(Status::LIMIT_REACHED, "full")})
        told.erase(right);
    for (const auto& [wrong, count] : told)
        ADD_FAILURE() << count << " times: status " << static_cast<int>(wrong.first) << ' ' << wrong.second;
}

}  // namespace
}  // namespace fanwire::core
