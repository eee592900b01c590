#include "core/engine/health_record.h"

#include <utility>

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

Health HealthRecord::health(bool closed) const {
    const Metrics& metrics = share_.metrics;
    HealthFacts facts;
    facts.closed = closed;
    facts.has_links = settings_.backend != BackendKind::memory;
    facts.publish_link = metrics.publish_link.get() != 0;
    facts.subscribe_link = metrics.subscribe_link.get() != 0;
    facts.confirmed = metrics.subscriptions_confirmed.get();  // first: it never exceeds what is read after it for long
    facts.refused = metrics.subscriptions_refused.get();
    facts.desired = metrics.subscriptions_desired.get();
    const std::uint64_t seen = metrics.subscriptions.get(), open = share_.queue.open();
    facts.unseen = open > seen ? open - seen : 0;
    facts.heartbeat_timeout = settings_.heartbeat_timeout_ms + settings_.heartbeat_interval_ms;
    facts.probe_interval = settings_.probe_interval_ms;
    facts.probe_deadline = settings_.heartbeat_timeout_ms;
    facts.received_at = heard_at_.load(std::memory_order_relaxed);
    facts.probe_at = probe_at_.load(std::memory_order_relaxed);
    facts.probe_us = probe_us_.load(std::memory_order_relaxed);
    facts.probe_returned = probe_returned_.load(std::memory_order_relaxed);
    {
        std::lock_guard lock(mutex_);
        facts.refusal = refusal_;
        facts.probe_refusal = probe_refusal_;
    }
    LiveState::Trouble trouble = share_.state.trouble();
    facts.connection = std::move(trouble.why);
    facts.gave_up = trouble.exhausted;
    facts.now = now_ms();
    return judge(facts);
}

}  // namespace fanwire::core
