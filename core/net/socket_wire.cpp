#include "core/net/socket_wire.h"

#include <new>
#include <utility>

namespace fanwire::core {

SocketWire::SocketWire(Loop& loop, Resolver& resolver, Wire::Owner& owner)
    : owner_(owner), dialer_(loop, resolver, *this), stream_(loop, *this) {}

void SocketWire::open(const Endpoint& endpoint) {
    stream_.close();
    dialer_.dial(endpoint);
}

void SocketWire::close() {
    stream_.close();
    dialer_.close();
}

void SocketWire::abandon() noexcept {
    stream_.abandon();
    dialer_.abandon();
}

void SocketWire::dialed(Dialed dialed) {
    stream_.open(std::move(dialed), dialer_.endpoint().read_delay_max_us);
    owner_.wire_opened();
}

void SocketWire::dial_failed(Error why) {
    stream_.drop();  // there may be one, when the memory ended at the handover
    owner_.wire_broken(std::move(why));
}

// The server at this address is not the one that will do: while it has not greeted, the next one has its turn at once,
// unless that fails for want of memory.
void SocketWire::over(Error why) {
    stream_.close();
    try {
        if (why.status != Status::NO_MEMORY && dialer_.has_another())
            return dialer_.move_on(owner_.wire_moving_on(std::move(why)));
    } catch (const std::bad_alloc&) {
        why = {Status::NO_MEMORY, "out of memory"};
    }
    dialer_.close();
    owner_.wire_broken(std::move(why));
}

}  // namespace fanwire::core
