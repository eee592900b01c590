// Everything at once, for the thread sanitizer to watch.
#include <pthread.h>
#include <signal.h>

#include "support.h"

namespace capi_test {
namespace {

TEST(Threads, PublishAndSubscribeAtOnce) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "steady", inbox);
    constexpr int publishers = 4, each = 500;
    std::vector<std::thread> threads;
    for (int i = 0; i < publishers; ++i)
        threads.emplace_back([&, i] {
            for (int n = 0; n < each; ++n)
                EXPECT_STATUS(FANWIRE_OK, publish(engine, "steady", std::to_string(i) + ":" + std::to_string(n)));
        });
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&, i] {  // churn beside it
            Inbox own;
            for (int n = 0; n < 100; ++n) {
                Subscription brief;
                const std::string channel = n % 2 == 0 ? "steady" : "churn:" + std::to_string(i);
                EXPECT_STATUS(FANWIRE_OK,
                              fanwire_subscribe(brief.out(), engine, channel.data(), channel.size(), own, nullptr));
                if (n % 3 == 0) {
                    EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(brief, deadline_ms));
                }
                if (n % 5 == 0) own.drain();
            }
        });
    threads.emplace_back([&] {
        for (int n = 0; n < 200; ++n) {
            stats_of(engine);
            inbox.stats();
            state_of(subscription);
        }
    });

    int next[publishers] = {};
    int received = 0;
    while (received < publishers * each) {
        const Seen event = inbox.next(FANWIRE_EVENT_MESSAGE);
        if (event.kind != FANWIRE_EVENT_MESSAGE) break;
        const std::size_t colon = event.payload.find(':');
        const int from = std::stoi(event.payload.substr(0, colon)), number = std::stoi(event.payload.substr(colon + 1));
        EXPECT_EQ(next[from]++, number) << "in the order in which thread " << from << " published";
        ++received;
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(publishers * each, received);
    EXPECT_TRUE(until([&] { return stats_of(engine).subscriptions == 1; }));
}

// Inbox, subscriptions and engine go one after the other while others publish; messages are kept beyond all of them.
TEST(Threads, DestroyedInTheMiddleOfTraffic) {
    for (int round = 0; round < 20; ++round) {
        Engine engine = open_engine();
        std::atomic<bool> stop{false};
        std::vector<std::thread> traffic;
        for (int i = 0; i < 2; ++i)
            traffic.emplace_back([&] {
                while (!stop) publish(engine, "a", "kept");
            });
        std::vector<fanwire_message*> kept;
        {
            Inbox inbox{{"inbox_count", "64"}};
            Subscription exact, pattern;
            EXPECT_STATUS(FANWIRE_OK, fanwire_subscribe(exact.out(), engine, "a", 1, inbox, nullptr));
            EXPECT_STATUS(FANWIRE_OK, fanwire_psubscribe(pattern.out(), engine, "*", 1, inbox, nullptr));
            while (kept.size() < 8) {
                fanwire_event events[8];
                std::size_t count = 0;
                EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
                EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, events, sizeof events[0], 8, &count));
                if (count == 0) break;
                for (std::size_t i = 0; i < count; ++i)
                    if (events[i].message) kept.push_back(events[i].message);
            }
            if (round % 2 == 0) inbox.reset();
            if (round % 3 == 0) {
                EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
            }
        }
        stop = true;
        for (std::thread& thread : traffic) thread.join();
        engine.reset();
        EXPECT_GE(kept.size(), 8u);
        for (fanwire_message* message : kept) {
            const char* bytes = nullptr;
            std::size_t size = 0;
            EXPECT_STATUS(FANWIRE_OK, fanwire_message_payload(message, &bytes, &size));
            EXPECT_EQ("kept", std::string_view(bytes, size));
            fanwire_message_release(message);
        }
    }
}

TEST(Threads, MessagesAreReleasedAnywhere) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_wait(engine, "a", "shared by threads");
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    fanwire_event event;
    std::size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    ASSERT_EQ(1u, count);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        fanwire_message_retain(event.message);
        threads.emplace_back([message = event.message] {
            for (int n = 0; n < 1000; ++n) {
                fanwire_message_retain(message);
                fanwire_message_release(message);
            }
            const char* bytes = nullptr;
            std::size_t size = 0;
            EXPECT_STATUS(FANWIRE_OK, fanwire_message_payload(message, &bytes, &size));
            EXPECT_EQ("shared by threads", std::string_view(bytes, size));
            fanwire_message_release(message);
        });
    }
    fanwire_message_release(event.message);
    for (std::thread& thread : threads) thread.join();
}

// No call is a cancellation point: what has begun is done whole, and the thread ends behind it.
TEST(Threads, ACancelledThreadEndsBehindItsCall) {
    Engine engine = open_engine();
    Inbox inbox;
    struct Waiting {
        fanwire_inbox* inbox;
        std::atomic<int> waits{0}, result{-1};
    } waiting{inbox};
    pthread_t thread;
    ASSERT_EQ(0, pthread_create(
                     &thread, nullptr,
                     [](void* data) -> void* {
                         auto& all = *static_cast<Waiting*>(data);
                         all.waits = 1;
                         all.result = fanwire_inbox_wait(all.inbox, FANWIRE_FOREVER);
                         pthread_testcancel();
                         return nullptr;
                     },
                     &waiting));
    ASSERT_TRUE(until([&] { return waiting.waits.load() == 1; }));
    ASSERT_EQ(0, pthread_cancel(thread));
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    void* ended = nullptr;
    ASSERT_EQ(0, pthread_join(thread, &ended));
    EXPECT_EQ(PTHREAD_CANCELED, ended);
    EXPECT_EQ(FANWIRE_OK, waiting.result.load());
}

TEST(Threads, CancelledPublishersLeaveAWorkingEngine) {
    Engine engine = open_engine();
    Inbox inbox, outcomes{{"inbox_count", "1000"}};
    Subscription subscription = subscribe(engine, "a", inbox);
    for (int i = 0; i < 50; ++i) {
        struct Publishing {
            fanwire_engine* engine;
            std::atomic<std::uint64_t> calls{0};
        } publishing{engine};
        pthread_t thread;
        ASSERT_EQ(0, pthread_create(
                         &thread, nullptr,
                         [](void* data) -> void* {
                             auto& all = *static_cast<Publishing*>(data);
                             while (true) {
                                 fanwire_publish(all.engine, "a", 1, "x", 1);
                                 fanwire_publish_wait(all.engine, "a", 1, "y", 1, FANWIRE_FOREVER, nullptr);
                                 ++all.calls;
                                 pthread_testcancel();
                             }
                         },
                         &publishing));
        ASSERT_TRUE(until([&] { return publishing.calls.load() > 3; }));
        ASSERT_EQ(0, pthread_cancel(thread));
        void* ended = nullptr;
        ASSERT_EQ(0, pthread_join(thread, &ended));
        EXPECT_EQ(PTHREAD_CANCELED, ended);
    }
    EXPECT_EQ(1u, publish_wait(engine, "a", "the last"));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_EQ(0u, stats_of(engine).publish_queued);
}

TEST(Threads, ACallbackThatEndsItsThreadEndsDelivery) {
    Engine engine = open_engine();
    std::atomic<int> called{0};
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(
                                  inbox,
                                  [](void* data, const fanwire_event*) {
                                      ++*static_cast<std::atomic<int>*>(data);
                                      pthread_exit(nullptr);
                                  },
                                  &called));
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_TRUE(until([&] { return called.load() == 1; }));
    EXPECT_EQ(1u, publish_wait(engine, "a", "x"));
    inbox.reset();
    EXPECT_EQ(1, called.load());
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
}

// A handler that runs is no answer: each wait goes on until its timeout.
TEST(Threads, ASignalEndsNoWait) {
    struct sigaction action {
    }, before{};
    action.sa_handler = [](int) {};
    ASSERT_EQ(0, sigaction(SIGUSR2, &action, &before));
    Engine engine = open_engine();
    Inbox inbox;
    std::atomic<bool> waits{false}, ended{false};
    std::thread waiter([&] {
        waits = true;
        EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, FANWIRE_FOREVER));
        ended = true;
    });
    ASSERT_TRUE(until([&] { return waits.load(); }));
    for (int i = 0; i < 100; ++i) {
        pthread_kill(waiter.native_handle(), SIGUSR2);
        std::this_thread::yield();
    }
    EXPECT_FALSE(ended.load());
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    waiter.join();
    sigaction(SIGUSR2, &before, nullptr);
}

}  // namespace
}  // namespace capi_test
