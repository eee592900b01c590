// What became of a publish, and who wants to know.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/base/error.h"

namespace fanwire::core {

struct Outcome {
    Error error;                  // OK: Redis has it
    std::uint64_t receivers = 0;  // as Redis counts them
};

// One of several publishes that ended alike.
struct Settled {
    void* user_data;
    std::uint64_t receivers;
};

class OutcomeSink {
 public:
    virtual ~OutcomeSink() = default;
    // Called once for each publish that was accepted with this sink, on the IO thread: in their order, several at once.
    // True when signal() must follow at the end of the turn.
    [[nodiscard]] virtual bool settle(std::span<const Settled> publishes, const Error& error) noexcept = 0;
    // One of them.
    [[nodiscard]] bool settle(void* user_data, const Outcome& outcome) noexcept {
        const Settled one{user_data, outcome.receivers};
        return settle({&one, 1}, outcome.error);
    }
    virtual void signal() noexcept = 0;
};

// Publishes that were accepted at once with one sink, one after the other, and have ended alike.
struct SettledRun {
    const std::shared_ptr<OutcomeSink>* sink = nullptr;  // nobody asked: null
    std::uint64_t accepted_us = 0;
    std::span<const Settled> publishes;
    const Error& error;
};

}  // namespace fanwire::core
