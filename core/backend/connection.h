// Carries out what a Link wishes: a socket and a timer for the state machine.
#pragma once

#include <functional>

#include "core/net/transport.h"
#include "core/protocol/link.h"

namespace fanwire::core {

class Connection : public Transport::Owner {
   public:
    // `traffic` is told of bytes in and out; `turn_end` follows everything that came from the loop.
    using Traffic = std::function<void(std::size_t in, std::size_t out)>;

    Connection(Loop& loop, Resolver& resolver, Endpoint endpoint, Link& link, Traffic traffic, Loop::Callback turn_end);

    void start();
    void stop();
    // In the child of a fork(): see Backend.
    void abandon() noexcept { transport_.abandon(); }
    // Does what the link has come to wish for.
    void pump();
    const std::string& peer() const { return transport_.peer(); }

   private:
    void transport_opened() override;
    void transport_received(std::string_view bytes) override;
    void transport_writable() override;
    void transport_broken(Error why) override;
    void tick();
    // Runs `step`, which may throw std::bad_alloc: then the link is given up and made anew.
    void guarded(const std::function<void()>& step);

    Link& link_;
    Transport transport_;
    Loop::Timer timer_;
    Traffic traffic_;
    Loop::Callback turn_end_;
    TimeMs armed_ = never;
};

}  // namespace fanwire::core
