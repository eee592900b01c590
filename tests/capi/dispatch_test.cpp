// The dispatcher: a thread of the inbox that calls back.
#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include "support.h"

namespace capi_test {
namespace {

// Runs a std::function for each event and keeps what it saw.
class Callback {
 public:
    explicit Callback(std::function<void(const fanwire_event&)> then = {}) : then_(std::move(then)) {}

    static void call(void* user_data, const fanwire_event* event) {
        auto* self = static_cast<Callback*>(user_data);
        {
            const std::lock_guard lock(self->mutex_);
            self->seen_.emplace_back(*event);
        }
        if (self->then_) self->then_(*event);
    }

    std::vector<Seen> seen() {
        const std::lock_guard lock(mutex_);
        return seen_;
    }
    bool wait_for(int kind, std::size_t times = 1) {
        return until([&] {
            std::size_t found = 0;
            for (const Seen& event : seen()) found += event.kind == kind;
            return found >= times;
        });
    }

 private:
    std::function<void(const fanwire_event&)> then_;
    std::mutex mutex_;
    std::vector<Seen> seen_;
};

TEST(Dispatch, CallsBackInOrder) {
    Engine engine = open_engine();
    Callback callback;
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
    for (int i = 0; i < 1000; ++i) EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", std::to_string(i)));
    ASSERT_TRUE(callback.wait_for(FANWIRE_EVENT_MESSAGE, 1000));
    const std::vector<Seen> seen = callback.seen();
    ASSERT_EQ(1001u, seen.size());
    EXPECT_EQ(FANWIRE_EVENT_ACTIVE, seen[0].kind);
    for (std::size_t i = 0; i < 1000; ++i) ASSERT_EQ(std::to_string(i), seen[i + 1].payload);
    EXPECT_EQ(1001u, inbox.stats().drained);
}

TEST(Dispatch, RefusesDrainWaitAndASecondDispatcher) {
    Callback callback;
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    fanwire_event event;
    std::size_t count = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_wait(inbox, 0));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
}

TEST(Dispatch, ExceptionsAreCountedAndDeliveryGoesOn) {
    Engine engine = open_engine();
    Callback callback([](const fanwire_event& event) {
        if (event.kind != FANWIRE_EVENT_MESSAGE) return;
        const std::string_view payload(event.payload, event.payload_size);
        if (payload == "throw") throw std::runtime_error("a careless callback");
        if (payload == "throw a number") throw 7;
    });
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
    for (const char* payload : {"1", "throw", "2", "throw a number", "3"}) publish_wait(engine, "a", payload);
    ASSERT_TRUE(callback.wait_for(FANWIRE_EVENT_MESSAGE, 5));
    EXPECT_TRUE(until([&] { return inbox.stats().callback_errors == 2; }));
}

TEST(Dispatch, MessagesMayBeRetained) {
    Engine engine = open_engine();
    std::atomic<fanwire_message*> kept{nullptr};
    Callback callback([&](const fanwire_event& event) {
        if (event.kind != FANWIRE_EVENT_MESSAGE) return;
        fanwire_message_retain(event.message);
        kept = event.message;
    });
    {
        Inbox inbox;
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
        Subscription subscription;
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
        publish_wait(engine, "a", "kept");
        ASSERT_TRUE(until([&] { return kept != nullptr; }));
    }
    const char* bytes = nullptr;
    std::size_t size = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_message_payload(kept, &bytes, &size));
    EXPECT_EQ("kept", std::string_view(bytes, size));
    fanwire_message_release(kept);
}

TEST(Dispatch, UnsubscribeFromTheCallback) {
    Engine engine = open_engine();
    Subscription subscription;
    std::atomic<int> status{-1};
    Callback callback([&](const fanwire_event& event) {
        if (event.kind == FANWIRE_EVENT_MESSAGE) status = fanwire_unsubscribe(subscription);
    });
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
    publish_wait(engine, "a", "the last one");
    for (int i = 0; i < 10; ++i) publish_wait(engine, "a", "in the same batch");
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    ASSERT_TRUE(callback.wait_for(FANWIRE_EVENT_ENDED));
    EXPECT_STATUS(FANWIRE_OK, status.load());
    publish_wait(engine, "a", "too late");
    EXPECT_EQ(3u, callback.seen().size()) << "ACTIVE, the message, ENDED";
    EXPECT_EQ(FANWIRE_UNSUBSCRIBED, callback.seen().back().status);
}

TEST(Dispatch, EverythingMayBeCalledFromTheCallback) {
    Engine engine = open_engine();
    Inbox inbox;
    std::atomic<std::uint64_t> receivers{0};
    Callback callback([&](const fanwire_event& event) {
        if (event.kind != FANWIRE_EVENT_MESSAGE) return;
        inbox.stats();
        stats_of(engine);
        receivers = publish_wait(engine, "answers", "pong");  // last: then the inbox may go
    });
    Inbox answers;
    Subscription answer = subscribe(engine, "answers", answers);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    Subscription question;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(question.out(), engine, "questions", 9, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(question, deadline_ms));
    publish_wait(engine, "questions", "ping");
    EXPECT_EQ("pong", answers.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_TRUE(until([&] { return receivers == 1; }));
    inbox.reset();  // before the callback's object goes
}

TEST(Dispatch, InboxDestroyedFromTheCallback) {
    Engine engine = open_engine();
    fanwire_inbox* inbox = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_create(&inbox, nullptr));
    std::atomic<bool> done{false};
    Callback callback([&](const fanwire_event& event) {
        if (event.kind != FANWIRE_EVENT_MESSAGE) return;
        fanwire_inbox_destroy(&inbox);  // perhaps before fanwire_inbox_dispatch() has returned
        done = true;
    });
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
    for (int i = 0; i < 100; ++i) EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "b"));
    publish_wait(engine, "a", "b");  // all are in the inbox, so that one drain takes many of them
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    ASSERT_TRUE(until([&] { return done.load(); }));
    EXPECT_TRUE(until([&] { return stats_of(engine).subscriptions == 0; }));
    publish_wait(engine, "a", "to nobody");
    std::size_t messages = 0;
    for (const Seen& event : callback.seen()) messages += event.kind == FANWIRE_EVENT_MESSAGE;
    EXPECT_EQ(1u, messages) << "not called again after the callback that destroyed the inbox";
}

TEST(Dispatch, DestroyWaitsForTheRunningCallback) {
    Engine engine = open_engine();
    std::mutex mutex;
    std::condition_variable changed;
    bool entered = false, released = false;
    std::atomic<bool> left{false};
    Callback callback([&](const fanwire_event& event) {
        if (event.kind != FANWIRE_EVENT_MESSAGE) return;
        std::unique_lock lock(mutex);
        entered = true;
        changed.notify_all();
        changed.wait(lock, [&] { return released; });
        left = true;
    });
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox, &Callback::call, &callback));
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription, deadline_ms));
    for (int i = 0; i < 5; ++i) EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "b"));
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(changed.wait_for(lock, std::chrono::milliseconds(deadline_ms), [&] { return entered; }));
    }
    std::atomic<bool> destroyed{false};
    std::thread destroyer([&] {
        inbox.reset();
        EXPECT_TRUE(left) << "destroy returned while the callback was running";
        destroyed = true;
    });
    {
        const std::lock_guard lock(mutex);
        EXPECT_FALSE(destroyed);
        released = true;
    }
    changed.notify_all();
    destroyer.join();
    const std::size_t seen = callback.seen().size();
    publish_wait(engine, "a", "after the end");
    EXPECT_EQ(seen, callback.seen().size());
}

}  // namespace
}  // namespace capi_test
