// fanwire_chaos: engines that publish and subscribe through faults, and a reconciler that misses nothing. See
// README.md.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/asking.h"
#include "tests/chaos/cast.h"
#include "tests/chaos/faults.h"

namespace fanwire::chaos {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr const char* usage =
    "Usage: fanwire_chaos [--minutes N | --seconds N] [--seed N] [--verbose]\n"
    "\n"
    "Publishes and subscribes through random faults of the network and of a Redis server that it starts, then "
    "compares\n"
    "what was published with what arrived. A line a minute and a summary; exits with 1 when anything went missing\n"
    "without an event, came twice, out of order or though reported as not sent.\n"
    "\n"
    "  --seconds N   how long there are faults (default: 25)\n"
    "  --seed N      chooses faults and traffic (default: 1); their timing is the machine's\n"
    "  --verbose     a line for each fault\n";

constexpr std::size_t answerers = 2;

struct Arguments {
    std::uint64_t seconds = 25, seed = 1;
    bool verbose = false;
};

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--verbose") {
            arguments.verbose = true;
            continue;
        }
        if (i + 1 >= argc) return false;
        char* end = nullptr;
        const std::uint64_t value = std::strtoull(argv[++i], &end, 10);
        if (end == argv[i] || *end) return false;
        if (word == "--minutes")
            arguments.seconds = value * 60;
        else if (word == "--seconds")
            arguments.seconds = value;
        else if (word == "--seed")
            arguments.seed = value;
        else
            return false;
    }
    return true;
}

// Short times, so that many faults are met in a minute.
const Settings network = {{"username", "app"},
                          {"password", "pw"},
                          {"connect_timeout_ms", "400"},
                          {"reconnect_delay_ms", "5"},
                          {"max_reconnect_delay_ms", "100"},
                          {"heartbeat_interval_ms", "100"},
                          {"heartbeat_timeout_ms", "400"}};

Settings with(Settings settings, const Settings& more) {
    settings.insert(settings.end(), more.begin(), more.end());
    return settings;
}

class Run {
 public:
    explicit Run(const Arguments& arguments) : arguments_(arguments), server_(server_words()) {
        const Settings publishing[publishers] = {
            {{"publish_timeout_ms", "300"}, {"offline_count", "200"}, {"max_flush_delay_us", "2000"}},
            {{"publish_timeout_ms", "500"}, {"offline", "fail"}},
        };
        for (std::size_t i = 0; i < publishers; ++i)
            publishers_.push_back(std::make_unique<Publisher>(i, add_proxy(), with(network, publishing[i]),
                                                              arguments.seed * 101 + i, ledger_, violations_));
        const Settings large = {{"inbox_count", "10000000"}, {"inbox_bytes", "4GiB"}};
        const std::vector<SubscriberConfig> configs = {
            {.name = "steady", .inbox = large},
            {.name = "churning", .inbox = large, .churns = true},
            {.name = "slow, drop_oldest", .inbox = {{"inbox_count", "64"}}, .strict = false, .stalls = true},
            {.name = "slow, drop_newest",
             .inbox = {{"inbox_bytes", "8KiB"}, {"overflow", "drop_newest"}},
             .strict = false,
             .stalls = true},
            {.name = "slow, conflate",
             .inbox = {{"inbox_count", "32"}, {"overflow", "conflate"}},
             .strict = false,
             .stalls = true},
        };
        for (std::size_t i = 0; i < configs.size(); ++i)
            subscribers_.push_back(std::make_unique<Subscriber>(
                configs[i], add_proxy(), with(network, {{"unsubscribe_linger_ms", i % 2 ? "20" : "0"}}),
                arguments.seed * 103 + i, ledger_, violations_));
        for (std::size_t i = 0; i < answerers; ++i)
            answerers_.push_back(std::make_unique<Answerer>(i, add_proxy(), network));
        asker_ = std::make_unique<Asker>(add_proxy(),
                                         with(network, {{"publish_timeout_ms", "400"}, {"max_requests", "100"}}),
                                         arguments.seed * 107, violations_);
        std::vector<test::FaultProxy*> proxies;
        for (const auto& proxy : proxies_) proxies.push_back(proxy.get());
        faults_ = std::make_unique<Faults>(server_, proxies, arguments.seed);
    }

    int operator()() {
        std::printf("chaos: %llu seconds, seed %llu\n", static_cast<unsigned long long>(arguments_.seconds),
                    static_cast<unsigned long long>(arguments_.seed));
        for (const auto& subscriber : subscribers_) subscriber->start();
        for (const auto& publisher : publishers_) publisher->start();
        asker_->start();
        const Clock::time_point begin = Clock::now(), end = begin + seconds(arguments_.seconds);
        std::uint64_t rounds = 0;
        Clock::time_point next_line = begin + seconds(60);
        while (Clock::now() < end && violations_.total() == 0) {
            const auto before = faults_->counts();
            faults_->one();
            // Each must get well by itself, and not by the next break.
            if (++rounds % 16 == 0) {
                expect_confirmed();
                for (const auto& subscriber : subscribers_) subscriber->calm(false);
            }
            if (arguments_.verbose) tell_faults(begin, before);
            if (Clock::now() < next_line) continue;
            tell_progress(begin);
            next_line += seconds(60);
        }
        faults_->heal();
        recover();
        close();
        ledger_.judge();
        for (const auto& subscriber : subscribers_) subscriber->judge();
        return summary();
    }

 private:
    std::string add_proxy() {
        proxies_.push_back(std::make_unique<test::FaultProxy>(server_.port()));
        return proxies_.back()->url();
    }

    template <typename Condition>
    bool until(Clock::time_point deadline, Condition condition) {
        while (!condition()) {
            if (Clock::now() > deadline) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return true;
    }

    // The faults are over: everything desired must be confirmed and receive again, by itself.
    void recover() {
        for (const auto& publisher : publishers_) publisher->stop();
        asker_->stop();
        expect_confirmed();
        asker_->expect_answers(answerers);
        for (int outage = 0; outage < 5; ++outage) publishers_[0]->queue_for_itself(*proxies_[0]);
        const Clock::time_point deadline = Clock::now() + seconds(60);  // for all: a run that fails ends soon, too
        for (std::size_t publisher = 0; publisher < publishers; ++publisher)
            for (std::size_t channel = 0; channel < channels; ++channel) last_of_stream(publisher, channel, deadline);
    }

    // Nobody changes what he wants meanwhile: else it would never be the same as what is confirmed.
    void expect_confirmed() {
        for (const auto& subscriber : subscribers_) subscriber->calm(true);
        const Clock::time_point deadline = Clock::now() + seconds(60);
        for (const auto& subscriber : subscribers_) {
            const bool confirmed = until(deadline, [&] {
                const fanwire_engine_stats stats = stats_of(subscriber->engine());
                return stats.connected && stats.subscriptions_confirmed == stats.subscriptions_desired;
            });
            if (!confirmed) violations_.add(Violation::not_recovered, subscriber->name() + ": not all confirmed");
        }
    }

    // A last message that everybody sees, so that whatever is missing has a neighbour on either side. A slow subscriber
    // may still have to drop it; then there is another one.
    void last_of_stream(std::size_t publisher, std::size_t channel, Clock::time_point deadline) {
        const StreamId stream = stream_of(publisher, channel);
        const Subscriber* blind = nullptr;
        do {
            const Number number = publishers_[publisher]->publish_for_certain(channel, deadline);
            blind = nullptr;
            for (const auto& subscriber : subscribers_)
                if (!until(Clock::now() + seconds(1), [&] { return subscriber->has_seen(stream, number); }))
                    blind = subscriber.get();
        } while (blind && Clock::now() < deadline);
        if (blind)
            violations_.add(Violation::not_recovered,
                            blind->name() + ": no message of stream " + std::to_string(stream));
    }

    void close() {
        for (const auto& publisher : publishers_) publisher->close();
        asker_->close();
        for (const auto& subscriber : subscribers_) subscriber->stop();
    }

    void tell_faults(Clock::time_point begin, const std::map<std::string, std::uint64_t>& before) {
        for (const auto& [name, count] : faults_->counts()) {
            const auto found = before.find(name);
            if (found == before.end() || found->second != count)
                std::printf("%8.3f s  %s\n", std::chrono::duration<double>(Clock::now() - begin).count(), name.c_str());
        }
        std::fflush(stdout);
    }

    std::uint64_t injected() const {
        std::uint64_t all = 0;
        for (const auto& [name, count] : faults_->counts()) all += count;
        return all;
    }
    std::uint64_t accepted() const {
        std::uint64_t all = 0;
        for (const auto& publisher : publishers_) all += publisher->accepted();
        return all;
    }
    std::uint64_t reconnects() const {
        std::uint64_t all = 0;
        for (const auto& publisher : publishers_) all += stats_of(publisher->engine()).disconnects;
        for (const auto& subscriber : subscribers_) all += stats_of(subscriber->engine()).disconnects;
        for (const auto& answerer : answerers_) all += stats_of(answerer->engine()).disconnects;
        all += stats_of(asker_->engine()).disconnects;
        return all;
    }
    std::uint64_t received() const {
        std::uint64_t all = 0;
        for (const auto& subscriber : subscribers_) all += subscriber->received();
        return all;
    }

    static unsigned long long n(std::uint64_t value) { return value; }

    void tell_progress(Clock::time_point begin) const {
        std::printf(
            "%4lld min: %llu faults, %llu reconnects, %llu published, %llu received, %llu violations\n",
            static_cast<long long>(std::chrono::duration_cast<std::chrono::minutes>(Clock::now() - begin).count()),
            n(injected()), n(reconnects()), n(accepted()), n(received()), n(violations_.total()));
        std::fflush(stdout);
    }

    static void tell_outcomes(const std::array<std::uint64_t, 64>& outcomes) {
        for (std::size_t i = 0; i < outcomes.size(); ++i)
            if (outcomes[i]) std::printf("  %-26s %10llu\n", fanwire_status_name(static_cast<int>(i)), n(outcomes[i]));
    }
    int summary() const {
        std::printf("\n%-28s %10llu\n", "published", n(accepted()));
        std::array<std::uint64_t, 64> outcomes{};
        for (const auto& publisher : publishers_) {
            const auto each = publisher->outcomes();
            for (std::size_t i = 0; i < each.size(); ++i) outcomes[i] += each[i];
        }
        tell_outcomes(outcomes);
        std::printf("%-28s\n", "requests");
        tell_outcomes(asker_->ends());
        std::printf("%-28s %10llu\n", "replies", n(asker_->replies()));
        std::printf("%-28s\n", "NUMSUBs");
        tell_outcomes(asker_->counts());
        std::printf("%-28s %10llu\n", "received", n(received()));
        std::printf("%-28s %10llu\n", "reconnects", n(reconnects()));
        std::printf("\n%-20s %10s %8s %8s %8s %8s %10s %10s\n", "subscriber", "received", "LOST", "RESUMED", "FAILED",
                    "GAP(?)", "GAP(n)", "missing");
        for (const auto& each : subscribers_)
            std::printf("%-20s %10llu %8llu %8llu %8llu %8llu %10llu %10llu\n", each->name().c_str(),
                        n(each->received()), n(each->events(FANWIRE_EVENT_LOST)),
                        n(each->events(FANWIRE_EVENT_RESUMED)), n(each->events(FANWIRE_EVENT_FAILED)),
                        n(each->gaps_unknown()), n(each->gaps_counted()), n(each->dropped()));
        std::printf("\n%-28s %10llu\n", "faults", n(injected()));
        for (const auto& [name, count] : faults_->counts()) std::printf("  %-26s %10llu\n", name.c_str(), n(count));
        std::printf("\n");
        for (std::size_t i = 0; i < static_cast<std::size_t>(Violation::count); ++i)
            std::printf("%-36s %llu\n", name_of(static_cast<Violation>(i)),
                        n(violations_.count(static_cast<Violation>(i))));
        for (const std::string& text : violations_.texts()) std::printf("  %s\n", text.c_str());
        if (violations_.total() == 0) return 0;
        std::printf("replay: fanwire_chaos --seconds %llu --seed %llu\n", n(arguments_.seconds), n(arguments_.seed));
        return 1;
    }

    const Arguments arguments_;
    Violations violations_;
    Ledger ledger_{publishers * channels, violations_};
    test::RedisServer server_;
    std::vector<std::unique_ptr<test::FaultProxy>> proxies_;
    std::vector<std::unique_ptr<Publisher>> publishers_;
    std::vector<std::unique_ptr<Subscriber>> subscribers_;
    std::vector<std::unique_ptr<Answerer>> answerers_;
    std::unique_ptr<Asker> asker_;
    std::unique_ptr<Faults> faults_;
};

}  // namespace
}  // namespace fanwire::chaos

int main(int argc, char** argv) try {
    fanwire::chaos::Arguments arguments;
    if (argc == 2 && !std::strcmp(argv[1], "--help")) return std::fputs(fanwire::chaos::usage, stdout) < 0;
    if (!fanwire::chaos::parse(argc, argv, arguments)) {
        std::fputs(fanwire::chaos::usage, stderr);
        return 2;
    }
    return fanwire::chaos::Run(arguments)();
} catch (const std::exception& error) {
    std::fprintf(stderr, "fanwire_chaos: %s\n", error.what());
    return 1;
}
