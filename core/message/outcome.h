// What became of a publish, and who wants to know.
#pragma once

#include <cstdint>

#include "core/base/error.h"

namespace fanwire::core {

struct Outcome {
    Error error;                  // OK: Redis has it
    std::uint64_t receivers = 0;  // as Redis counts them
};

class OutcomeSink {
   public:
    virtual ~OutcomeSink() = default;
    // Called once for each publish that was accepted with this sink, on the IO thread. True when signal() must follow
    // at the end of the turn.
    [[nodiscard]] virtual bool settle(void* user_data, const Outcome& outcome) noexcept = 0;
    virtual void signal() noexcept = 0;
};

}  // namespace fanwire::core
