// Counters and latencies of one engine. Written with relaxed order (they order nothing), read by snapshot from any
// thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fanwire::core {

class Counter {
 public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    // Where one thread is the only one that ever writes.
    void add_alone(std::uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
    void sub(std::uint64_t n = 1) { value_.fetch_sub(n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    void raise_to(std::uint64_t n) {
        std::uint64_t now = get();
        while (now < n && !value_.compare_exchange_weak(now, n, std::memory_order_relaxed)) {
        }
    }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> value_{0};
};

struct LatencySnapshot {
    static constexpr std::size_t bucket_count = 28;

    std::uint64_t count = 0, sum_us = 0, max_us = 0;
    std::array<std::uint64_t, bucket_count> buckets{};

    // The upper bound, at most the maximum, of the bucket that holds the `fraction` of all; 0 when there are none.
    std::uint64_t quantile(double fraction) const;
};

// A histogram of microseconds: bucket i holds what took more than 2^(i-1) and at most 2^i, the last all above too.
class Latency {
 public:
    void add(std::uint64_t us, std::uint64_t n = 1) {
        const auto bucket = static_cast<std::size_t>(us <= 1 ? 0 : std::bit_width(us - 1));
        buckets_[bucket < buckets_.size() ? bucket : buckets_.size() - 1].add(n);
        sum_us_.add(us * n);
        max_us_.raise_to(us);
    }
    LatencySnapshot snapshot() const;

 private:
    std::array<Counter, LatencySnapshot::bucket_count> buckets_;
    Counter sum_us_, max_us_;
};

struct Metrics {
#define FANWIRE_METRIC(member, kind, help) Counter member;
#include "core/base/metrics.def"
#undef FANWIRE_METRIC
    Latency publish_latency, delivery_latency;
};

}  // namespace fanwire::core
