// Carries out what a Link wishes: a wire and a timer for the state machine.
#pragma once

#include <functional>
#include <memory>

#include "core/net/network.h"
#include "core/protocol/link.h"

namespace fanwire::core {

class LinkDriver final : private Wire::Owner {
 public:
    using Traffic = std::function<void(std::size_t in, std::size_t out)>;

    // `endpoint` stays its owner's, is read at each attempt and may be changed in between. `traffic` hears of the bytes
    // in and out; `turn_end` follows everything that came from the network.
    LinkDriver(Network& network, const Endpoint& endpoint, Link& link, Traffic traffic, std::function<void()> turn_end);

    void start();
    void stop();
    // In the child of a fork(): see Backend.
    void close_inherited() noexcept { wire_->abandon(); }
    // Does what the link has come to wish for, outside of a turn.
    void flush();
    const std::string& peer() const { return wire_->peer(); }

 private:
    void wire_opened() override;
    void wire_received(std::string_view bytes) override;
    std::span<char> wire_room() override { return link_.room(); }
    void wire_writable() override;
    void wire_broken(Error why) override;
    Error wire_moving_on(Error why) override { return link_.reopening(std::move(why)); }
    void tick();
    void pump();
    void note_progress();
    // Runs `step`, which may throw std::bad_alloc, and does what the link has come to wish for; never throws.
    template <class Step>
    void attempt(Step&& step);
    // The same for a step that came from the network.
    template <class Step>
    void turn(Step&& step);
    // Whether what the system has taken from us is still going out, as it does for long on a slow network.
    bool moving();

    Network& network_;
    Link& link_;
    const Endpoint& endpoint_;
    const std::unique_ptr<Wire> wire_;
    const std::unique_ptr<Timer> timer_;
    Traffic traffic_;
    std::function<void()> turn_end_;
    TimeMs armed_ = never;
    // Of this connection: bytes written, and how many of them had arrived at the last look.
    std::int64_t written_ = 0, arrived_ = 0;
    bool waited_ = false;                  // others had not
    bool greeted_ = false, good_ = false;  // the wire knows that this connection was greeted; that it has worked
};

}  // namespace fanwire::core
