// What other threads do between two steps of the IO thread: at each door of core/engine, which is compiled
// into these tests with them, something is subscribed, given up, published or closed.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/base/door.h"
#include "core/engine/engine.h"
#include "core/net/event_fd.h"

namespace fanwire::core {

void (*at_door)(const char* name) = nullptr;

namespace {

using namespace std::chrono_literals;

// Runs a function once, when the IO thread comes to the door and the test has opened it.
struct Doors {
    static inline std::mutex mutex;
    static inline std::condition_variable changed;
    static inline std::string wanted;
    static inline std::function<void()> action;
    static inline bool done = false;

    Doors() { at_door = &came; }
    ~Doors() { at_door = nullptr; }

    static void came(const char* name) {
        std::unique_lock lock(mutex);
        if (wanted != name) return;
        wanted.clear();
        lock.unlock();
        struct Passed {
            std::unique_lock<std::mutex>& lock;
            ~Passed() {  // also when the action throws
                lock.lock();
                done = true;
                changed.notify_all();
            }
        } passed{lock};
        action();
    }
    void when(const std::string& name, std::function<void()> then) {
        std::lock_guard lock(mutex);
        action = std::move(then);
        done = false;
        wanted = name;
    }
    bool passed() {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, 30s, [] { return done; });
    }
};

struct Outcomes : OutcomeSink {
    bool settle(std::span<const Settled> publishes, const Error& error) noexcept override {
        (error ? failed : ok) += static_cast<int>(publishes.size());
        return false;
    }
    void signal() noexcept override {}
    std::atomic<int> ok{0}, failed{0};
};

bool until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

class DoorsTest : public testing::TestWithParam<const char*> {
 protected:
    ~DoorsTest() override {
        engine.close(std::chrono::steady_clock::now() + 30s);
        for (Inbox* one : {inbox.get(), elsewhere.get()})
            one->close();  // events in them hold the subscriptions that use them
    }
    static Settings settings() {
        Options options;
        options.set("url", "memory://");
        return options.resolve([](const char*) { return std::optional<std::string>(); });
    }
    static std::shared_ptr<Inbox> make_inbox() { return std::make_shared<Inbox>(InboxLimits{}, make_event_fd); }
    SubscriptionRef subscribe(const std::shared_ptr<Inbox>& to) {
        return engine.subscribe(TargetKind::channel, "c", engine.outlet(to), nullptr);
    }
    // Something for the IO thread to do that is not what the test is about.
    void pass_the_doors() {
        other = engine.subscribe(TargetKind::channel, "other", engine.outlet(elsewhere), nullptr);
        ASSERT_TRUE(doors.passed()) << "the IO thread never came to " << GetParam();
    }
    std::uint64_t desired() { return engine.metrics().subscriptions_desired.get(); }

    Doors doors;
    std::shared_ptr<Inbox> elsewhere = make_inbox(), inbox = make_inbox();
    Engine engine{settings(), nullptr, {}};
    SubscriptionRef other;
};

TEST_P(DoorsTest, ASubscriptionThatIsGivenUpEnds) {
    SubscriptionRef subscription;
    doors.when(GetParam(), [&] {
        subscription = subscribe(inbox);
        subscription->end();
    });
    pass_the_doors();
    EXPECT_TRUE(until([&] { return subscription->state() == SubscriptionState::ended; }));
    EXPECT_TRUE(until([&] { return desired() == 1; })) << "the other one";
}

// The one that the IO thread is looking at.
TEST_P(DoorsTest, TheSubscriptionThatComesInMayBeGivenUp) {
    std::mutex made;
    std::unique_lock not_yet(made);
    SubscriptionRef subscription;
    doors.when(GetParam(), [&] {
        std::lock_guard wait(made);
        subscription->end();
    });
    subscription = subscribe(inbox);
    not_yet.unlock();
    ASSERT_TRUE(doors.passed());
    EXPECT_TRUE(until([&] { return subscription->state() == SubscriptionState::ended; }));
    EXPECT_TRUE(until([&] { return desired() == 0; }));
}

TEST_P(DoorsTest, ASubscriptionEndsWithItsInbox) {
    SubscriptionRef subscription;
    doors.when(GetParam(), [&] {
        subscription = subscribe(inbox);
        inbox->retire();
        engine.end_retired();
    });
    pass_the_doors();
    EXPECT_TRUE(until([&] { return subscription->state() == SubscriptionState::ended; }));
    EXPECT_TRUE(until([&] { return desired() == 1; })) << "the other one";
}

TEST_P(DoorsTest, WhatWasPublishedBeforeCloseIsSent) {
    const auto outcomes = std::make_shared<Outcomes>();
    std::thread closer;
    Error left;
    doors.when(GetParam(), [&] {
        for (int i = 0; i < 3; ++i) engine.publish("c", "x", outcomes);
        closer = std::thread([&] { left = engine.close(std::chrono::steady_clock::now() + 30s); });
        ASSERT_TRUE(until([&] {  // the doors are shut
            try {
                engine.subscribe(TargetKind::channel, "late", engine.outlet(elsewhere), nullptr);
                return false;
            } catch (const Failure& failure) {
                return failure.status() == Status::CLOSED && engine.closed();
            }
        }));
    });
    pass_the_doors();
    closer.join();
    EXPECT_FALSE(left) << left.text;
    EXPECT_EQ(outcomes->ok, 3);
    EXPECT_EQ(outcomes->failed, 0);
}

// It stands for any fault of the engine's own on its IO thread.
TEST_P(DoorsTest, AnUnexpectedExceptionEndsTheEngineWithInternal) {
    const auto outcomes = std::make_shared<Outcomes>();
    SubscriptionRef subscription = subscribe(inbox);
    doors.when(GetParam(), [&] {
        engine.publish("c", "x", outcomes);
        throw std::runtime_error("a fault");
    });
    other = engine.subscribe(TargetKind::channel, "other", engine.outlet(elsewhere), nullptr);
    ASSERT_TRUE(doors.passed());
    EXPECT_TRUE(until([&] { return subscription->state() == SubscriptionState::ended; }));
    EXPECT_TRUE(until([&] { return other->state() == SubscriptionState::ended; }));
    EXPECT_TRUE(until([&] { return outcomes->failed == 1; }));
    EXPECT_TRUE(engine.closed());
    EXPECT_THROW(engine.publish("c", "x"), Failure);
    EXPECT_THROW(engine.wait_connected(std::chrono::steady_clock::now() + 30s), Failure);
    const Error left = engine.close(std::chrono::steady_clock::now() + 30s);
    EXPECT_EQ(left.status, Status::INTERNAL);
    EXPECT_NE(left.text.find("a fault"), std::string::npos) << left.text;
    EXPECT_FALSE(engine.close(std::chrono::steady_clock::now())) << "once is enough";
}

INSTANTIATE_TEST_SUITE_P(At, DoorsTest,
                         testing::Values("close read", "retired read", "added", "queue taken", "publishes taken"),
                         [](const auto& door) {
                             std::string name = door.param;
                             for (char& c : name)
                                 if (c == ' ') c = '_';
                             return name;
                         });

}  // namespace
}  // namespace fanwire::core
