#include "core/engine/health_record.h"

namespace fanwire::core {

void HealthRecord::subscription_refused(const Error& why) noexcept {
    std::lock_guard lock(mutex_);
    refusal_ = why;
}

void HealthRecord::probe_returned(std::uint64_t round_trip_us, TimeMs now) noexcept {
    probe_at_.store(now, std::memory_order_relaxed);
    probe_us_.store(round_trip_us, std::memory_order_relaxed);
    if (probe_returned_.exchange(true, std::memory_order_relaxed)) return;
    std::lock_guard lock(mutex_);
    probe_refusal_ = {};
}

void HealthRecord::probe_refused(const Error& why) noexcept {
    std::lock_guard lock(mutex_);
    probe_refusal_ = why;
    probe_returned_.store(false, std::memory_order_relaxed);
}

void HealthRecord::add_to(HealthFacts& facts) const {
    facts.received_at = heard_at_.load(std::memory_order_relaxed);
    facts.probe_at = probe_at_.load(std::memory_order_relaxed);
    facts.probe_us = probe_us_.load(std::memory_order_relaxed);
    facts.probe_returned = probe_returned_.load(std::memory_order_relaxed);
    std::lock_guard lock(mutex_);
    facts.refusal = refusal_;
    facts.probe_refusal = probe_refusal_;
}

}  // namespace fanwire::core
