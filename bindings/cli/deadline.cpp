#include "bindings/cli/deadline.h"

#include <algorithm>
#include <climits>

namespace fanwire::cli {

Deadline deadline_in(std::optional<unsigned long long> milliseconds) {
    if (!milliseconds) return std::nullopt;
    return Clock::now() + std::chrono::milliseconds(*milliseconds);
}

bool passed(const Deadline& deadline) {
    return deadline && Clock::now() >= *deadline;
}

int poll_timeout(const Deadline& deadline) {
    if (!deadline) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

}  // namespace fanwire::cli
