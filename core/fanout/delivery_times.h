// Measures the time from reading to draining. Messages of one read are drained in a row and took equally long, so each
// such run is recorded at once.
#pragma once

#include <utility>

#include "core/base/clock.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

class DeliveryTimes {
 public:
    DeliveryTimes() = default;
    ~DeliveryTimes() { flush(); }
    DeliveryTimes(const DeliveryTimes&) = delete;
    DeliveryTimes& operator=(const DeliveryTimes&) = delete;

    void add(const Subscription& subscription, std::uint64_t received_us) {
        Metrics& metrics = subscription.metrics();
        if (&metrics != metrics_ || received_us != received_us_) {
            flush();
            metrics_ = &metrics;
            received_us_ = received_us;
        }
        ++count_;
    }

 private:
    void flush() {
        if (count_ == 0) return;
        if (now_ == 0) now_ = now_us();
        metrics_->delivery_latency.add(now_ > received_us_ ? now_ - received_us_ : 0, std::exchange(count_, 0));
    }

    Metrics* metrics_ = nullptr;
    std::uint64_t received_us_ = 0, count_ = 0, now_ = 0;
};

}  // namespace fanwire::core
