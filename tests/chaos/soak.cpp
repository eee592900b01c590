// fanwire_soak: an engine that loses its connections thousands of times, and must not grow by it. See README.md.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fanwire/fanwire.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/redis_server.h"
#include "tests/support/sanitized.h"

namespace fanwire::chaos {
namespace {

using Clock = std::chrono::steady_clock;
using test::FaultProxy;
using test::RawClient;
using test::RedisServer;

constexpr const char* usage =
    "Usage: fanwire_soak [--reconnects N]\n"
    "\n"
    "An engine with 300 subscriptions, on a Redis server that is started for it, loses its connections N times "
    "(default\n"
    "10000): killed by the server, reset, closed, or cut within the greeting or the replay of its subscriptions. Each "
    "time\n"
    "all of them must be confirmed again. Exits with 1 when memory, descriptors, threads or the server's connections "
    "grow.\n";

constexpr std::size_t exact = 250, patterns = 50;
[[maybe_unused]] constexpr std::size_t growth_max =
    1024 * 1024;  // bytes: what the allocator may hold on to, whatever the number

void check(int status, const char* what) {
    if (status != FANWIRE_OK)
        throw std::runtime_error(std::string(what) + ": " + fanwire_status_name(status) + ": " + fanwire_last_error());
}

std::size_t entries(const char* directory) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
    return count;
}

struct Sizes {
    std::size_t memory = 0, descriptors = 0, threads = 0, connections = 0;
};

class Soak {
 public:
    explicit Soak(std::uint64_t reconnects) : reconnects_(reconnects) {
        fanwire_options* options = nullptr;
        check(fanwire_options_create(&options), "options");
        for (const auto& [name, value] : {std::pair<const char*, std::string>{"url", proxy_.url()},
                                          {"reconnect_delay_ms", "1"},
                                          {"max_reconnect_delay_ms", "2"},
                                          {"unsubscribe_linger_ms", "0"}})
            check(fanwire_options_set(options, name, value.c_str()), name);
        check(fanwire_inbox_create(&inbox_, nullptr), "inbox");
        check(fanwire_engine_open(&engine_, options), "open");
        fanwire_options_destroy(&options);
        subscriptions_.resize(exact + patterns);
        for (std::size_t i = 0; i < subscriptions_.size(); ++i) {
            const std::string name = (i < exact ? "channel-" : "pattern-*-") + std::to_string(i);
            check((i < exact ? fanwire_subscribe : fanwire_psubscribe)(&subscriptions_[i], engine_, name.data(),
                                                                       name.size(), inbox_, nullptr),
                  "subscribe");
        }
    }
    ~Soak() {
        for (fanwire_subscription*& subscription : subscriptions_) fanwire_subscription_destroy(&subscription);
        fanwire_engine_destroy(&engine_);
        fanwire_inbox_destroy(&inbox_);
    }

    int operator()() {
        // Half of the engine's first breaks fill its buffers and the allocator's arenas; then nothing may grow.
        const std::uint64_t warm_up = std::min<std::uint64_t>(reconnects_ / 2, 500);
        wait_confirmed();
        const Clock::time_point begin = Clock::now();
        std::printf("%12s %12s %12s %12s %12s\n", "reconnects", "memory KiB", "descriptors", "threads", "connections");
        Sizes before;
        for (std::uint64_t i = 0; i < reconnects_; ++i) {
            if (i == warm_up) before = measure(i);
            if (i > warm_up && i % std::max<std::uint64_t>(reconnects_ / 10, 1) == 0) measure(i);
            break_once(i);
        }
        const Sizes after = measure(reconnects_);
        const double took = std::chrono::duration<double>(Clock::now() - begin).count();
        std::printf("%llu reconnects in %.1f s, %llu GAPs\n", static_cast<unsigned long long>(reconnects_), took,
                    static_cast<unsigned long long>(gaps_));

        bool grew = false;
        const auto compare = [&](const char* what, std::size_t first, std::size_t second, std::size_t allowed) {
            if (second <= first + allowed) return;
            grew = true;
            std::printf("grew: %s from %zu to %zu\n", what, first, second);
        };
#ifndef FANWIRE_SANITIZED  // which keeps freed memory on purpose
        compare("memory", before.memory, after.memory, growth_max);
#endif
        compare("descriptors", before.descriptors, after.descriptors, 0);
        compare("threads", before.threads, after.threads, 0);
        compare("the server's connections", before.connections, after.connections, 0);
        return grew ? 1 : 0;
    }

 private:
    fanwire_engine_stats stats() const {
        fanwire_engine_stats stats{};
        check(fanwire_engine_stats_get(engine_, &stats, sizeof stats), "stats");
        return stats;
    }

    // Takes the events as they come until the condition holds.
    template <typename Condition>
    void until(Condition condition, const char* what) {
        const Clock::time_point deadline = Clock::now() + test::patience;
        fanwire_event events[256];
        while (!condition()) {
            if (Clock::now() > deadline) throw std::runtime_error(std::string("in vain: ") + what);
            const int status = fanwire_inbox_wait(inbox_, 1);
            if (status == FANWIRE_TIMEOUT) continue;
            check(status, "wait");
            std::size_t count = 0;
            check(fanwire_inbox_drain(inbox_, events, sizeof events[0], 256, &count), "drain");
            for (std::size_t i = 0; i < count; ++i) gaps_ += events[i].kind == FANWIRE_EVENT_GAP ? 1 : 0;
            fanwire_events_release(events, sizeof events[0], count);
        }
    }

    void wait_confirmed() {
        until(
            [&] {
                const fanwire_engine_stats now = stats();
                return now.connected && now.subscriptions_confirmed == subscriptions_.size();
            },
            "all subscriptions confirmed");
    }

    void break_once(std::uint64_t i) {
        const std::uint64_t breaks = stats().disconnects;
        // Some are under way when it happens.
        for (int n = 0; n < 10; ++n) check(fanwire_publish(engine_, "channel-0", 9, "still here", 10), "publish");
        switch (i % 5) {
            case 0:
                admin_.call({"CLIENT", "KILL", "TYPE", "pubsub"});
                break;
            case 1:
                proxy_.end(FaultProxy::Which::all, FaultProxy::Ending::reset);
                break;
            case 2:
                proxy_.end(FaultProxy::Which::subscribers, FaultProxy::Ending::close);
                break;
            case 3:
                admin_.call({"CLIENT", "KILL", "TYPE", "normal"});
                break;  // the publishing link
            case 4:     // the first new connections are cut as well: in the greeting, or amid the acknowledgements
                proxy_.cut_new_after(FaultProxy::to_client, random_() % 12000);
                proxy_.end();
                until([&] { return stats().disconnects > breaks; }, "the break");
                proxy_.cut_new_after(FaultProxy::to_client, FaultProxy::never);
                proxy_.heal();
                proxy_.end();
                break;
        }
        until([&] { return stats().disconnects > breaks; }, "the break");
        wait_confirmed();
    }

    Sizes measure(std::uint64_t reconnects) {
        Sizes sizes;
        // Redis learns of an ending a little later than we do.
        until(
            [&] {
                const std::string info = admin_.call({"INFO", "clients"});
                const std::string key = "connected_clients:";
                sizes.connections = std::stoul(info.substr(info.find(key) + key.size()));
                return sizes.connections == 3;
            },
            "as many connections in the server as we have");
        // All descriptors are of this process: the proxy's too, whose old connections may still be closing.
        until([&] { return proxy_.counts().open == 2; }, "old connections of the proxy gone");
        std::size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages >> pages;
        sizes.memory = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        sizes.descriptors = entries("/proc/self/fd");
        sizes.threads = entries("/proc/self/task");
        std::printf("%12llu %12zu %12zu %12zu %12zu\n", static_cast<unsigned long long>(reconnects),
                    sizes.memory / 1024, sizes.descriptors, sizes.threads, sizes.connections);
        std::fflush(stdout);
        return sizes;
    }

    const std::uint64_t reconnects_;
    RedisServer server_;
    FaultProxy proxy_{server_.port()};
    RawClient admin_{server_.port()};
    std::mt19937_64 random_{1};
    fanwire_inbox* inbox_ = nullptr;
    fanwire_engine* engine_ = nullptr;
    std::vector<fanwire_subscription*> subscriptions_;
    std::uint64_t gaps_ = 0;
};

}  // namespace
}  // namespace fanwire::chaos

int main(int argc, char** argv) try {
    std::uint64_t reconnects = 10000;
    if (argc == 2 && !std::strcmp(argv[1], "--help")) return std::fputs(fanwire::chaos::usage, stdout) < 0;
    if (argc == 3 && !std::strcmp(argv[1], "--reconnects"))
        reconnects = std::strtoull(argv[2], nullptr, 10);
    else if (argc != 1)
        reconnects = 0;
    if (reconnects < 10) {
        std::fputs(fanwire::chaos::usage, stderr);
        return 2;
    }
    return fanwire::chaos::Soak(reconnects)();
} catch (const std::exception& error) {
    std::fprintf(stderr, "fanwire_soak: %s\n", error.what());
    return 1;
}
