// Who asks and who answers: requests and NUMSUB through the same faults, each engine behind a proxy of its own.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "fanwire/fanwire.h"
#include "tests/chaos/cast.h"
#include "tests/chaos/reconciler.h"

namespace fanwire::chaos {

using RequestHandle = std::unique_ptr<fanwire_request, Destroy<fanwire_request, fanwire_request_destroy>>;

// Answers each request once or twice, some of them not before the next one.
class Answerer {
 public:
    Answerer(std::size_t index, const std::string& url, const Settings& settings);
    ~Answerer();

    fanwire_engine* engine() const { return engine_.get(); }

 private:
    void answer(const fanwire_message* request);
    static void see(void* self, const fanwire_event* event);

    const std::size_t index_;
    fanwire_message* put_off_ = nullptr;  // of the dispatcher's thread
    EngineHandle engine_;
    SubscriptionHandle subscription_;
    InboxHandle inbox_;  // whose dispatcher ends first
};

class Asker {
 public:
    Asker(const std::string& url, const Settings& settings, std::uint64_t seed, Violations& violations);
    ~Asker();

    void start();
    void stop();
    // When it is stopped and everything works: `answerers` must hear a request and be counted, by themselves.
    void expect_answers(std::size_t answerers);
    // Closes the engine; everything has ended then.
    void close();

    fanwire_engine* engine() const { return engine_.get(); }
    std::uint64_t replies() const { return replies_; }
    // By status.
    std::array<std::uint64_t, 64> ends() const { return ends_; }
    std::array<std::uint64_t, 64> counts() const { return counts_; }

 private:
    using Clock = std::chrono::steady_clock;
    struct Asked {
        RequestHandle handle;
        std::uint64_t expect;
        std::uint64_t replies = 0;
        std::set<std::string> seen{};  // replies
    };
    struct End {
        int status = 0;
        std::uint64_t count = 0;
    };

    void run();
    // Its number; 0: it was refused, as too many are open.
    std::uintptr_t ask(std::uint64_t expect, std::uint64_t timeout_ms);
    std::uintptr_t count();
    void expect_too_many(int status);
    void take_events();
    void take_reply(Asked& asked, std::uintptr_t number, std::string_view payload);
    void take_end(std::uintptr_t number, const fanwire_event& event);
    // The end of that request or question, within a minute; status 0: none came.
    bool wait_for_end(std::uintptr_t number);

    Violations& violations_;
    InboxHandle inbox_;
    EngineHandle engine_;
    std::mt19937_64 random_;
    std::uintptr_t last_number_ = 0;
    std::map<std::uintptr_t, Asked> asked_;  // without an end
    std::set<std::uintptr_t> counting_;
    std::uintptr_t last_ended_ = 0;
    End last_end_;
    std::uint64_t replies_ = 0;
    std::array<std::uint64_t, 64> ends_{}, counts_{};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace fanwire::chaos
