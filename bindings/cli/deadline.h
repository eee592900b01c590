// How long the command may take.
#pragma once

#include <chrono>
#include <optional>

namespace fanwire::cli {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;  // none: for ever

Deadline deadline_in(std::optional<unsigned long long> milliseconds);
bool passed(const Deadline& deadline);

// What is left of it, as poll() takes it: -1 for ever.
int poll_timeout(const Deadline& deadline);

}  // namespace fanwire::cli
