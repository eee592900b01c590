// One life of an engine, again and again, and each time another allocation fails: the first, the second, ... until a
// life comes to its end before the one that was to fail. Then the same with a run of failures.
//
// What must hold, whichever fails:
//  - a call gives OK, or NO_MEMORY (SYSTEM_ERROR where threads and descriptors are made) and works when made again;
//  - each accepted publish_async has exactly one PUBLISHED, each subscription exactly one ENDED, last;
//  - each subscription receives in the end, and its messages are those that were published, in order, none twice, with
//  a
//    GAP where some are missing, whose count, where it has one, is right;
//  - nothing hangs, nothing crashes, and nothing is still allocated when all is destroyed.
//
// FANWIRE_MALLOC_STEP=1 begins at each allocation; the default skips some of the runs, and under sanitizers of both, so
// that the sweep is a matter of seconds.
// A failing life prints FANWIRE_MALLOC_AT and FANWIRE_MALLOC_RUN, which run only that one.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fanwire/fanwire.h"
#include "tests/malloc/failing_malloc.h"
#include "tests/support/redis_server.h"

#ifndef FANWIRE_MALLOC_STEP
#define FANWIRE_MALLOC_STEP 1
#endif

namespace {

using Clock = std::chrono::steady_clock;
using malloc_test::InCall;

constexpr std::chrono::seconds patience{20};  // nothing waits that long unless it fails

// A call of fanwire: only within it do the allocations of this thread count.
template <class Call>
int call(Call&& body) {
    const InCall scope;
    return body();
}

// Calls until it is OK; in between only NO_MEMORY or what is in `also` may come.
template <class Call>
void must(const char* what, Call&& body, std::initializer_list<int> also = {}) {
    const auto end = Clock::now() + patience;
    while (true) {
        const int status = call(body);
        if (status == FANWIRE_OK) return;
        bool fine = status == FANWIRE_NO_MEMORY;
        for (const int other : also) fine = fine || status == other;
        ASSERT_TRUE(fine) << what << " gave " << fanwire_status_name(status) << ": " << fanwire_last_error();
        ASSERT_LT(Clock::now(), end) << what << " still gives " << fanwire_status_name(status);
    }
}
#define MUST(...)                                     \
    do {                                              \
        must(__VA_ARGS__);                            \
        if (testing::Test::HasFatalFailure()) return; \
    } while (false)

// One subscription as its consumer sees it. Payloads on its channel are 1, 2, 3, ...
struct Stream {
    fanwire_subscription* handle = nullptr;
    std::uint64_t next = 1;
    bool jump = false;       // a GAP of unknown size stands here
    bool unordered = false;  // publishes whose outcome is unknown: only "none twice, in order" can be said
    std::uint64_t last = 0;
    int ended = 0, active = 0, gaps = 0;

    void see(const fanwire_event& event) {
        ASSERT_EQ(ended, 0) << "an event after ENDED";
        switch (event.kind) {
            case FANWIRE_EVENT_ACTIVE:
            case FANWIRE_EVENT_RESUMED:
                ++active;
                break;
            case FANWIRE_EVENT_LOST:
            case FANWIRE_EVENT_FAILED:
                break;
            case FANWIRE_EVENT_ENDED:
                ++ended;
                break;
            case FANWIRE_EVENT_GAP:
                ++gaps;
                if (event.count == FANWIRE_COUNT_UNKNOWN)
                    jump = true;
                else
                    next += event.count;
                break;
            case FANWIRE_EVENT_MESSAGE: {
                const std::uint64_t number = std::strtoull(event.payload, nullptr, 10);
                ASSERT_GT(number, last) << "twice, or out of order";
                if (!jump && !unordered) {
                    ASSERT_EQ(number, next) << "messages are missing, and no GAP counts them right";
                }
                if (jump) {
                    ASSERT_GE(number, next);
                }
                jump = false;
                last = number;
                next = number + 1;
                break;
            }
            default:
                FAIL() << "an event of kind " << event.kind << " in a subscription";
        }
    }
};

class Life {
 public:
    // `foreign`: publishes from outside; null: through the engine itself, which has no other world (memory://).
    Life(std::string url, fanwire::test::RawClient* foreign) : url_(std::move(url)), foreign_(foreign) {}

    void run() {
        open();
        if (!testing::Test::HasFatalFailure()) receive();
        if (!testing::Test::HasFatalFailure()) publish();
        if (!testing::Test::HasFatalFailure()) overflow();
        if (!testing::Test::HasFatalFailure() && foreign_) reconnect();
        if (!testing::Test::HasFatalFailure()) ask();
        if (!testing::Test::HasFatalFailure() && foreign_) credentials();
        if (!testing::Test::HasFatalFailure()) unsubscribe();
        close();
    }

 private:
    void open() {
        fanwire_options* options = nullptr;
        MUST("options_create", [&] { return fanwire_options_create(&options); });
        const auto set = [&](const char* name, const char* value) {
            must(name, [&] { return fanwire_options_set(options, name, value); });
        };
        set("url", url_.c_str());
        set("reconnect_delay_ms", "1");
        set("max_reconnect_delay_ms", "8");
        set("connect_timeout_ms", "1000");
        set("heartbeat_interval_ms", "100");
        set("heartbeat_timeout_ms", "1000");
        set("unsubscribe_linger_ms", "0");
        set("client_name", "swept");
        set("probe_interval_ms", "20");
        set("max_flush_delay_us", "1000");
        MUST("inbox_create", [&] { return fanwire_inbox_create(&inbox_, options); });
        MUST("inbox_create", [&] { return fanwire_inbox_create(&outcomes_, options); });
        MUST("inbox_create", [&] { return fanwire_inbox_create(&dispatched_, options); });
        set("inbox_count", "4");
        MUST("inbox_create", [&] { return fanwire_inbox_create(&small_, options); });
        set("overflow", "drop_newest");
        MUST("inbox_create", [&] { return fanwire_inbox_create(&small_newest_, options); });
        MUST("set_engine_inbox", [&] { return fanwire_options_set_engine_inbox(options, outcomes_, this); });
        int fd = -1;
        MUST("inbox_fd", [&] { return fanwire_inbox_fd(inbox_, &fd); }, {FANWIRE_SYSTEM_ERROR});
        MUST("inbox_set_wake", [&] {
            return fanwire_inbox_set_wake(
                small_, [](void*) {}, nullptr);
        });
        MUST("engine_open", [&] { return fanwire_engine_open(&engine_, options); }, {FANWIRE_SYSTEM_ERROR});
        fanwire_options_destroy(&options);
        ASSERT_EQ(options, nullptr);
        // An attempt may have failed for want of memory, in its own words or in those of the system.
        MUST("wait_connected", [&] { return fanwire_engine_wait_connected(engine_, 10); },
             {FANWIRE_TIMEOUT, FANWIRE_CONNECT_TIMEOUT, FANWIRE_CONNECT_FAILED, FANWIRE_CONNECTION_LOST,
              FANWIRE_RESOLVE_FAILED, FANWIRE_SYSTEM_ERROR, FANWIRE_PROTOCOL_ERROR});
        MUST("inbox_dispatch", [&] { return fanwire_inbox_dispatch(dispatched_, &Life::dispatched, this); },
             {FANWIRE_SYSTEM_ERROR});

        subscribe(exact_, "a", inbox_);
        subscribe(pattern_, "a*", inbox_, true);
        subscribe(called_, "a", dispatched_);
        subscribe(oldest_, "a", small_);
        subscribe(newest_, "a", small_newest_);
        subscribe(own_, "own", inbox_);
        own_.unordered = true;
        for (Stream* stream : {&exact_, &pattern_, &called_, &oldest_, &newest_, &own_}) {
            MUST("wait_active", [&] { return fanwire_subscription_wait_active(stream->handle, 10); },
                 {FANWIRE_TIMEOUT, FANWIRE_CONNECTION_LOST});
        }
    }

    void subscribe(Stream& stream, const char* name, fanwire_inbox* inbox, bool pattern = false) {
        MUST("subscribe", [&] {
            return pattern ? fanwire_psubscribe(&stream.handle, engine_, name, 2, inbox, &stream)
                           : fanwire_subscribe(&stream.handle, engine_, name, std::strlen(name), inbox, &stream);
        });
    }

    // The next number on channel a, from outside.
    void tell_next(std::size_t size = 0) {
        std::string payload = std::to_string(++told_);
        payload.resize(std::max(size, payload.size()), 'x');
        if (foreign_) {
            foreign_->call({"PUBLISH", "ws:a", payload});
            return;
        }
        MUST("publish", [&] { return fanwire_publish(engine_, "a", 1, payload.data(), payload.size()); });
    }

    void drain(fanwire_inbox* inbox) {
        fanwire_event events[16];
        std::size_t count = 0;
        do {
            const int status = call([&] { return fanwire_inbox_drain(inbox, events, sizeof events[0], 16, &count); });
            if (status == FANWIRE_NO_MEMORY) {
                count = 1;  // it has taken nothing
                continue;
            }
            ASSERT_EQ(status, FANWIRE_OK);
            for (std::size_t i = 0; i < count; ++i) {
                if (events[i].kind == FANWIRE_EVENT_PUBLISHED)
                    settled_[reinterpret_cast<std::uintptr_t>(events[i].user_data)].push_back(events[i].status);
                else if (events[i].user_data != this)  // else it is the engine's
                    static_cast<Stream*>(events[i].user_data)->see(events[i]);
            }
            fanwire_events_release(events, sizeof events[0], count);
            if (testing::Test::HasFatalFailure()) return;
        } while (count != 0);
    }

    static void dispatched(void* self, const fanwire_event* event) {
        auto& life = *static_cast<Life*>(self);
        std::lock_guard lock(life.mutex_);
        life.called_.see(*event);
    }

    // Until the condition holds, draining and, if need be, telling more.
    void until(const char* what, const std::function<bool()>& condition, bool telling = false) {
        const auto end = Clock::now() + patience;
        auto again = Clock::now();
        while (true) {
            drain(inbox_);
            drain(outcomes_);
            if (testing::Test::HasFatalFailure() || condition()) return;
            ASSERT_LT(Clock::now(), end) << what << " does not come";
            if (telling && Clock::now() >= again) {
                tell_next();
                again = Clock::now() + std::chrono::milliseconds(5);
            }
            call([&] { return fanwire_inbox_wait(inbox_, 1); });
        }
    }
    std::uint64_t called_last() {
        std::lock_guard lock(mutex_);
        return called_.last;
    }

    void receive() {
        for (int i = 0; i < 5; ++i) tell_next(i == 3 ? 200000 : 0);  // one that comes in parts
        const std::uint64_t from = told_;
        until(
            "a message", [&] { return exact_.last >= from && pattern_.last >= from && called_last() >= from; }, true);
    }

    void publish() {
        const auto text = [&] { return std::to_string(++own_told_); };
        for (int i = 0; i < 6; ++i) {
            const std::string payload = text();
            MUST("publish_async", [&] {
                return fanwire_publish_async(engine_, "own", 3, payload.data(), payload.size(), outcomes_,
                                             reinterpret_cast<void*>(own_told_));
            });
            asked_.push_back(own_told_);
        }
        for (int i = 0; i < 3; ++i) {
            const std::string payload = text();
            MUST("publish", [&] { return fanwire_publish(engine_, "own", 3, payload.data(), payload.size()); });
        }
        const std::string payload = text();
        const int status = call(
            [&] { return fanwire_publish_wait(engine_, "own", 3, payload.data(), payload.size(), 5000, nullptr); });
        ASSERT_TRUE(status == FANWIRE_OK || status == FANWIRE_NO_MEMORY || status == FANWIRE_OUTCOME_UNKNOWN)
            << fanwire_status_name(status);
        until("the outcomes", [&] { return settled_.size() == asked_.size(); });
    }

    // Nobody drains the small inboxes meanwhile; then they have a GAP, and the rest.
    void overflow() {
        drain(small_);
        drain(small_newest_);
        for (int i = 0; i < 12; ++i) tell_next();
        const std::uint64_t from = told_;
        until(
            "a message", [&] { return exact_.last >= from && called_last() >= from; }, true);
        const int before = oldest_.gaps + newest_.gaps;
        drain(small_);
        drain(small_newest_);
        EXPECT_GE(oldest_.gaps + newest_.gaps, before + 2);
        EXPECT_GE(oldest_.next + (oldest_.jump ? told_ : 0), from);
        EXPECT_GE(newest_.next + (newest_.jump ? told_ : 0), from);
    }

    void reconnect() {
        const int before = exact_.gaps;
        foreign_->call({"CLIENT", "KILL", "TYPE", "pubsub"});
        foreign_->call({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
        until(
            "the GAP", [&] { return exact_.gaps > before; }, true);
        const std::uint64_t from = told_;
        until(
            "a message", [&] { return exact_.last > from && pattern_.last > from && called_last() > from; }, true);
    }

    void ask() {
        fanwire_health health;
        MUST("health", [&] { return fanwire_engine_health(engine_, &health, sizeof health); });
        char text[16384];
        for (const int format : {FANWIRE_METRICS_JSON, FANWIRE_METRICS_PROMETHEUS})
            MUST("metrics", [&] {
                std::size_t size = sizeof text;
                return fanwire_engine_metrics(engine_, format, text, &size);
            });
    }

    // The server takes any password for its default user; a username makes the subscribe link anew.
    void credentials() {
        const int before = exact_.gaps;
        MUST("set_credentials", [&] { return fanwire_engine_set_credentials(engine_, "default", "any"); });
        until(
            "the GAP", [&] { return exact_.gaps > before; }, true);
        const std::uint64_t from = told_;
        until(
            "a message", [&] { return exact_.last > from && pattern_.last > from; }, true);
    }

    void unsubscribe() {
        MUST("unsubscribe", [&] { return fanwire_unsubscribe(pattern_.handle); });
        EXPECT_EQ(fanwire_unsubscribe(pattern_.handle), FANWIRE_UNSUBSCRIBED);
        until("ENDED", [&] { return pattern_.ended == 1; });
        call([&] {
            fanwire_subscription_destroy(&own_.handle);
            return 0;
        });
        until("ENDED", [&] { return own_.ended == 1; });
        // An inbox that goes takes its subscriptions with it.
        call([&] {
            fanwire_inbox_destroy(&small_);
            return 0;
        });
        fanwire_engine_stats stats;
        until("the end of the inbox's subscription", [&] {
            return fanwire_engine_stats_get(engine_, &stats, sizeof stats) == FANWIRE_OK && stats.subscriptions == 3;
        });
    }

    void close() {
        const bool fine = !testing::Test::HasFatalFailure();
        if (engine_) {
            const int status = call([&] { return fanwire_engine_close(engine_, 5000); });
            EXPECT_TRUE(status == FANWIRE_OK || status == FANWIRE_TIMEOUT) << fanwire_status_name(status);
        }
        if (fine) {
            until("ENDED", [&] { return exact_.ended == 1; });
            drain(small_newest_);
            EXPECT_EQ(newest_.ended, 1);
            until("ENDED", [&] {
                std::lock_guard lock(mutex_);
                return called_.ended == 1;
            });
            EXPECT_EQ(settled_.size(), asked_.size());
            for (const auto& [number, statuses] : settled_) EXPECT_EQ(statuses.size(), 1u) << "publish " << number;
        }
        call([&] {
            for (Stream* stream : {&exact_, &pattern_, &called_, &oldest_, &newest_, &own_})
                fanwire_subscription_destroy(&stream->handle);
            for (fanwire_inbox** inbox : {&inbox_, &outcomes_, &small_, &small_newest_, &dispatched_})
                fanwire_inbox_destroy(inbox);
            fanwire_engine_destroy(&engine_);
            return 0;
        });
    }

    const std::string url_;
    fanwire::test::RawClient* const foreign_;
    fanwire_engine* engine_ = nullptr;
    fanwire_inbox *inbox_ = nullptr, *outcomes_ = nullptr, *small_ = nullptr, *small_newest_ = nullptr,
                  *dispatched_ = nullptr;
    Stream exact_, pattern_, oldest_, newest_, own_;
    std::mutex mutex_;
    Stream called_;  // under the mutex
    std::uint64_t told_ = 0;
    std::uintptr_t own_told_ = 0;
    std::vector<std::uintptr_t> asked_;
    std::map<std::uintptr_t, std::vector<int>> settled_;
};

std::size_t from_environment(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::stoul(text) : otherwise;
}

// Detached threads (the resolver's) may end later.
bool comes_back_to(std::size_t blocks) {
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (malloc_test::live_blocks() > blocks) {
        if (Clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// One life; how many allocations failed in it.
std::size_t live_once(const std::string& url, fanwire::test::RawClient* foreign, std::size_t at, std::size_t run) {
    SCOPED_TRACE("replay with FANWIRE_MALLOC_AT=" + std::to_string(at) + " FANWIRE_MALLOC_RUN=" + std::to_string(run));
    std::size_t failed = 0;
    const std::size_t before = malloc_test::live_blocks();
    {
        Life life(url, foreign);
        malloc_test::arm(at, run);
        life.run();
        failed = malloc_test::disarm();
    }
    EXPECT_TRUE(comes_back_to(before)) << malloc_test::live_blocks() - before << " blocks are still allocated";
    return failed;
}

// glibc keeps the stacks of threads that have ended, and with each a block that is counted: as many as ran at the same
// time, up to a limit. Here that is reached, so that threads which happen to meet do not look like a leak.
void fill_the_cache_of_stacks() {
    constexpr std::ptrdiff_t threads = 16;
    std::barrier all_run(threads);
    std::vector<std::thread> running;
    for (std::ptrdiff_t i = 0; i < threads; ++i) running.emplace_back([&] { all_run.arrive_and_wait(); });
    for (std::thread& thread : running) thread.join();
}

void sweep(const std::string& url, fanwire::test::RawClient* foreign, std::size_t run, std::size_t step) {
    fill_the_cache_of_stacks();
    Life(url, foreign).run();  // what is made once in a process is made now
    if (std::getenv("FANWIRE_MALLOC_AT")) {
        live_once(url, foreign, from_environment("FANWIRE_MALLOC_AT", 1), from_environment("FANWIRE_MALLOC_RUN", 1));
        return;
    }
    step = from_environment("FANWIRE_MALLOC_STEP", step);
    std::size_t lives = 0;
    // How many allocations a life has depends on how its threads meet: the end is where several lives have not come so
    // far.
    int short_lives = 0;
    for (std::size_t at = 1; short_lives < 5 && !testing::Test::HasFailure(); at += step, ++lives)
        short_lives = live_once(url, foreign, at, run) == 0 ? short_lives + 1 : 0;
    std::printf("%zu lives, the last with allocation %zu failing\n", lives, lives * step);
    EXPECT_GT(lives * step, 200u);  // else nothing was counted
}

TEST(MallocSweep, MemoryOnce) {
    sweep("memory://swept", nullptr, 1, FANWIRE_MALLOC_STEP);
}
TEST(MallocSweep, MemoryRuns) {
    sweep("memory://swept", nullptr, 40, 5 * FANWIRE_MALLOC_STEP);
}

class RedisSweep : public testing::Test {
 protected:
    fanwire::test::RedisServer server_;
    fanwire::test::RawClient foreign_{server_.port()};
    // A name and not an address: the resolver's thread is part of it.
    const std::string url_ = "redis://localhost:" + std::to_string(server_.port());
};

TEST_F(RedisSweep, Once) {
    sweep(url_, &foreign_, 1, FANWIRE_MALLOC_STEP);
}
TEST_F(RedisSweep, Runs) {
    sweep(url_, &foreign_, 40, 5 * FANWIRE_MALLOC_STEP);
}

}  // namespace
