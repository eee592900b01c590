// A timer that is off until set; calls back once for each at().
#pragma once

#include "core/base/clock.h"

namespace fanwire::core {

class Timer {
 public:
    virtual ~Timer() = default;
    // Not to be called back is one at(never). Never fails.
    virtual void at(TimeMs time) = 0;
};

}  // namespace fanwire::core
