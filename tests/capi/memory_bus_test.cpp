// memory://name: one bus for all engines of the process that name it.
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "../support/sanitized.h"
#include "support.h"

namespace capi_test {
namespace {

Engine open_on(const std::string& url, Options::Settings settings = {}) {
    settings.emplace_back("url", url);
    Options options(settings);
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    return engine;
}

// A wake function that holds up an IO thread.
struct Held {
    std::atomic<bool> yes{false}, release{false};
    static void wait(void* data) {
        Held& held = *static_cast<Held*>(data);
        held.yes = true;
        EXPECT_TRUE(until([&] { return held.release.load(); })) << "nobody let the IO thread go on";
    }
};

TEST(MemoryBus, EnginesOfOneNameShareMessages) {
    Engine a = open_on("memory://shared"), b = open_on("memory://shared"), other = open_on("memory://other");
    Inbox at_a, at_b, at_other;
    Subscription of_a = subscribe(a, "x", at_a), of_b = subscribe(b, "x", at_b), pattern = psubscribe(b, "x*", at_b),
                 of_other = subscribe(other, "x", at_other);
    EXPECT_EQ(3u, publish_wait(a, "x", "from a"));
    EXPECT_EQ(3u, publish_wait(b, "x", "from b"));
    for (const char* payload : {"from a", "from b"}) {
        EXPECT_EQ(payload, at_a.next(FANWIRE_EVENT_MESSAGE).payload);
        const Seen first = at_b.next(FANWIRE_EVENT_MESSAGE), second = at_b.next(FANWIRE_EVENT_MESSAGE);
        EXPECT_EQ(payload, first.payload);
        EXPECT_EQ(payload, second.payload);
        EXPECT_EQ("x", first.channel);
        EXPECT_NE(first.pattern.has_value(), second.pattern.has_value());
    }
    EXPECT_TRUE(at_other.drain().empty());
}

TEST(MemoryBus, EnginesWithoutANameAreAlone) {
    Engine a = open_on("memory://"), b = open_on("memory://");
    Inbox at_a, at_b;
    Subscription of_a = subscribe(a, "x", at_a), of_b = subscribe(b, "x", at_b);
    EXPECT_EQ(1u, publish_wait(a, "x", "m"));
    EXPECT_EQ("m", at_a.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_TRUE(at_b.drain().empty());
}

TEST(MemoryBus, NamespacesKeepChannelsApart) {
    Engine a = open_on("memory://spaces"), b = open_on("memory://spaces", {{"namespace", "other"}}),
           all = open_on("memory://spaces", {{"namespace", ""}});
    Inbox at_b, at_all;
    Subscription of_b = subscribe(b, "x", at_b), of_all = psubscribe(all, "*:x", at_all);
    EXPECT_EQ(1u, publish_wait(a, "x", "m"));
    EXPECT_EQ("ws:x", at_all.next(FANWIRE_EVENT_MESSAGE).channel);
    EXPECT_TRUE(at_b.drain().empty());
}

TEST(MemoryBus, EachPublishersOrderIsKept) {
    constexpr int count = 20000;
    Engine sink = open_on("memory://order");
    Inbox inbox({{"inbox_count", "1000000"}});
    Subscription all = psubscribe(sink, "*", inbox);
    std::vector<std::thread> threads;
    for (const char* channel : {"0", "1", "2"})
        threads.emplace_back([=] {
            Engine engine = open_on("memory://order");
            for (int i = 0; i < count; ++i)
                while (publish(engine, channel, std::to_string(i)) == FANWIRE_QUEUE_FULL) std::this_thread::yield();
            EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
        });
    std::vector<int> next(3, 0);
    for (int i = 0; i < 3 * count; ++i) {
        const Seen seen = inbox.next(FANWIRE_EVENT_MESSAGE);
        ASSERT_EQ(std::to_string(next.at(static_cast<std::size_t>(seen.channel[0] - '0'))++), seen.payload);
    }
    for (std::thread& thread : threads) thread.join();
}

// The order of all: whoever publishes after an outcome is seen after it, whichever engine publishes.
TEST(MemoryBus, AllEnginesSeeOneOrder) {
    Engine a = open_on("memory://total"), b = open_on("memory://total");
    Inbox at_a, at_b;
    Subscription of_a = subscribe(a, "x", at_a), of_b = subscribe(b, "x", at_b);
    for (int i = 0; i < 500; ++i) ASSERT_EQ(2u, publish_wait(i % 2 == 0 ? a : b, "x", std::to_string(i)));
    for (Inbox* inbox : {&at_a, &at_b})
        for (int i = 0; i < 500; ++i) ASSERT_EQ(std::to_string(i), inbox->next(FANWIRE_EVENT_MESSAGE).payload);
}

TEST(MemoryBus, AClosedEngineIsNoReceiver) {
    Engine a = open_on("memory://left"), b = open_on("memory://left");
    Inbox inbox;
    Subscription subscription = subscribe(b, "x", inbox);
    EXPECT_EQ(1u, publish_wait(a, "x", "m"));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(b, deadline_ms));
    EXPECT_EQ(0u, publish_wait(a, "x", "m"));
    a.reset();
    Engine again = open_on("memory://left");
    EXPECT_EQ(0u, publish_wait(again, "x", "m"));
}

// What another engine does not take waits, and is bounded by the publisher's own queue; nothing is lost.
TEST(MemoryBus, AnEngineThatIsHeldUpHoldsUpThePublisherOfItsMessages) {
    Held held;
    Engine slow = open_on("memory://slow"), fast = open_on("memory://slow", {{"publish_timeout_ms", "600000"}});
    constexpr std::uint64_t count = 70000;  // more than a mailbox has room for
    Inbox inbox({{"inbox_count", "1000000"}}), outcomes;
    Subscription subscription = subscribe(slow, "x", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, Held::wait, &held));
    ASSERT_STATUS(FANWIRE_OK, publish(fast, "x", "0"));
    ASSERT_TRUE(until([&] { return held.yes.load(); }));
    for (std::uint64_t i = 1; i < count; ++i) ASSERT_STATUS(FANWIRE_OK, publish(fast, "x", std::to_string(i)));
    ASSERT_STATUS(FANWIRE_OK, publish_async(fast, "x", "last", outcomes));
    ASSERT_TRUE(until([&] {
        fanwire_engine_stats stats{};
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(fast, &stats, sizeof stats));
        return stats.publish_ok >= 60000 && stats.publish_queued > 0;
    }));
    EXPECT_TRUE(outcomes.drain().empty());
    held.release = true;
    EXPECT_EQ(1u, outcomes.next(FANWIRE_EVENT_PUBLISHED).count);
    for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(std::to_string(i), inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_EQ("last", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
}

TEST(MemoryBus, WhatFindsNoRoomInTimeIsATimeout) {
    Held held;
    Engine slow = open_on("memory://stuck"), fast = open_on("memory://stuck", {{"publish_timeout_ms", "50"}});
    Inbox inbox, outcomes;
    Subscription subscription = subscribe(slow, "x", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, Held::wait, &held));
    ASSERT_STATUS(FANWIRE_OK, publish(fast, "x", "0"));
    ASSERT_TRUE(until([&] { return held.yes.load(); }));
    const std::string large(std::size_t{16} << 20, 'x');
    ASSERT_EQ(1u, publish_wait(fast, "x", large));
    ASSERT_STATUS(FANWIRE_OK, publish_async(fast, "x", "late", outcomes));
    const Seen late = outcomes.next(FANWIRE_EVENT_PUBLISHED);
    EXPECT_EQ(FANWIRE_TIMEOUT, late.status);
    EXPECT_NE(std::string::npos, late.text.find("bus")) << late.text;
    // One that has a time of its own does not wait for those before it.
    Engine patient = open_on("memory://stuck", {{"publish_timeout_ms", "600000"}});
    int waits = 0, short_of_time = 0;
    ASSERT_STATUS(FANWIRE_OK, publish_async(patient, "x", "waits", outcomes, &waits));
    fanwire_publish_args args{};
    args.channel = "x";
    args.channel_size = 1;
    args.timeout_ms = 30;
    args.inbox = outcomes;
    args.user_data = &short_of_time;
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish_with(patient, &args, sizeof args));
    const Seen first = outcomes.next(FANWIRE_EVENT_PUBLISHED);
    EXPECT_EQ(FANWIRE_TIMEOUT, first.status);
    EXPECT_EQ(&short_of_time, first.user_data);
    held.release = true;
    const Seen second = outcomes.next(FANWIRE_EVENT_PUBLISHED);
    EXPECT_EQ(FANWIRE_OK, second.status);
    EXPECT_EQ(&waits, second.user_data);
    EXPECT_EQ("0", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_EQ(large.size(), inbox.next(FANWIRE_EVENT_MESSAGE).payload.size());
    EXPECT_EQ("waits", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    ASSERT_EQ(1u, publish_wait(fast, "x", "again"));
    EXPECT_EQ("again", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
}

#ifndef FANWIRE_SANITIZED  // whose own locks do not survive such a fork
// A child of fork() has buses of its own, also while threads of the parent open and close engines at that very moment.
TEST(MemoryBus, AChildOfForkHasBusesOfItsOwn) {
    Engine engine = open_on("memory://forked");
    Inbox inbox;
    Subscription subscription = subscribe(engine, "x", inbox);
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) open_on("memory://busy");
    });
    for (int i = 0; i < 20; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            int wrong = 0;
            {
                Engine a = open_on("memory://forked"), b = open_on("memory://forked");
                Inbox at_b;
                Subscription of_b = subscribe(b, "x", at_b);
                wrong += publish_wait(a, "x", "m") == 1 ? 0 : 1;  // the parent's engine is not on it
                wrong += at_b.next(FANWIRE_EVENT_MESSAGE).payload == "m" ? 0 : 2;
            }
            engine.reset();
            _exit(wrong);
        }
        int status = 0;
        ASSERT_EQ(child, waitpid(child, &status, 0));
        ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
        ASSERT_EQ(0, WEXITSTATUS(status));
    }
    stop = true;
    busy.join();
    EXPECT_EQ(1u, publish_wait(engine, "x", "m"));
}
#endif

}  // namespace
}  // namespace capi_test
