// Sockets, timers and the time of a loop. IO thread only.
#pragma once

#include "core/net/loop.h"
#include "core/net/network.h"
#include "core/net/resolver.h"

namespace fanwire::core {

class LoopNetwork final : public Network {
 public:
    // `loop` outlives it, and it outlives what it makes.
    explicit LoopNetwork(Loop& loop) : loop_(loop) {}

    std::unique_ptr<Wire> make_wire(Wire::Owner& owner) override;
    std::unique_ptr<Timer> make_timer(std::function<void()> callback) override;
    TimeMs now() const override { return now_ms(); }
    std::uint64_t now_us() const override { return core::now_us(); }

 private:
    Loop& loop_;
    Resolver resolver_;
};

}  // namespace fanwire::core
