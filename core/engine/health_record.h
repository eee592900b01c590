// What the IO thread has seen that a verdict on the engine's health needs: refusals, probes, signs of life.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/settings.h"
#include "core/engine/health.h"
#include "core/fanout/engine_share.h"

namespace fanwire::core {

class HealthRecord {
 public:
    HealthRecord(const Settings& settings, const EngineShare& share) : settings_(settings), share_(share) {}

    // ---- IO thread ----

    // Something came in on the subscribe link.
    void heard(TimeMs now) noexcept { heard_at_.store(now, std::memory_order_relaxed); }
    void subscription_refused(const Error& why) noexcept;
    void probe_returned(std::uint64_t round_trip_us, TimeMs now) noexcept;
    void probe_refused(const Error& why) noexcept;
    // The links are not what they were: no probe has come back on them yet.
    void probe_reset() noexcept { probe_returned_.store(false, std::memory_order_relaxed); }

    // The verdict at this moment. Thread: any.
    Health health(bool closed) const;

 private:
    const Settings& settings_;
    const EngineShare& share_;
    std::atomic<TimeMs> heard_at_{never}, probe_at_{never};
    std::atomic<std::uint64_t> probe_us_{0};
    std::atomic<bool> probe_returned_{false};
    mutable std::mutex mutex_;
    Error refusal_, probe_refusal_;  // the last ones; under the mutex
};

}  // namespace fanwire::core
