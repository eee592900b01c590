// What the tests of the C ABI share: handles that free themselves, events copied out of an inbox, deadlines.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fanwire/fanwire.h"

namespace capi_test {

// Long enough for a loaded machine under a sanitizer; nothing waits that long unless it fails.
inline constexpr std::uint64_t deadline_ms = 30000;

// Compares a call's status by name, with the thread's last error beside it.
#define EXPECT_STATUS(expected, call) EXPECT_PRED_FORMAT2(capi_test::same_status, expected, call)
#define ASSERT_STATUS(expected, call) ASSERT_PRED_FORMAT2(capi_test::same_status, expected, call)
inline testing::AssertionResult same_status(const char*, const char* call, int expected, int got) {
    if (expected == got) return testing::AssertionSuccess();
    return testing::AssertionFailure() << call << "\n  gave " << fanwire_status_name(got) << " ("
                                       << fanwire_last_error() << "), expected " << fanwire_status_name(expected);
}

// Until the condition holds; false after the deadline.
inline bool until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// Every engine has a bus of its own.
inline const std::string memory_url = "memory://";

template <typename T, void (*destroy)(T**)>
class Owned {
 public:
    Owned() = default;
    Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Owned& operator=(Owned&&) = delete;
    ~Owned() { reset(); }

    void reset() { destroy(&handle_); }
    T** out() { return &handle_; }
    operator T*() const { return handle_; }  // so that it stands wherever a handle does

 private:
    T* handle_ = nullptr;
};

using Engine = Owned<fanwire_engine, fanwire_engine_destroy>;
using Subscription = Owned<fanwire_subscription, fanwire_subscription_destroy>;

class Options : public Owned<fanwire_options, fanwire_options_destroy> {
 public:
    using Settings = std::vector<std::pair<const char*, std::string>>;

    Options() : Options(Settings{}) {}
    Options(std::initializer_list<Settings::value_type> settings) : Options(Settings(settings)) {}
    explicit Options(const Settings& settings) {
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_create(out()));
        for (const auto& [name, value] : settings)
            EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(*this, name, value.c_str()));
    }
};

// An engine on memory:// with these settings, connected.
inline Engine open_engine(const Options::Settings& settings = {}) {
    Options options(settings);
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", memory_url.c_str()));
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));
    return engine;
}

// An event, copied.
struct Seen {
    int kind = 0, status = 0, reason = 0, will_reconnect = 0;
    void* user_data = nullptr;
    std::string channel, payload, text;
    std::optional<std::string> pattern;
    std::uint64_t count = 0, delay_ms = 0, missing = 0;

    Seen() = default;
    explicit Seen(const fanwire_event& event)
        : kind(event.kind),
          status(event.status),
          reason(event.reason),
          will_reconnect(event.will_reconnect),
          user_data(event.user_data),
          channel(event.channel ? std::string(event.channel, event.channel_size) : ""),
          payload(event.payload ? std::string(event.payload, event.payload_size) : ""),
          text(event.text ? event.text : ""),
          count(event.count),
          delay_ms(event.delay_ms),
          missing(event.missing) {
        if (event.pattern) pattern = std::string(event.pattern, event.pattern_size);
    }
};

class Inbox : public Owned<fanwire_inbox, fanwire_inbox_destroy> {
 public:
    Inbox() : Inbox({}) {}
    Inbox(std::initializer_list<Options::Settings::value_type> settings) {
        Options options(settings);
        EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_create(out(), options));
    }

    // What waits now.
    std::vector<Seen> drain() {
        std::vector<Seen> all;
        fanwire_event events[64];
        std::size_t count = 0;
        do {
            EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_drain(*this, events, sizeof events[0], 64, &count));
            for (std::size_t i = 0; i < count; ++i) all.emplace_back(events[i]);
            EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(events, sizeof events[0], count));
        } while (count == 64);
        return all;
    }

    // The next event, waiting for it. Of kind 0 after the deadline, which fails the test.
    Seen next() {
        fanwire_event event;
        std::size_t count = 0;
        // Events of a subscription that was given up wake and are passed over: more than one drain may be needed.
        const bool came = until([&] {
            if (fanwire_inbox_wait(*this, deadline_ms) != FANWIRE_OK) return false;
            EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_drain(*this, &event, sizeof event, 1, &count));
            return count == 1;
        });
        EXPECT_TRUE(came) << "no event came";
        if (!came) return {};
        Seen seen(event);
        EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(&event, sizeof event, 1));
        return seen;
    }

    // The next event, which must be of this kind.
    Seen next(int kind) {
        Seen seen = next();
        EXPECT_EQ(kind, seen.kind) << "status " << fanwire_status_name(seen.status) << " " << seen.text;
        return seen;
    }

    fanwire_inbox_stats stats() {
        fanwire_inbox_stats stats{};
        EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_stats_get(*this, &stats, sizeof stats));
        return stats;
    }
};

inline int publish(fanwire_engine* engine, std::string_view channel, std::string_view payload) {
    return fanwire_publish(engine, channel.data(), channel.size(), payload.data(), payload.size());
}

// Receivers, after the outcome is known.
inline std::uint64_t publish_wait(fanwire_engine* engine, std::string_view channel, std::string_view payload) {
    std::uint64_t receivers = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_wait(engine, channel.data(), channel.size(), payload.data(),
                                                   payload.size(), deadline_ms, &receivers));
    return receivers;
}

inline int publish_async(fanwire_engine* engine, std::string_view channel, std::string_view payload,
                         fanwire_inbox* inbox, void* user_data = nullptr) {
    return fanwire_publish_async(engine, channel.data(), channel.size(), payload.data(), payload.size(), inbox,
                                 user_data);
}

// A confirmed subscription whose ACTIVE is drained.
inline Subscription subscribe(fanwire_engine* engine, std::string_view channel, Inbox& inbox,
                              void* user_data = nullptr) {
    Subscription subscription;
    EXPECT_STATUS(FANWIRE_OK,
                  fanwire_subscribe(subscription.out(), engine, channel.data(), channel.size(), inbox, user_data));
    EXPECT_EQ(user_data, inbox.next(FANWIRE_EVENT_ACTIVE).user_data);
    return subscription;
}

inline Subscription psubscribe(fanwire_engine* engine, std::string_view pattern, Inbox& inbox,
                               void* user_data = nullptr) {
    Subscription subscription;
    EXPECT_STATUS(FANWIRE_OK,
                  fanwire_psubscribe(subscription.out(), engine, pattern.data(), pattern.size(), inbox, user_data));
    EXPECT_EQ(user_data, inbox.next(FANWIRE_EVENT_ACTIVE).user_data);
    return subscription;
}

inline int state_of(fanwire_subscription* subscription) {
    int state = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_state_get(subscription, &state));
    return state;
}

inline fanwire_engine_stats stats_of(fanwire_engine* engine) {
    fanwire_engine_stats stats{};
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine, &stats, sizeof stats));
    return stats;
}

// A handle of one type, given as another: what a wrong cast in a binding does.
template <typename T, typename From>
T* disguised(const From& from) {
    return reinterpret_cast<T*>(static_cast<void*>(from));
}

}  // namespace capi_test
