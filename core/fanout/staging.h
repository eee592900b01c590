// What one turn of the loop collects for the inboxes of an engine: messages, so that an inbox is locked once for many
// of them, and the consumers that are to be woken. IO thread only.
//
// A stage belongs to one outlet from its first message of the turn until commit(), and the outlet points to it. So two
// inboxes never share a stage, however many there are, and an inbox without traffic costs no more than that pointer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/fanout/inbox.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

// Messages that the inbox of an outlet has not been given yet.
struct Stage {
    static constexpr std::size_t few = 32, many = 256;

    std::array<Delivery, few> own;
    std::size_t count = 0, capacity = few;
    Delivery* deliveries = own.data();  // or the block
    std::unique_ptr<Delivery[]> block;  // of `many`, once there were more than a few
    OutletRef outlet;                   // whose it is
    Stage* next = nullptr;              // of those in use, or of the spare ones
    Stage* next_of_bucket = nullptr;
};

class Staging {
 public:
    Staging() = default;
    ~Staging();  // after commit()
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    // Puts a message behind those that wait for its inbox; takes over the reference.
    void add(Subscription& subscription, Message* message) noexcept {
        Outlet& outlet = subscription.outlet();
        Stage* stage = outlet.stage;
        if (!stage || stage->count == stage->capacity) {
            stage = make_room(outlet);
            if (!stage) return push_now(subscription, message);
        }
        stage->deliveries[stage->count++] = {message, &subscription};
    }
    // Gives the inbox what waits for it, since something follows that stands behind it.
    void flush(const Outlet& outlet) noexcept {
        if (outlet.stage) push(*outlet.stage);
    }
    void flush(const OutcomeSink& sink) noexcept;
    // commit() will wake the consumer.
    void wake_later(const std::shared_ptr<OutcomeSink>& sink) noexcept;
    // Gives the inboxes all that waits for them, then wakes the consumers.
    void commit() noexcept;

    static constexpr std::size_t spares_max = 256;
    // How many stages are kept for the next turns.
    std::size_t spares() const { return spares_; }

 private:
    static constexpr std::size_t buckets = 64;
    static constexpr std::size_t blocks_max =
        16;  // as many inboxes as fit into the processor's caches with a block each

    static std::size_t bucket_of(const OutcomeSink* sink) {
        static_assert(buckets == 64);
        return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(sink) >> 4) * 0x9e3779b97f4a7c15u >> 58);
    }
    Stage* make_room(Outlet& outlet) noexcept;
    Stage* begin(Outlet& outlet) noexcept;
    bool grow(Stage& stage) noexcept;
    void end(Stage& stage) noexcept;
    void push(Stage& stage) noexcept;
    void push_now(Subscription& subscription, Message* message) noexcept;

    Stage *first_ = nullptr, *last_ = nullptr;  // in use, in the order of their first messages
    std::array<Stage*, buckets> by_sink_{};     // the same, by their inboxes
    Stage* spare_ = nullptr;
    std::size_t spares_ = 0, blocks_ = 0;
    std::vector<std::shared_ptr<OutcomeSink>> to_wake_;
};

}  // namespace fanwire::core
