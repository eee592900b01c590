// fork() with live handles: the child is told, nothing hangs, and the parent does not notice.
#include <sys/wait.h>
#include <unistd.h>

#include "../support/sanitized.h"
#include "support.h"

namespace capi_test {
namespace {

// Runs `body` in a child of fork(); its result becomes the exit code, which is returned. A child that hangs is killed
// by its alarm.
int in_child(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(body());
    }
    int status = 0;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

struct ForkTest : testing::Test {
    Options options{{"url", memory_url}};
    Inbox inbox, events;
    Engine engine;
    Subscription subscription;
    void SetUp() override {
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, events, nullptr));
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "c", 1, inbox, nullptr));
        inbox.next(FANWIRE_EVENT_ACTIVE);
    }
};

TEST_F(ForkTest, EveryCallOnAnInheritedHandleSaysForked) {
    fanwire_request_args args{};
    args.channel = "nobody";
    args.channel_size = 6;
    args.expect = 1;
    args.inbox = inbox;
    Owned<fanwire_request, fanwire_request_destroy> request;
    ASSERT_STATUS(FANWIRE_OK, fanwire_request_open(request.out(), engine, &args, sizeof args));
    const auto body = [&] {
        fanwire_event event;
        fanwire_engine_stats stats;
        fanwire_inbox_stats inbox_stats;
        fanwire_health health;
        fanwire_latency latency;
        std::size_t count = 0;
        int number = 0;
        Subscription other_subscription;
        Engine other;
        fanwire_request* other_request = nullptr;
        const std::vector<int> got = {
            fanwire_engine_wait_connected(engine, FANWIRE_FOREVER),
            fanwire_publish(engine, "c", 1, "x", 1),
            fanwire_publish_async(engine, "c", 1, "x", 1, inbox, nullptr),
            fanwire_publish_wait(engine, "c", 1, "x", 1, FANWIRE_FOREVER, nullptr),
            fanwire_subscribe(other_subscription.out(), engine, "c", 1, inbox, nullptr),
            fanwire_psubscribe(other_subscription.out(), engine, "c", 1, inbox, nullptr),
            fanwire_unsubscribe(subscription),
            fanwire_subscription_state_get(subscription, &number),
            fanwire_subscription_wait_active(subscription, FANWIRE_FOREVER),
            fanwire_engine_set_credentials(engine, "", ""),
            fanwire_numsub(engine, nullptr, nullptr, 0, nullptr, FANWIRE_FOREVER),
            fanwire_numsub_async(engine, nullptr, nullptr, 0, inbox, nullptr),
            fanwire_request_open(&other_request, engine, &args, sizeof args),
            fanwire_request_cancel(request),
            fanwire_reply(engine, nullptr, "x", 1),
            fanwire_engine_health(engine, &health, sizeof health),
            fanwire_engine_stats_get(engine, &stats, sizeof stats),
            fanwire_engine_latency(engine, FANWIRE_LATENCY_PUBLISH, &latency, sizeof latency),
            fanwire_engine_metrics(engine, FANWIRE_METRICS_JSON, nullptr, &count),
            fanwire_engine_close(engine, FANWIRE_FOREVER),
            fanwire_inbox_fd(inbox, &number),
            fanwire_inbox_set_wake(inbox, nullptr, nullptr),
            fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count),
            fanwire_inbox_wait(inbox, FANWIRE_FOREVER),
            fanwire_inbox_dispatch(
                inbox, [](void*, const fanwire_event*) {}, nullptr),
            fanwire_inbox_stats_get(inbox, &inbox_stats, sizeof inbox_stats),
            fanwire_engine_open(other.out(), options),  // its engine inbox is the parent's
        };
        for (std::size_t i = 0; i < got.size(); ++i)
            if (got[i] != FANWIRE_FORKED) return static_cast<int>(i) + 1;
        return std::string(fanwire_last_error()).find("fork") == std::string::npos ? 100 : 0;
    };
    EXPECT_EQ(0, in_child(body)) << "the number of the call that did not say FORKED, from 1";
}

TEST_F(ForkTest, DestroyingInheritedHandlesInTheChildIsHarmless) {
    ASSERT_STATUS(FANWIRE_OK, publish(engine, "c", "waits"));
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 1; }));
    EXPECT_EQ(0, in_child([&] {
                  subscription.reset();
                  engine.reset();
                  inbox.reset();
                  options.reset();
                  return engine || inbox || subscription || options ? 1 : 0;
              }));
    EXPECT_EQ("waits", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_EQ(1u, publish_wait(engine, "c", "after"));
    EXPECT_EQ("after", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
}

#ifndef __SANITIZE_THREAD__  // which keeps no account of threads that are started in a child of fork()
TEST_F(ForkTest, TheChildMayOpenItsOwnEngine) {
    EXPECT_EQ(0, in_child([&] {
                  Inbox own_inbox;
                  Engine own = open_engine();
                  Subscription own_subscription = subscribe(own, "c", own_inbox);
                  publish_wait(own, "c", "in the child");
                  const bool came = own_inbox.next(FANWIRE_EVENT_MESSAGE).payload == "in the child";
                  return came && !HasFailure() ? 0 : 1;
              }));
}

// Though another engine has published into it before, perhaps one whose address the child's own engine gets.
TEST_F(ForkTest, TheChildsOwnEngineDoesNotPublishIntoAnInheritedInbox) {
    Inbox outcomes;
    {
        Engine former = open_engine();
        ASSERT_STATUS(FANWIRE_OK, fanwire_publish_async(former, "c", 1, "x", 1, outcomes, nullptr));
        outcomes.next(FANWIRE_EVENT_PUBLISHED);
    }
    EXPECT_EQ(0, in_child([&] {
                  Engine own = open_engine();
                  Inbox own_outcomes;
                  EXPECT_EQ(FANWIRE_FORKED, fanwire_publish_async(own, "c", 1, "x", 1, outcomes, nullptr));
                  EXPECT_EQ(FANWIRE_OK, fanwire_publish_async(own, "c", 1, "x", 1, own_outcomes, nullptr));
                  EXPECT_EQ(FANWIRE_FORKED, fanwire_publish_async(own, "c", 1, "x", 1, outcomes, nullptr));
                  own_outcomes.next(FANWIRE_EVENT_PUBLISHED);
                  return HasFailure() ? 1 : 0;
              }));
}
#endif

#ifndef FANWIRE_SANITIZED  // whose allocator's lock one of the busy threads may hold
// At any moment of a busy engine: locks that other threads hold at the fork stay held in the child for ever.
TEST_F(ForkTest, AtAnyMomentNothingHangs) {
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) publish(engine, "c", "x");
    });
    std::thread drains([&] {
        while (!stop) inbox.drain();
    });
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(0, in_child([&] {
                      if (publish(engine, "c", "x") != FANWIRE_FORKED) return 1;
                      fanwire_event event;
                      std::size_t count = 0;
                      if (fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count) != FANWIRE_FORKED) return 2;
                      engine.reset();
                      inbox.reset();
                      subscription.reset();
                      return 0;
                  }));
    }
    stop = true;
    busy.join();
    drains.join();
}
#endif

TEST_F(ForkTest, AGrandchildIsForkedToo) {
    EXPECT_EQ(0,
              in_child([&] { return in_child([&] { return publish(engine, "c", "x") == FANWIRE_FORKED ? 0 : 1; }); }));
}

TEST_F(ForkTest, ADispatcherStaysWithTheParent) {
    std::atomic<int> called{0};
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(
                                  inbox,
                                  [](void* user_data, const fanwire_event* event) {
                                      if (event->kind == FANWIRE_EVENT_MESSAGE)
                                          ++*static_cast<std::atomic<int>*>(user_data);
                                  },
                                  &called));
    // The callback's user_data is the inbox's here, not the subscription's.
    publish_wait(engine, "c", "x");
    EXPECT_TRUE(until([&] { return called == 1; }));
    EXPECT_EQ(0, in_child([&] {
                  inbox.reset();
                  return 0;
              }));
    publish_wait(engine, "c", "x");
    EXPECT_TRUE(until([&] { return called == 2; }));
}

}  // namespace
}  // namespace capi_test
