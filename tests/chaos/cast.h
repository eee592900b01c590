// Who takes part: publishers and subscribers, each an engine of its own behind a proxy of its own, with a thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fanwire/fanwire.h"
#include "tests/chaos/payload.h"
#include "tests/chaos/reconciler.h"
#include "tests/support/fault_proxy.h"

namespace fanwire::chaos {

using Settings = std::vector<std::pair<const char*, std::string>>;

// Throws what fanwire said; for what cannot fail here.
void check(int status, const char* what);

template <typename T, void (*destroy)(T**)>
struct Destroy {
    void operator()(T* handle) const { destroy(&handle); }
};
using EngineHandle = std::unique_ptr<fanwire_engine, Destroy<fanwire_engine, fanwire_engine_destroy>>;
using InboxHandle = std::unique_ptr<fanwire_inbox, Destroy<fanwire_inbox, fanwire_inbox_destroy>>;
using SubscriptionHandle =
    std::unique_ptr<fanwire_subscription, Destroy<fanwire_subscription, fanwire_subscription_destroy>>;

EngineHandle open_engine(const std::string& url, const Settings& settings);
InboxHandle make_inbox(const Settings& settings);
fanwire_engine_stats stats_of(const fanwire_engine* engine);

class Publisher {
 public:
    Publisher(std::size_t index, const std::string& url, const Settings& settings, std::uint64_t seed, Ledger& ledger,
              Violations& violations);
    ~Publisher();

    void start();
    void stop();
    // One message, whose outcome is waited for: its number, once Redis has confirmed one.
    Number publish_for_certain(std::size_t channel, std::chrono::steady_clock::time_point deadline);
    // Breaks its connections, has it queue messages for a subscription of its own, and lets it connect again: each must
    // reach that subscription, though the publish link may be back first. When it is stopped and everything works.
    void queue_for_itself(test::FaultProxy& proxy);
    // Closes the engine; everything has an outcome then.
    void close();

    fanwire_engine* engine() const { return engine_.get(); }
    // By status, refusals at once included.
    std::array<std::uint64_t, 64> outcomes() const;
    std::uint64_t accepted() const { return accepted_; }

 private:
    void run();
    void publish(std::size_t channel);
    void take_outcomes();
    void settle(StreamId stream, Number number, int status);

    const std::size_t index_;
    Ledger& ledger_;
    Violations& violations_;
    InboxHandle inbox_;
    InboxHandle own_messages_, own_outcomes_;
    EngineHandle engine_;
    SubscriptionHandle own_;  // through all faults
    std::mt19937_64 random_;
    std::array<std::atomic<std::uint64_t>, 64> outcomes_{};
    std::atomic<std::uint64_t> accepted_{0};
    std::uint64_t waiting_ = 0;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

struct SubscriberConfig {
    std::string name;
    Settings inbox;
    bool strict = true;   // the inbox never overflows
    bool stalls = false;  // its consumer pauses now and then
    bool churns = false;  // it unsubscribes and subscribes again
};

class Subscriber {
 public:
    Subscriber(const SubscriberConfig& config, const std::string& url, const Settings& settings, std::uint64_t seed,
               Ledger& ledger, Violations& violations);
    ~Subscriber();

    void start();
    // Whether it stops pausing and churning for now.
    void calm(bool yes);
    // Whether every lasting subscription has seen the stream up to and with `number`.
    bool has_seen(StreamId stream, Number number) const;
    void stop();
    void judge() const;

    const std::string& name() const { return config_.name; }
    fanwire_engine* engine() const { return engine_.get(); }
    std::uint64_t received() const { return received_; }
    std::uint64_t gaps_unknown() const { return gaps_unknown_; }
    std::uint64_t gaps_counted() const { return gaps_counted_; }
    std::uint64_t dropped() const { return dropped_; }
    std::uint64_t events(int kind) const { return events_[static_cast<std::size_t>(kind)]; }

 private:
    struct Follower {
        std::vector<StreamId> streams;
        SubscriptionHandle subscription;
        std::unique_ptr<Witness> witness;
        std::array<std::atomic<Number>, publishers * channels> seen{};
    };

    void follow(std::list<Follower>& where, const std::string& name, bool pattern);
    void run();
    void take(const fanwire_event& event);
    void churn();

    const SubscriberConfig config_;
    Ledger& ledger_;
    Violations& violations_;
    InboxHandle inbox_;
    EngineHandle engine_;
    std::mt19937_64 random_;
    std::list<Follower> lasting_;
    std::list<Follower> passing_, past_;  // only the thread's
    std::atomic<std::uint64_t> received_{0}, gaps_unknown_{0}, gaps_counted_{0}, dropped_{0};
    std::array<std::atomic<std::uint64_t>, 16> events_{};
    std::uint64_t made_ = 0;
    std::atomic<bool> stop_{false}, calm_{false};
    std::thread thread_;
};

}  // namespace fanwire::chaos
