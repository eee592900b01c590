// What links need of the world: connections, timers, the time. LoopNetwork is the real one; tests have others, whose
// time is a number.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/net/timer.h"
#include "core/net/wire.h"

namespace fanwire::core {

class Network {
 public:
    virtual ~Network() = default;
    // `owner` outlives the wire.
    virtual std::unique_ptr<Wire> make_wire(Wire::Owner& owner) = 0;
    virtual std::unique_ptr<Timer> make_timer(std::function<void()> callback) = 0;
    virtual TimeMs now() const = 0;
    // In microseconds, for measuring.
    virtual std::uint64_t now_us() const = 0;
};

}  // namespace fanwire::core
