// fanwire.hpp, the C++ face of the same.
#include "fanwire/fanwire.hpp"
#include "support.h"

namespace capi_test {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds deadline{deadline_ms};

// The status of what `call` throws; OK when it does not.
template <typename Call>
int thrown_by(Call call) {
    try {
        call();
        return FANWIRE_OK;
    } catch (const fanwire::Error& error) {
        EXPECT_STRNE("", error.what());
        return error.status();
    }
}

fanwire::Engine connected() {
    fanwire::Engine engine(memory_url);
    engine.wait_connected(deadline);
    return engine;
}

// Where a handler leaves what it saw.
class Seens {
 public:
    fanwire::EventHandler handler() {
        return [this](const fanwire::Event& event) {
            const std::lock_guard lock(mutex_);
            seen_.emplace_back(event.raw());
        };
    }
    std::size_t count(int kind) {
        const std::lock_guard lock(mutex_);
        return static_cast<std::size_t>(
            std::count_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.kind == kind; }));
    }
    bool wait_for(int kind, std::size_t times = 1) {
        return until([&] { return count(kind) >= times; });
    }
    Seen last() {
        const std::lock_guard lock(mutex_);
        return seen_.empty() ? Seen() : seen_.back();
    }

 private:
    std::mutex mutex_;
    std::vector<Seen> seen_;
};

TEST(Hpp, PublishSubscribeAndDrain) {
    fanwire::Engine engine = connected();
    fanwire::Inbox inbox;
    int tag = 0;
    fanwire::Subscription subscription = engine.subscribe("news", inbox, &tag);
    subscription.wait_active(deadline);
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ACTIVE, subscription.state());
    EXPECT_EQ(1u, engine.publish_wait("news", "hello", deadline));
    engine.publish("news", std::string_view("\0", 1));

    fanwire::Batch batch(8);
    std::vector<Seen> seen;
    while (seen.size() < 3 && inbox.wait(deadline)) {
        inbox.drain(batch);
        for (fanwire::Event event : batch) seen.emplace_back(event.raw());
    }
    ASSERT_EQ(3u, seen.size());
    EXPECT_EQ(FANWIRE_EVENT_ACTIVE, seen[0].kind);
    EXPECT_EQ("hello", seen[1].payload);
    EXPECT_EQ(std::string(1, '\0'), seen[2].payload);
    EXPECT_EQ(&tag, seen[2].user_data);
    EXPECT_FALSE(inbox.wait(milliseconds(0)));
    EXPECT_FALSE(inbox.wait(milliseconds(-5)));
    EXPECT_EQ(0u, inbox.drain(batch));
    EXPECT_TRUE(batch.empty());
    EXPECT_GE(inbox.fd(), 0);
    EXPECT_EQ(2u, engine.stats().publish_ok);
}

TEST(Hpp, MessagesOutliveTheirBatchAndEngine) {
    fanwire::Message kept, copy;
    EXPECT_FALSE(kept);
    EXPECT_EQ("", kept.payload());
    {
        fanwire::Engine engine = connected();
        fanwire::Inbox inbox;
        fanwire_subscribe_args args{};
        args.name = "n*";
        args.name_size = 2;
        args.kind = FANWIRE_SUBSCRIPTION_PATTERN;
        args.inbox = inbox.handle();
        fanwire::Subscription subscription = engine.subscribe_with(args);
        subscription.wait_active(deadline);
        fanwire::Batch batch;
        ASSERT_TRUE(inbox.wait(deadline));
        inbox.drain(batch);
        engine.publish_wait("news", "kept", deadline);
        ASSERT_TRUE(inbox.wait(deadline));
        ASSERT_EQ(1u, inbox.drain(batch));
        EXPECT_TRUE(batch[0].is_message());
        kept = batch[0].message();
        fanwire::Batch moved = std::move(batch);
        EXPECT_EQ("n*", moved[0].pattern());
    }
    copy = kept;
    fanwire::Message moved = std::move(kept);
    EXPECT_FALSE(kept);  // NOLINT: that is what is tested
    EXPECT_EQ("news", moved.channel());
    EXPECT_EQ("n*", moved.pattern());
    EXPECT_EQ("kept", copy.payload());
    EXPECT_EQ(moved.payload().data(), copy.payload().data()) << "shared";
}

TEST(Hpp, ErrorsCarryStatusAndText) {
    fanwire::Options options;
    try {
        options.set("port", 70000);
        FAIL() << "port 70000";
    } catch (const fanwire::Error& error) {
        EXPECT_EQ(FANWIRE_INVALID_OPTION, error.status());
        EXPECT_EQ("INVALID_OPTION", error.name());
        EXPECT_FALSE(error.retryable());
        EXPECT_NE(nullptr, std::strstr(error.what(), "port")) << error.what();
    }
    EXPECT_TRUE(fanwire::Error(FANWIRE_TIMEOUT, "").retryable());
    EXPECT_EQ(FANWIRE_UNKNOWN_OPTION, thrown_by([&] { options.set("colour", "red"); }));
    EXPECT_EQ(FANWIRE_INVALID_URL, thrown_by([] { fanwire::Options("http://host"); }));
    EXPECT_EQ(FANWIRE_INVALID_URL, thrown_by([] { fanwire::Engine("http://host"); }));
    EXPECT_EQ(FANWIRE_INVALID_OPTION, thrown_by([&] { options.set("host", std::string("a\0b", 3)); }));
    EXPECT_EQ(FANWIRE_UNKNOWN_OPTION, thrown_by([&] { options.set(std::string("host\0x", 6), "a"); }));

    fanwire::Engine engine = connected();
    fanwire::Inbox inbox;
    EXPECT_EQ(FANWIRE_INVALID_CHANNEL, thrown_by([&] { engine.publish("", "x"); }));
    EXPECT_EQ(FANWIRE_INVALID_CHANNEL, thrown_by([&] { (void)engine.subscribe("", inbox); }));
    fanwire::Subscription subscription = engine.subscribe("a", inbox);
    subscription.unsubscribe();
    EXPECT_EQ(FANWIRE_UNSUBSCRIBED, thrown_by([&] { subscription.unsubscribe(); }));
    engine.close(deadline);
    engine.close(deadline);
    EXPECT_EQ(FANWIRE_CLOSED, thrown_by([&] { engine.publish("a", "x"); }));
    EXPECT_EQ(FANWIRE_CLOSED, thrown_by([&] { engine.publish_wait("a", "x"); }));
    EXPECT_EQ(FANWIRE_CLOSED, thrown_by([&] { engine.publish_async("a", "x", inbox); }));
}

TEST(Hpp, MovedFromObjectsRefuse) {
    fanwire::Engine engine = connected(), engine_taken = std::move(engine);
    fanwire::Inbox inbox, inbox_taken = std::move(inbox);
    fanwire::Dispatcher dispatcher, dispatcher_taken = std::move(dispatcher);
    fanwire::Subscription subscription = engine_taken.subscribe("a", inbox_taken),
                          subscription_taken = std::move(subscription);
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.publish("a", "b"); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.set_credentials("a", "b"); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.health(); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.latency(FANWIRE_LATENCY_PUBLISH); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.metrics(FANWIRE_METRICS_JSON); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { inbox.wait(); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { subscription.unsubscribe(); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT,
              thrown_by([&] { dispatcher.publish(engine_taken, "a", "b", [](const fanwire::Event&) {}); }));
    EXPECT_FALSE(subscription);
    EXPECT_TRUE(subscription_taken);
    engine = std::move(engine_taken);
    EXPECT_EQ(1u, engine.publish_wait("a", "b", deadline));
    engine = connected();
    EXPECT_EQ(0u, engine.publish_wait("a", "b", deadline)) << "another engine now";
}

TEST(Hpp, OptionsGetAndSource) {
    fanwire::Options options("redis://joe:secret@example:7000/3");
    EXPECT_EQ("example", options.get("host"));
    EXPECT_EQ("***", options.get("password"));
    EXPECT_EQ("url", options.source("port"));
    options.set("port", 7001).set("client_name", "gateway").set("namespace", std::string());
    EXPECT_EQ("7001", options.get("port"));
    EXPECT_EQ("option", options.source("port"));
    EXPECT_EQ("", options.get("namespace"));
    EXPECT_EQ(FANWIRE_UNKNOWN_OPTION, thrown_by([&] { options.get("colour"); }));
    EXPECT_EQ(fanwire_option_count(), fanwire::option_table().size());
    EXPECT_EQ(fanwire_version(), fanwire::version());
    EXPECT_GE(fanwire::dependencies().size(), 2u);
    fanwire::check_version();
}

TEST(Hpp, Health) {
    fanwire::Engine engine = connected();
    fanwire_health health = engine.health();
    EXPECT_EQ(FANWIRE_HEALTH_OK, health.verdict);
    EXPECT_EQ(FANWIRE_OK, health.status);
    EXPECT_EQ(FANWIRE_COUNT_UNKNOWN, health.probe_age_ms);
    EXPECT_STRNE("", health.text);
    engine.close(deadline);
    health = engine.health();
    EXPECT_EQ(FANWIRE_HEALTH_DOWN, health.verdict);
    EXPECT_EQ(FANWIRE_CLOSED, health.status);
}

TEST(Hpp, LatencyCountsPublishesAndDeliveries) {
    fanwire::Engine engine = connected();
    fanwire::Inbox inbox;
    fanwire::Subscription subscription = engine.subscribe("a", inbox);
    subscription.wait_active(deadline);
    for (int i = 0; i < 3; ++i) engine.publish_wait("a", "b", deadline);
    fanwire::Batch batch;
    while (batch.size() == 0 || !batch[batch.size() - 1].is_message()) {
        ASSERT_TRUE(inbox.wait(deadline));
        inbox.drain(batch);
    }
    for (const int kind : {FANWIRE_LATENCY_PUBLISH, FANWIRE_LATENCY_DELIVERY}) {
        const fanwire_latency latency = engine.latency(kind);
        EXPECT_EQ(3u, latency.count);
        EXPECT_GE(latency.sum_us, latency.max_us);
        std::uint64_t sum = 0;
        for (const std::uint64_t bucket : latency.buckets) sum += bucket;
        EXPECT_EQ(latency.count, sum);
    }
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.latency(0); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.latency(3); }));
}

TEST(Hpp, Metrics) {
    fanwire::Options options(memory_url);
    options.set("client_name", "gateway").set("namespace", "chat");
    fanwire::Engine engine(options);
    engine.wait_connected(deadline);
    engine.publish_wait("a", "b", deadline);
    const std::string json = engine.metrics(FANWIRE_METRICS_JSON);
    EXPECT_EQ('{', json.front());
    EXPECT_EQ('}', json.back());
    EXPECT_NE(std::string::npos, json.find("\"publish_ok\":1")) << json;
    const std::string text = engine.metrics(FANWIRE_METRICS_PROMETHEUS);
    EXPECT_NE(std::string::npos, text.find("\nfanwire_publish_ok_total{client=\"gateway\",namespace=\"chat\"} 1\n"))
        << text;
    EXPECT_EQ('\n', text.back());
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { engine.metrics(0); }));
    engine.close(deadline);
    EXPECT_NE(std::string::npos, engine.metrics(FANWIRE_METRICS_JSON).find("\"publish_ok\":1"));
}

TEST(Hpp, CredentialsAreCheckedAndNotRepeated) {
    fanwire::Engine engine = connected();
    engine.set_credentials("joe", "secret");
    engine.set_credentials("", "");
    EXPECT_EQ(FANWIRE_INVALID_OPTION, thrown_by([&] { engine.set_credentials(std::string("a\0b", 3), "secret"); }));
    EXPECT_EQ(FANWIRE_INVALID_OPTION, thrown_by([&] { engine.set_credentials(std::string(513, 'a'), "secret"); }));
    for (const std::string& password : {std::string("secret\0", 7), std::string(5000, 's')}) {
        try {
            engine.set_credentials("joe", password);
            FAIL() << "accepted";
        } catch (const fanwire::Error& error) {
            EXPECT_EQ(FANWIRE_INVALID_OPTION, error.status());
            EXPECT_EQ(nullptr, std::strstr(error.what(), password.c_str())) << error.what();
        }
    }
    engine.close(deadline);
    EXPECT_EQ(FANWIRE_CLOSED, thrown_by([&] { engine.set_credentials("joe", "secret"); }));
}

TEST(Hpp, LogAndEngineInbox) {
    std::mutex mutex;
    std::vector<std::string> lines;
    fanwire::Inbox inbox;
    {
        auto options = std::make_unique<fanwire::Options>(memory_url);
        options->set("log_level", "debug").engine_inbox(inbox, &inbox).log([&](int level, std::string_view text) {
            const std::lock_guard lock(mutex);
            EXPECT_GE(level, FANWIRE_LOG_ERROR);
            lines.emplace_back(text);
            throw std::runtime_error("a careless logger");
        });
        fanwire::Engine engine(*options);
        options.reset();  // the engine keeps the handler
        engine.wait_connected(deadline);
        ASSERT_TRUE(inbox.wait(deadline));
        fanwire::Batch batch;
        inbox.drain(batch);
        EXPECT_EQ(FANWIRE_EVENT_CONNECTED, batch[0].kind());
        EXPECT_EQ(&inbox, batch[0].user_data());
        engine.close(deadline);
    }
    const std::lock_guard lock(mutex);
    EXPECT_FALSE(lines.empty());
}

TEST(Hpp, WakeHandlers) {
    fanwire::Engine engine = connected();
    fanwire::Inbox inbox;
    std::atomic<int> first{0}, second{0};
    inbox.on_wake([&] {
        ++first;
        throw std::runtime_error("a careless wake");
    });
    fanwire::Subscription subscription = engine.subscribe("a", inbox);
    ASSERT_TRUE(until([&] { return first == 1; }));
    inbox.on_wake([&] { ++second; });
    EXPECT_EQ(1, second) << "ACTIVE already waits";
    inbox.on_wake({});
    fanwire::Batch batch;
    inbox.drain(batch);
    engine.publish_wait("a", "b", deadline);
    ASSERT_TRUE(inbox.wait(deadline));
    EXPECT_TRUE(first == 1 && second == 1);
}

TEST(Hpp, DispatchKeepsExceptionsInside) {
    fanwire::Engine engine = connected();
    Seens seens;
    std::atomic<int> errors{0};
    fanwire::Inbox inbox;
    inbox.dispatch(
        [handler = seens.handler()](const fanwire::Event& event) {
            handler(event);
            if (event.payload() == "throw") throw std::runtime_error("a careless handler");
        },
        [&](std::exception_ptr error) {
            try {
                std::rethrow_exception(error);
            } catch (const std::runtime_error& caught) {
                EXPECT_STREQ("a careless handler", caught.what());
                ++errors;
            }
        });
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { inbox.dispatch([](const fanwire::Event&) {}); }));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { inbox.dispatch({}); }));
    fanwire::Subscription subscription = engine.subscribe("a", inbox);
    subscription.wait_active(deadline);
    for (const char* payload : {"1", "throw", "2"}) engine.publish_wait("a", payload, deadline);
    ASSERT_TRUE(seens.wait_for(FANWIRE_EVENT_MESSAGE, 3));
    EXPECT_TRUE(until([&] { return inbox.stats().callback_errors == 1; }));
    EXPECT_EQ(1, errors);
}

TEST(Hpp, InboxDestroyedInItsOwnHandler) {
    fanwire::Engine engine = connected();
    auto inbox = std::make_unique<fanwire::Inbox>();
    std::atomic<bool> done{false};
    auto witness = std::make_shared<int>(7);
    inbox->on_wake([] {});
    inbox->dispatch([&, witness](const fanwire::Event& event) {
        if (!event.is_message()) return;
        inbox.reset();
        EXPECT_EQ(7, *witness) << "what the handler holds lives as long as its call";
        done = true;
    });
    fanwire::Subscription subscription = engine.subscribe("a", *inbox);
    subscription.wait_active(deadline);
    engine.publish("a", "b");
    ASSERT_TRUE(until([&] { return done.load(); }));
    EXPECT_TRUE(until([&] { return witness.use_count() == 1; })) << "and is freed after it";
}

TEST(HppDispatcher, RoutesToEachHandler) {
    fanwire::Engine engine = connected();
    Seens news, sports, outcome;
    fanwire::Dispatcher dispatcher;
    fanwire::Subscription one = dispatcher.subscribe(engine, "news", news.handler()),
                          two = dispatcher.psubscribe(engine, "sp*", sports.handler());
    one.wait_active(deadline);
    two.wait_active(deadline);
    engine.publish("news", "n");
    dispatcher.publish(engine, "sports", "s", outcome.handler());
    ASSERT_TRUE(news.wait_for(FANWIRE_EVENT_MESSAGE) && sports.wait_for(FANWIRE_EVENT_MESSAGE) &&
                outcome.wait_for(FANWIRE_EVENT_PUBLISHED));
    EXPECT_EQ("n", news.last().payload);
    EXPECT_EQ("s", sports.last().payload);
    EXPECT_EQ("sp*", sports.last().pattern);
    EXPECT_EQ(1u, outcome.last().count);
    EXPECT_EQ(1u, news.count(FANWIRE_EVENT_ACTIVE));
    EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, thrown_by([&] { (void)dispatcher.subscribe(engine, "a", {}); }));
    EXPECT_EQ(FANWIRE_INVALID_CHANNEL, thrown_by([&] { (void)dispatcher.subscribe(engine, "", news.handler()); }));
}

TEST(HppDispatcher, HandlersAreFreedAfterTheLastEvent) {
    fanwire::Engine engine = connected();
    fanwire::Dispatcher dispatcher;
    auto witness = std::make_shared<int>();
    fanwire::Subscription subscription = dispatcher.subscribe(engine, "a", [witness](const fanwire::Event&) {});
    dispatcher.publish(engine, "b", "", [witness](const fanwire::Event&) {});
    EXPECT_EQ(FANWIRE_INVALID_CHANNEL,
              thrown_by([&] { dispatcher.publish(engine, "", "", [witness](const fanwire::Event&) {}); }));
    EXPECT_TRUE(until([&] { return witness.use_count() == 2; })) << "the subscription's is left";
    subscription.unsubscribe();
    EXPECT_TRUE(until([&] { return witness.use_count() == 1; }));
    {
        fanwire::Dispatcher brief;
        fanwire::Subscription other = brief.subscribe(engine, "a", [witness](const fanwire::Event&) {});
        EXPECT_EQ(2, witness.use_count());
    }
    EXPECT_EQ(1, witness.use_count()) << "and all with the Dispatcher";
}

TEST(HppDispatcher, HandlerUnsubscribesItselfAndThrows) {
    fanwire::Engine engine = connected();
    std::atomic<int> errors{0}, messages{0};
    std::atomic<bool> ended{false};
    fanwire::Subscription subscription;
    {
        fanwire::Dispatcher dispatcher([&](std::exception_ptr) { ++errors; });
        // Assigned before the first message; ACTIVE may come before.
        subscription = dispatcher.subscribe(engine, "a", [&](const fanwire::Event& event) {
            if (event.kind() == FANWIRE_EVENT_ENDED) ended = true;
            if (!event.is_message()) return;
            ++messages;
            subscription.unsubscribe();
            throw std::runtime_error("on the way out");
        });
        subscription.wait_active(deadline);
        EXPECT_EQ(1u, engine.publish_wait("a", "b", deadline));
        ASSERT_TRUE(until([&] { return ended.load(); }));
        engine.publish_wait("a", "too late", deadline);
        EXPECT_EQ(1u, dispatcher.stats().callback_errors);
    }
    EXPECT_EQ(1, messages);
    EXPECT_EQ(1, errors);
    EXPECT_EQ(FANWIRE_SUBSCRIPTION_ENDED, subscription.state());
}

TEST(HppDispatcher, DestroyedInItsOwnHandler) {
    fanwire::Engine engine = connected();
    auto dispatcher = std::make_unique<fanwire::Dispatcher>();
    auto witness = std::make_shared<int>(7);
    std::atomic<bool> done{false};
    fanwire::Subscription subscription = dispatcher->subscribe(engine, "a", [&, witness](const fanwire::Event& event) {
        if (!event.is_message()) return;
        dispatcher.reset();
        EXPECT_EQ(7, *witness);
        done = true;
    });
    subscription.wait_active(deadline);
    for (int i = 0; i < 10; ++i) engine.publish("a", "b");
    ASSERT_TRUE(until([&] { return done.load(); }));
    EXPECT_TRUE(until([&] { return witness.use_count() == 1; }));
    EXPECT_TRUE(until([&] { return engine.stats().subscriptions == 0; }));
}

TEST(HppDispatcher, EngineEventsAndLimits) {
    Seens events;
    fanwire::Options limits;
    limits.set("inbox_count", 10);
    fanwire::Dispatcher dispatcher(limits);
    fanwire::Options options(memory_url);
    dispatcher.engine_events(options, events.handler());
    fanwire::Engine engine(options);
    EXPECT_TRUE(events.wait_for(FANWIRE_EVENT_CONNECTED));
}

}  // namespace
}  // namespace capi_test
