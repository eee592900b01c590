#include "core/net/loop_network.h"

#include <utility>

#include "core/net/socket_wire.h"

namespace fanwire::core {

std::unique_ptr<Wire> LoopNetwork::make_wire(Wire::Owner& owner) {
    return std::make_unique<SocketWire>(loop_, resolver_, owner);
}

std::unique_ptr<Timer> LoopNetwork::make_timer(std::function<void()> callback) {
    return std::make_unique<Loop::Timer>(loop_, std::move(callback));
}

}  // namespace fanwire::core
