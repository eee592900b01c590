// fanwire.hpp on a real Redis: what a C++ server would do.
#include <condition_variable>
#include <deque>
#include <mutex>

#include "fanwire/fanwire.hpp"
#include "tests/integration/support.h"

namespace integration_test {
namespace {

using namespace std::chrono_literals;

// What handlers have been called with, for the test's thread to wait for.
class Record {
 public:
    void add(const std::string& what) {
        {
            std::lock_guard lock(mutex_);
            all_.push_back(what);
        }
        changed_.notify_all();
    }
    std::string next() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::milliseconds(deadline_ms), [&] { return !all_.empty(); }))
            return "nothing came";
        std::string first = all_.front();
        all_.pop_front();
        return first;
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> all_;
};

fanwire::Options options_for(const std::string& url) {
    fanwire::Options options;
    options.set("url", url).set("max_reconnect_delay_ms", "200");
    return options;
}

TEST(Cpp, ExactBytesBothWays) {
    RedisServer server;
    fanwire::Engine engine(options_for(server.url()));
    engine.wait_connected(30s);
    Record record;
    fanwire::Dispatcher dispatcher;
    const auto chat = dispatcher.subscribe(engine, "chat", [&](const fanwire::Event& event) {
        if (event.is_message()) record.add(std::string(event.channel()) + " " + std::string(event.payload()));
    });
    chat.wait_active(30s);
    RawClient foreign(server.port());
    EXPECT_EQ(foreign.call({"PUBLISH", "ws:chat", "hello"}), "1");
    EXPECT_EQ(record.next(), "chat hello");

    EXPECT_EQ(foreign.call({"SUBSCRIBE", "ws:chat"}), "[subscribe,ws:chat,1]");
    const std::string bytes("\0\xff\r\n", 4);
    EXPECT_EQ(engine.publish_wait("chat", bytes, 30s), 2u);
    EXPECT_EQ(foreign.reply(), "[message,ws:chat," + bytes + "]");
    EXPECT_EQ(record.next(), "chat " + bytes);
}

TEST(Cpp, ReceivesAgainAfterACrash) {
    RedisServer server;
    fanwire::Engine engine(options_for(server.url()));
    engine.wait_connected(30s);
    Record record;
    fanwire::Dispatcher dispatcher;
    const auto rooms = dispatcher.psubscribe(engine, "room:*", [&](const fanwire::Event& event) {
        switch (event.kind()) {
            case FANWIRE_EVENT_MESSAGE:
                record.add(std::string(event.payload()));
                break;
            case FANWIRE_EVENT_LOST:
                record.add("lost");
                break;
            case FANWIRE_EVENT_GAP:
                record.add("gap");
                break;
            case FANWIRE_EVENT_RESUMED:
                record.add("resumed");
                break;
            default:
                break;
        }
    });
    rooms.wait_active(30s);
    server.kill();
    EXPECT_EQ(record.next(), "lost");
    server.start();
    EXPECT_EQ(record.next(), "gap");
    EXPECT_EQ(record.next(), "resumed");
    EXPECT_EQ(RawClient(server.port()).call({"PUBLISH", "ws:room:1", "again"}), "1");
    EXPECT_EQ(record.next(), "again");
}

TEST(Cpp, AnotherUserIsLoggedInWhilePublishingGoesOn) {
    RedisServer server(
        {"--user", "bob", "on", ">one", "~*", "&*", "+@all", "--user", "carol", "on", ">two", "~*", "&*", "+@all"});
    fanwire::Engine engine(options_for("redis://bob:one@127.0.0.1:" + std::to_string(server.port())));
    engine.wait_connected(30s);
    Record record;
    fanwire::Dispatcher dispatcher;
    const auto chat = dispatcher.subscribe(engine, "chat", [&](const fanwire::Event& event) {
        if (event.kind() == FANWIRE_EVENT_LOST) record.add("lost");
        if (event.kind() == FANWIRE_EVENT_GAP)
            record.add(event.reason() == FANWIRE_GAP_RECONNECT && !event.count_known() ? "gap" : "another gap");
        if (event.kind() == FANWIRE_EVENT_RESUMED) record.add("resumed");
    });
    chat.wait_active(30s);
    engine.set_credentials("carol", "two");
    EXPECT_EQ(record.next(), "lost");
    EXPECT_EQ(engine.publish_wait("elsewhere", "meanwhile", 30s), 0u);
    EXPECT_EQ(record.next(), "gap");
    EXPECT_EQ(record.next(), "resumed");
    EXPECT_EQ(engine.publish_wait("chat", "hello", 30s), 1u);
    EXPECT_EQ(engine.health().verdict, FANWIRE_HEALTH_OK) << engine.health().text;
    RawClient admin(server.port());
    const std::string clients = admin.call({"CLIENT", "LIST"});
    EXPECT_EQ(clients.find("user=bob"), std::string::npos) << clients;
    EXPECT_NE(clients.find("user=carol"), std::string::npos) << clients;
}

TEST(Cpp, HealthSaysWhatIsRefused) {
    RedisServer server({"--user", "bob", "on", ">pw", "~*", "&ws:open", "+@all"});
    fanwire::Engine engine(options_for("redis://bob:pw@127.0.0.1:" + std::to_string(server.port())));
    engine.wait_connected(30s);
    Record record;
    fanwire::Dispatcher dispatcher;
    const auto secret = dispatcher.subscribe(engine, "closed", [&](const fanwire::Event& event) {
        if (event.kind() == FANWIRE_EVENT_FAILED) record.add("failed");
    });
    EXPECT_EQ(record.next(), "failed");
    const fanwire_health health = engine.health();
    EXPECT_EQ(health.verdict, FANWIRE_HEALTH_DEGRADED);
    EXPECT_EQ(health.status, FANWIRE_NO_PERMISSION);
    EXPECT_EQ(health.refused, 1u);
    EXPECT_EQ(engine.stats().subscriptions_refused, 1u);
}

TEST(Cpp, AWrongPasswordIsAnException) {
    RedisServer server({"--requirepass", "right"});
    fanwire::Engine engine(options_for("redis://:wrong@127.0.0.1:" + std::to_string(server.port())));
    try {
        engine.wait_connected(30s);
        FAIL() << "it connected";
    } catch (const fanwire::Error& error) {
        EXPECT_EQ(error.status(), FANWIRE_AUTH_FAILED);
        EXPECT_FALSE(error.retryable());
        EXPECT_NE(std::string(error.what()).find("WRONGPASS"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace integration_test
