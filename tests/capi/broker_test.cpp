// Engines over a broker that the application gives.
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "fanwire/fanwire.hpp"
#include "support.h"

namespace capi_test {
namespace {

// A broker that writes down what it is asked, and answers when the test says so; or, `obliging`, at once: then
// everything that is published comes to whoever has subscribed to it by its exact name.
class Broker {
 public:
    explicit Broker(bool obliging = false) : obliging_(obliging) {}
    Broker(const Broker&) = delete;
    ~Broker() { fanwire_broker_destroy(&handle_); }

    fanwire_broker_calls calls() {
        fanwire_broker_calls calls{};
        calls.start = [](void* self, fanwire_broker* broker) { of(self).start(broker); };
        calls.subscribe = [](void* self, int kind, const char* name, size_t size) {
            of(self).subscribe(kind, {name, size});
        };
        calls.unsubscribe = [](void* self, int kind, const char* name, size_t size) {
            of(self).unsubscribe(kind, {name, size});
        };
        calls.publish = [](void* self, uint64_t id, const char* channel, size_t channel_size, const char* payload,
                           size_t payload_size) {
            of(self).publish(id, {channel, channel_size}, {payload, payload_size});
        };
        calls.numsub = [](void* self, uint64_t id, const char* const* channels, const size_t* sizes, size_t count) {
            std::string names;
            for (size_t i = 0; i < count; ++i) names += " " + std::string(channels[i], sizes[i]);
            of(self).note("numsub " + std::to_string(id) + names);
        };
        calls.reconnect = [](void* self) { ++of(self).reconnects_; };
        calls.close = [](void* self) { of(self).note("close"); };
        return calls;
    }

    Engine open(const Options::Settings& settings = {}, Inbox* events = nullptr) {
        Options options(settings);
        const fanwire_broker_calls given = calls();
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_broker(options, &given, sizeof given, this));
        if (events) {
            EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, *events, nullptr));
        }
        Engine engine;
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        EXPECT_EQ("start", next());
        return engine;
    }

    // What it was asked next, waiting for it.
    std::string next() {
        std::string call;
        EXPECT_TRUE(until([&] {
            std::lock_guard lock(mutex_);
            if (asked_.empty()) return false;
            call = asked_.front();
            asked_.pop_front();
            return true;
        })) << "it was asked for nothing";
        return call;
    }
    bool idle() {
        std::lock_guard lock(mutex_);
        return asked_.empty();
    }

    void ready() { EXPECT_STATUS(FANWIRE_OK, fanwire_broker_ready(handle_)); }
    void lost(int status = FANWIRE_CONNECTION_LOST) {
        EXPECT_STATUS(FANWIRE_OK, fanwire_broker_lost(handle_, status, "gone"));
    }
    void confirm(std::string_view name, int kind = FANWIRE_SUBSCRIPTION_CHANNEL) {
        EXPECT_STATUS(FANWIRE_OK, fanwire_broker_confirmed(handle_, kind, name.data(), name.size()));
    }
    int message(std::string_view channel, std::string_view payload) {
        return fanwire_broker_message(handle_, FANWIRE_SUBSCRIPTION_CHANNEL, channel.data(), channel.size(), nullptr, 0,
                                      payload.data(), payload.size());
    }
    void settle(uint64_t id, uint64_t receivers = 1) {
        EXPECT_STATUS(FANWIRE_OK, fanwire_broker_settled(handle_, id, FANWIRE_OK, nullptr, receivers));
    }
    fanwire_broker* handle() { return handle_; }
    int reconnects() const { return reconnects_; }

 private:
    static Broker& of(void* self) { return *static_cast<Broker*>(self); }
    void note(std::string call) {
        std::lock_guard lock(mutex_);
        asked_.push_back(std::move(call));
    }
    static std::string named(int kind, std::string_view name) {
        return (kind == FANWIRE_SUBSCRIPTION_PATTERN ? "pattern " : "") + std::string(name);
    }
    void start(fanwire_broker* broker) {
        handle_ = broker;
        note("start");
        if (obliging_) ready();
    }
    void subscribe(int kind, std::string_view name) {
        note("subscribe " + named(kind, name));
        if (!obliging_) return;
        subscribed_.emplace_back(name);
        confirm(name, kind);
    }
    void unsubscribe(int kind, std::string_view name) {
        note("unsubscribe " + named(kind, name));
        std::erase(subscribed_, name);
    }
    void publish(uint64_t id, std::string_view channel, std::string_view payload) {
        note("publish " + std::to_string(id) + " " + std::string(channel) + " " + std::string(payload));
        if (!obliging_) return;
        const auto count = std::count(subscribed_.begin(), subscribed_.end(), channel);
        for (auto i = count; i > 0; --i) EXPECT_STATUS(FANWIRE_OK, message(channel, payload));
        settle(id, static_cast<uint64_t>(count));
    }

    const bool obliging_;
    fanwire_broker* handle_ = nullptr;
    std::vector<std::string> subscribed_;  // on the IO thread
    std::atomic<int> reconnects_{0};
    std::mutex mutex_;
    std::deque<std::string> asked_;
};

TEST(BrokerOfTheApplication, CarriesMessagesAndOutcomes) {
    Broker broker;
    Inbox inbox, outcomes;
    {
        Engine engine = broker.open();
        Subscription channel, pattern;
        ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(channel.out(), engine, "a", 1, inbox, nullptr));
        EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_wait_connected(engine, 0));
        broker.ready();
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));
        EXPECT_EQ("subscribe ws:a", broker.next());
        EXPECT_EQ(FANWIRE_SUBSCRIPTION_PENDING, state_of(channel));
        broker.confirm("ws:a");
        inbox.next(FANWIRE_EVENT_ACTIVE);

        ASSERT_STATUS(FANWIRE_OK, fanwire_psubscribe(pattern.out(), engine, "n*", 2, inbox, nullptr));
        EXPECT_EQ("subscribe pattern ws:n*", broker.next());
        broker.confirm("ws:n*", FANWIRE_SUBSCRIPTION_PATTERN);
        inbox.next(FANWIRE_EVENT_ACTIVE);

        const std::string binary("x\0y", 3);
        EXPECT_STATUS(FANWIRE_OK, broker.message("ws:a", binary));
        EXPECT_STATUS(FANWIRE_OK, fanwire_broker_message(broker.handle(), FANWIRE_SUBSCRIPTION_PATTERN, "ws:n*", 5,
                                                         "ws:news", 7, "1", 1));
        EXPECT_STATUS(FANWIRE_OK, broker.message("ws:nobody", "2"));
        const Seen by_name = inbox.next(FANWIRE_EVENT_MESSAGE), by_pattern = inbox.next(FANWIRE_EVENT_MESSAGE);
        EXPECT_EQ("a", by_name.channel);
        EXPECT_EQ(binary, by_name.payload);
        EXPECT_EQ("news", by_pattern.channel);
        EXPECT_EQ("n*", by_pattern.pattern);

        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "b", "one", outcomes));
        EXPECT_EQ("publish 1 ws:b one", broker.next());
        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "b", "two", outcomes));
        EXPECT_EQ("publish 2 ws:b two", broker.next());
        EXPECT_EQ(2u, stats_of(engine).publish_queued);
        EXPECT_STATUS(FANWIRE_OK, fanwire_broker_settled(broker.handle(), 2, FANWIRE_NO_PERMISSION, "not you", 0));
        broker.settle(1, 7);
        broker.settle(1, 8);  // once is enough
        const Seen refused = outcomes.next(FANWIRE_EVENT_PUBLISHED), done = outcomes.next(FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(FANWIRE_NO_PERMISSION, refused.status);
        EXPECT_EQ("not you", refused.text);
        EXPECT_EQ(FANWIRE_OK, done.status);
        EXPECT_EQ(7u, done.count);

        ASSERT_STATUS(FANWIRE_OK, fanwire_unsubscribe(channel));
        EXPECT_EQ("unsubscribe ws:a", broker.next());
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
        EXPECT_EQ("close", broker.next());
        EXPECT_STATUS(FANWIRE_OK, broker.message("ws:n*", "ignored"));
    }
    EXPECT_TRUE(broker.idle());
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_ready(broker.handle())) << "the engine is gone, and the handle is not";
    EXPECT_EQ(0u, outcomes.drain().size());
}

TEST(BrokerOfTheApplication, PublishesWaitForItAndForOurSubscriptions) {
    Broker broker;
    Inbox inbox, outcomes;
    Engine engine = broker.open({{"publish_timeout_ms", "60000"}, {"drain_wait_ms", "60000"}});
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    for (const char* payload : {"1", "2", "3"})
        ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", payload, outcomes));
    EXPECT_TRUE(until([&] { return broker.reconnects() > 0; })) << "it is told that somebody needs it";
    broker.ready();
    EXPECT_EQ("subscribe ws:a", broker.next());
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));
    EXPECT_TRUE(broker.idle()) << "its own subscription is not confirmed yet";
    broker.confirm("ws:a");
    for (const char* call : {"publish 1 ws:a 1", "publish 2 ws:a 2", "publish 3 ws:a 3"})
        EXPECT_EQ(call, broker.next());
    for (uint64_t id = 1; id <= 3; ++id) broker.settle(id);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(FANWIRE_OK, outcomes.next(FANWIRE_EVENT_PUBLISHED).status);
}

TEST(BrokerOfTheApplication, ASubscriptionThatIsNeverConfirmedHoldsPublishesForABoundedTime) {
    Broker broker;
    Inbox inbox;
    Engine engine = broker.open({{"drain_wait_ms", "30"}});
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_STATUS(FANWIRE_OK, publish(engine, "b", "1"));
    broker.ready();
    EXPECT_EQ("subscribe ws:a", broker.next());
    EXPECT_EQ("publish 1 ws:b 1", broker.next());
    broker.settle(1);
}

TEST(BrokerOfTheApplication, WhatIsNotSentOrNotAnsweredInTimeEnds) {
    Broker broker;
    Inbox outcomes;
    Engine engine = broker.open({{"publish_timeout_ms", "40"}});
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "1", outcomes));
    EXPECT_EQ(FANWIRE_TIMEOUT, outcomes.next(FANWIRE_EVENT_PUBLISHED).status);
    broker.ready();
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "2", outcomes));
    EXPECT_EQ("publish 1 ws:a 2", broker.next());
    EXPECT_EQ(FANWIRE_OUTCOME_UNKNOWN, outcomes.next(FANWIRE_EVENT_PUBLISHED).status);
    broker.settle(1);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_EQ(0u, outcomes.drain().size()) << "an answer that comes too late";
}

TEST(BrokerOfTheApplication, ALossStandsInTheStreams) {
    Broker broker;
    Inbox inbox, outcomes, events;
    Engine engine = broker.open({}, &events);
    broker.lost(FANWIRE_CONNECT_FAILED);
    EXPECT_EQ("gone", events.next(FANWIRE_EVENT_ERROR).text);
    EXPECT_STATUS(FANWIRE_CONNECT_FAILED, fanwire_engine_wait_connected(engine, deadline_ms));
    broker.ready();
    events.next(FANWIRE_EVENT_CONNECTED);
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    EXPECT_EQ("subscribe ws:a", broker.next());
    broker.confirm("ws:a");
    inbox.next(FANWIRE_EVENT_ACTIVE);
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "b", "1", outcomes));
    EXPECT_EQ("publish 1 ws:b 1", broker.next());

    broker.lost();
    const Seen lost = inbox.next(FANWIRE_EVENT_LOST);
    EXPECT_EQ(FANWIRE_CONNECTION_LOST, lost.status);
    EXPECT_EQ("gone", lost.text);
    EXPECT_EQ(FANWIRE_OUTCOME_UNKNOWN, outcomes.next(FANWIRE_EVENT_PUBLISHED).status);
    events.next(FANWIRE_EVENT_DISCONNECTED);
    fanwire_health health{};
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_health(engine, &health, sizeof health));
    EXPECT_EQ(FANWIRE_HEALTH_DOWN, health.verdict);

    broker.ready();
    EXPECT_EQ("subscribe ws:a", broker.next());
    broker.confirm("ws:a");
    const Seen gap = inbox.next(FANWIRE_EVENT_GAP);
    EXPECT_EQ(FANWIRE_GAP_RECONNECT, gap.reason);
    EXPECT_EQ(FANWIRE_COUNT_UNKNOWN, gap.count);
    inbox.next(FANWIRE_EVENT_RESUMED);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_health(engine, &health, sizeof health));
    EXPECT_EQ(FANWIRE_HEALTH_OK, health.verdict) << health.text;
}

TEST(BrokerOfTheApplication, ARefusedSubscriptionIsAskedForAgain) {
    Broker broker;
    Inbox inbox;
    Engine engine = broker.open();
    broker.ready();
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    EXPECT_EQ("subscribe ws:a", broker.next());
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_refused(broker.handle(), FANWIRE_SUBSCRIPTION_CHANNEL, "ws:a", 4,
                                                     FANWIRE_NO_PERMISSION, nullptr));
    EXPECT_EQ(FANWIRE_NO_PERMISSION, inbox.next(FANWIRE_EVENT_FAILED).status);
    EXPECT_EQ("subscribe ws:a", broker.next());
    broker.confirm("ws:a");
    inbox.next(FANWIRE_EVENT_ACTIVE);
}

TEST(BrokerOfTheApplication, CountsSubscribers) {
    Broker broker;
    Inbox inbox;
    Engine engine = broker.open();
    const char* names[] = {"a", "b"};
    const size_t sizes[] = {1, 1};
    ASSERT_STATUS(FANWIRE_OK, fanwire_numsub_async(engine, names, sizes, 2, inbox, nullptr));
    broker.ready();
    EXPECT_EQ("numsub 1 ws:a ws:b", broker.next());
    broker.lost();
    broker.ready();
    EXPECT_EQ("numsub 1 ws:a ws:b", broker.next()) << "what was asked on a connection that is gone is asked again";
    const uint64_t counts[] = {3, 4};
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_counted(broker.handle(), 1, FANWIRE_OK, nullptr, counts, 2));
    EXPECT_EQ(2u, inbox.next(FANWIRE_EVENT_NUMSUB).count);

    ASSERT_STATUS(FANWIRE_OK, fanwire_numsub_async(engine, names, sizes, 2, inbox, nullptr));
    EXPECT_EQ("numsub 2 ws:a ws:b", broker.next());
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_counted(broker.handle(), 2, FANWIRE_OK, nullptr, counts, 1));
    EXPECT_EQ(FANWIRE_PROTOCOL_ERROR, inbox.next(FANWIRE_EVENT_NUMSUB).status);

    Broker silent;
    fanwire_broker_calls calls = silent.calls();
    calls.numsub = nullptr;
    Options options;
    ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_broker(options, &calls, sizeof calls, &silent));
    Engine other;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(other.out(), options));
    EXPECT_EQ("start", silent.next());
    silent.ready();
    uint64_t count = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_numsub(other, names, sizes, 1, &count, deadline_ms));
}

TEST(BrokerOfTheApplication, CarriesRequests) {
    Broker broker(true);
    Inbox inbox, replies;
    Engine engine = broker.open();
    Subscription subscription = subscribe(engine, "status", inbox);
    fanwire_request_args args{};
    args.channel = "status";
    args.channel_size = 6;
    args.payload = "?";
    args.payload_size = 1;
    args.expect = 1;
    args.timeout_ms = deadline_ms;
    args.inbox = replies;
    fanwire_request* request = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_request_open(&request, engine, &args, sizeof args));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    fanwire_event event;
    size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    ASSERT_EQ(1u, count);
    EXPECT_EQ(1, fanwire_message_is_request(event.message));
    EXPECT_STATUS(FANWIRE_OK, fanwire_reply(engine, event.message, "fine", 4));
    EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(&event, sizeof event, 1));
    EXPECT_EQ("fine", replies.next(FANWIRE_EVENT_REPLY).payload);
    EXPECT_EQ(FANWIRE_OK, replies.next(FANWIRE_EVENT_REQUEST_DONE).status);
    fanwire_request_destroy(&request);
}

TEST(BrokerOfTheApplication, WhatComesFasterThanItIsTakenIsAGap) {
    Broker broker(true);
    Inbox inbox{{"inbox_bytes", "1GiB"}}, gate_inbox;
    Engine engine = broker.open();
    Subscription subscription = subscribe(engine, "a", inbox);
    struct Gate {
        std::atomic<bool> reached{false}, open{false};
    } gate;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(
                                  gate_inbox,
                                  [](void* user_data) {
                                      auto& held = *static_cast<Gate*>(user_data);
                                      held.reached = true;
                                      while (!held.open) std::this_thread::yield();
                                  },
                                  &gate));
    Subscription held;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(held.out(), engine, "held", 4, gate_inbox, nullptr));
    EXPECT_TRUE(until([&] { return gate.reached.load(); }));
    const std::string large(8 << 20, 'x');
    int taken = 0, status = FANWIRE_OK;
    while (taken < 20 && (status = broker.message("ws:a", large)) == FANWIRE_OK) ++taken;
    EXPECT_EQ(FANWIRE_QUEUE_FULL, status);
    gate.open = true;
    for (int i = 0; i < taken; ++i) EXPECT_EQ(large.size(), inbox.next(FANWIRE_EVENT_MESSAGE).payload.size());
    EXPECT_EQ(FANWIRE_QUEUE_FULL, inbox.next(FANWIRE_EVENT_LOST).status);
    EXPECT_EQ(FANWIRE_GAP_OVERFLOW, inbox.next(FANWIRE_EVENT_GAP).reason);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(1u, publish_wait(engine, "a", "goes on"));
    EXPECT_EQ("goes on", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(gate_inbox, nullptr, nullptr));
}

TEST(BrokerOfTheApplication, ReportsFromManyThreadsWhileTheEngineIsClosed) {
    Broker broker(true);
    Inbox inbox;
    Engine engine = broker.open();
    Subscription subscription = subscribe(engine, "a", inbox);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> reported{0}, allowed{0};  // so that the engine keeps up, until it is closed
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] {
            while (!stop) {
                if (reported >= allowed) {
                    std::this_thread::yield();
                    continue;
                }
                ++reported;
                const int status = broker.message("ws:a", "x");
                EXPECT_TRUE(status == FANWIRE_OK || status == FANWIRE_QUEUE_FULL);
                const int settled = fanwire_broker_settled(broker.handle(), 999, FANWIRE_OK, nullptr, 0);
                EXPECT_TRUE(settled == FANWIRE_OK || settled == FANWIRE_QUEUE_FULL);
            }
        });
    for (int i = 0; i < 100; ++i) {
        allowed += 100;
        publish_wait(engine, "b", "y");
    }
    allowed = UINT64_MAX;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    fanwire_engine_destroy(engine.out());
    stop = true;
    for (std::thread& thread : threads) thread.join();
}

TEST(BrokerOfTheApplication, ReportsThatWaitHaveALimit) {
    Broker broker(true);
    Inbox inbox;
    Engine engine = broker.open();
    struct Gate {
        std::atomic<bool> reached{false}, open{false};
    } gate;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(
                                  inbox,
                                  [](void* user_data) {
                                      auto& held = *static_cast<Gate*>(user_data);
                                      held.reached = true;
                                      while (!held.open) std::this_thread::yield();
                                  },
                                  &gate));
    Subscription held;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(held.out(), engine, "held", 4, inbox, nullptr));
    EXPECT_TRUE(until([&] { return gate.reached.load(); }));
    int accepted = 0, status = FANWIRE_OK;
    while (accepted < (2 << 20) &&
           (status = fanwire_broker_settled(broker.handle(), 999, FANWIRE_OK, nullptr, 0)) == FANWIRE_OK)
        ++accepted;
    EXPECT_EQ(FANWIRE_QUEUE_FULL, status);
    EXPECT_GE(accepted, (1 << 20) - 1);
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_lost(broker.handle(), FANWIRE_CONNECTION_LOST, nullptr)) << "always";
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_ready(broker.handle())) << "always";
    gate.open = true;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, nullptr, nullptr));
    EXPECT_EQ(0u, publish_wait(engine, "a", "goes on"));
}

TEST(BrokerOfTheApplication, FromCpp) {
    Broker broker(true);
    {
        fanwire::Options options;
        options.broker(broker.calls(), &broker);
        fanwire::Engine engine(options);
        EXPECT_EQ(0u, engine.publish_wait("a", "x", std::chrono::milliseconds(deadline_ms)));
        EXPECT_THROW(options.broker(fanwire_broker_calls{}, nullptr), fanwire::Error);
    }
    EXPECT_EQ("start", broker.next());
    EXPECT_EQ("publish 1 ws:a x", broker.next());
    EXPECT_EQ("close", broker.next());
}

TEST(BrokerOfTheApplication, BadArguments) {
    Broker broker(true);
    Options options;
    fanwire_broker_calls calls = broker.calls();
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set_broker(nullptr, &calls, sizeof calls, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set_broker(options, &calls, sizeof calls - 1, nullptr));
    calls.publish = nullptr;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set_broker(options, &calls, sizeof calls, nullptr));
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_broker(options, nullptr, 0, nullptr)) << "none again";

    Engine engine = broker.open();
    fanwire_broker* const handle = broker.handle();
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_ready(nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_ready(disguised<fanwire_broker>(engine)));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_lost(handle, FANWIRE_OK, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_lost(handle, 12345, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_confirmed(handle, 2, "a", 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_confirmed(handle, -1, "a", 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_confirmed(handle, 0, nullptr, 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_refused(handle, 0, "a", 1, FANWIRE_OK, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_message(handle, 1, "a*", 2, nullptr, 0, "x", 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_message(handle, 0, "a", 1, nullptr, 0, nullptr, 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_broker_counted(handle, 1, FANWIRE_OK, nullptr, nullptr, 1));
    EXPECT_STATUS(FANWIRE_OK, fanwire_broker_confirmed(handle, 0, "nobody wants it", 15));
    fanwire_broker* none = nullptr;
    fanwire_broker_destroy(&none);
    fanwire_broker_destroy(nullptr);
    EXPECT_EQ(0u, publish_wait(engine, "a", "still works"));
}

}  // namespace
}  // namespace capi_test
