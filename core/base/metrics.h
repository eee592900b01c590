// Counters of one engine. Written with relaxed order (they order nothing), read by snapshot from any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace fanwire::core {

class Counter {
   public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    void sub(std::uint64_t n = 1) { value_.fetch_sub(n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_{0};
};

struct Metrics {
    Counter connected, connects, disconnects, connect_errors;
    Counter published, publish_ok, publish_failed, publish_unknown, publish_queued;
    Counter received, delivered, dropped, gaps;
    Counter bytes_in, bytes_out;
    Counter subscriptions, subscriptions_desired, subscriptions_confirmed;
};

}  // namespace fanwire::core
