// Which look-ups are made, and how long their answers are good for. Names are looked up by the test, and so is the
// time.
#include "core/net/resolver.h"

#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>

namespace fanwire::core {
namespace {

Address address_of(const char* ip) {
    return look_up(ip, 6379, AI_NUMERICHOST).addresses.at(0);
}

// What the resolver's thread, which may outlive a test, has to do with the test.
struct Names {
    std::mutex mutex;
    std::condition_variable changed;
    int asked = 0;
    int flags = -1;
    bool held = false;  // look-ups do not end
    std::atomic<TimeMs> now{1000};
};

struct ResolverTest : testing::Test {
    std::shared_ptr<Names> names = std::make_shared<Names>();
    Resolver resolver{[names = names](const std::string& host, std::uint16_t, int flags) {
                          std::unique_lock lock(names->mutex);
                          ++names->asked;
                          names->flags = flags;
                          names->changed.notify_all();
                          names->changed.wait(lock, [&] { return !names->held; });
                          if (host == "unknown") return Resolved{{}, {Status::RESOLVE_FAILED, "unknown"}};
                          return Resolved{{address_of("10.0.0.1"), address_of("::1")}, {}};
                      },
                      [names = names] { return names->now.load(); }};

    std::future<Resolved> begin(const std::string& host) {
        auto promise = std::make_shared<std::promise<Resolved>>();
        resolver.resolve(host, 6379, [promise](Resolved resolved) { promise->set_value(std::move(resolved)); });
        return promise->get_future();
    }
    static Resolved end(std::future<Resolved>&& future) {
        if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
            return {{}, {Status::TIMEOUT, "no answer"}};
        return future.get();
    }
    Resolved ask(const std::string& host) { return end(begin(host)); }
    int asked() {
        std::lock_guard lock(names->mutex);
        return names->asked;
    }
    void hold(bool yes) {
        std::lock_guard lock(names->mutex);
        names->held = yes;
        names->changed.notify_all();
    }
};

TEST_F(ResolverTest, AKeptAnswerIsUsedOnceAndForAMinute) {
    EXPECT_EQ(ask("redis").addresses.size(), 2u);
    EXPECT_EQ(asked(), 1);
    EXPECT_EQ(ask("redis").addresses.size(), 2u);
    EXPECT_EQ(asked(), 1) << "kept";
    EXPECT_EQ(ask("redis").addresses.size(), 2u);
    EXPECT_EQ(asked(), 2) << "and used";
    names->now += Resolver::answer_kept_ms;
    EXPECT_EQ(ask("redis").addresses.size(), 2u);
    EXPECT_EQ(asked(), 2);
    EXPECT_EQ(ask("redis").addresses.size(), 2u);
    EXPECT_EQ(asked(), 3);
    names->now += Resolver::answer_kept_ms + 1;
    EXPECT_EQ(ask("redis").addresses.size(), 2u);
    EXPECT_EQ(asked(), 4) << "too old";
    EXPECT_EQ(ask("other").addresses.size(), 2u);
    EXPECT_EQ(asked(), 5) << "another's";
}

TEST_F(ResolverTest, AFailureIsNotKept) {
    EXPECT_EQ(ask("unknown").error.status, Status::RESOLVE_FAILED);
    EXPECT_EQ(ask("unknown").error.status, Status::RESOLVE_FAILED);
    EXPECT_EQ(asked(), 2);
}

// AI_ADDRCONFIG would hide 127.0.0.1 where only IPv6 has an address, and ::1 where only IPv4 has.
TEST_F(ResolverTest, NoFamilyIsLeftOut) {
    ask("redis");
    EXPECT_EQ(names->flags & AI_ADDRCONFIG, 0);
    EXPECT_EQ(names->flags & AI_NUMERICHOST, 0);
}

TEST_F(ResolverTest, WhoAsksForTheSameNameMeanwhileGetsTheSameAnswer) {
    hold(true);
    std::future<Resolved> first = begin("redis"), second = begin("redis"), other = begin("other");
    hold(false);
    EXPECT_EQ(end(std::move(first)).addresses.size(), 2u);
    EXPECT_EQ(end(std::move(second)).addresses.size(), 2u);
    EXPECT_EQ(end(std::move(other)).addresses.size(), 2u);
    EXPECT_EQ(asked(), 2);
}

TEST_F(ResolverTest, AddressesAreNotLookedUp) {
    for (const char* ip : {"127.0.0.1", "::1", "10.255.255.53"}) EXPECT_EQ(ask(ip).addresses.size(), 1u) << ip;
    EXPECT_EQ(asked(), 0);
}

TEST_F(ResolverTest, OneThatIsGoneCallsNobody) {
    hold(true);
    auto gone = std::make_unique<Resolver>(
        [names = names](const std::string&, std::uint16_t, int) {
            std::unique_lock lock(names->mutex);
            ++names->asked;
            names->changed.notify_all();
            names->changed.wait(lock, [&] { return !names->held; });
            return Resolved{};
        },
        now_ms);
    auto called = std::make_shared<std::atomic<bool>>(false);
    std::weak_ptr<std::atomic<bool>> alive = called;
    gone->resolve("redis", 1, [called](const Resolved&) { *called = true; });
    {
        std::unique_lock lock(names->mutex);
        ASSERT_TRUE(names->changed.wait_for(lock, std::chrono::seconds(20), [&] { return names->asked == 1; }));
    }
    gone.reset();
    EXPECT_EQ(called.use_count(), 1) << "and keeps nothing of theirs";
    hold(false);
    EXPECT_FALSE(*called);
}

TEST(Addresses, AreEqualByWhatTheySay) {
    EXPECT_EQ(address_of("10.0.0.1"), address_of("10.0.0.1"));
    EXPECT_FALSE(address_of("10.0.0.1") == address_of("10.0.0.2"));
    EXPECT_FALSE(address_of("127.0.0.1") == address_of("::1"));
    EXPECT_FALSE(look_up("10.0.0.1", 1, AI_NUMERICHOST).addresses[0] ==
                 look_up("10.0.0.1", 2, AI_NUMERICHOST).addresses[0]);
}

}  // namespace
}  // namespace fanwire::core
