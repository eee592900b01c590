// A Pollable over eventfd, or over a pipe where there is none.
#pragma once

#include <memory>

#include "core/base/pollable.h"

namespace fanwire::core {

// Throws Failure SYSTEM_ERROR when there are no descriptors left.
std::unique_ptr<Pollable> make_event_fd();

}  // namespace fanwire::core
