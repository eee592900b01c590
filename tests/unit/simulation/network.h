// The world of the simulation: wires to the model of Redis, timers and a time that the schedule moves on.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "core/net/network.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"
#include "tests/unit/simulation/wire.h"

namespace fanwire::core::simulation {

class SimulatedNetwork final : public Network {
 public:
    SimulatedNetwork(const TimeMs& now, ModelRedis& redis, std::mt19937& random, Coverage& coverage)
        : now_(now), redis_(redis), random_(random), coverage_(coverage) {}

    std::unique_ptr<Wire> make_wire(Wire::Owner& owner) override {
        auto made = std::make_unique<SimulatedWire>(redis_, random_, coverage_, owner);
        wires_.push_back(made.get());
        return made;
    }
    std::unique_ptr<Timer> make_timer(std::function<void()> callback) override {
        return std::make_unique<SimulatedTimer>(timers_, std::move(callback));
    }
    TimeMs now() const override { return now_; }
    std::uint64_t now_us() const override { return static_cast<std::uint64_t>(now_) * 1000; }

    // In the order in which they were made.
    SimulatedWire& wire(std::size_t which) { return *wires_.at(which); }

    // Calls back whoever is due.
    void run_timers() {
        for (int round = 0; round < 100; ++round) {
            bool any = false;
            for (std::size_t i = 0; i < timers_.size(); ++i) {
                if (timers_[i]->due > now_) continue;
                any = true;
                timers_[i]->due = never;
                timers_[i]->callback();
            }
            if (!any) return;
        }
        ADD_FAILURE() << "a timer is always due";
    }

 private:
    struct SimulatedTimer final : Timer {
        SimulatedTimer(std::vector<SimulatedTimer*>& all, std::function<void()> what)
            : callback(std::move(what)), all_(all) {
            all_.push_back(this);
        }
        ~SimulatedTimer() override { std::erase(all_, this); }
        void at(TimeMs time) override { due = time; }

        TimeMs due = never;
        const std::function<void()> callback;

     private:
        std::vector<SimulatedTimer*>& all_;
    };

    const TimeMs& now_;
    ModelRedis& redis_;
    std::mt19937& random_;
    Coverage& coverage_;
    std::vector<SimulatedWire*> wires_;
    std::vector<SimulatedTimer*> timers_;
};

}  // namespace fanwire::core::simulation
