// The queue of an inbox: its messages in their order, within the limits, and an empty slot for each event that stands
// among them. Every slot has a position, a sequence number that outlives it.
//
// A slot is two pointers, so that many are moved under one lock. What a message costs is only known when it is looked
// at, which the consumer does without the lock: until then its bytes count as queued.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/settings.h"
#include "core/fanout/block_queue.h"
#include "core/fanout/conflation.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

struct InboxLimits {
    std::size_t count = 65536;
    std::size_t bytes = std::size_t{64} << 20;
    Overflow overflow = Overflow::drop_oldest;
};

// A message, with one reference to it, for a subscription. The subscription is kept alive by the fan-out, then by its
// ENDED event.
struct Delivery {
    Message* message = nullptr;  // in a queue, null: an event stands there
    Subscription* subscription = nullptr;
};

class MessageQueue {
 public:
    // `seed`: as for Conflation.
    MessageQueue(InboxLimits limits, std::uint64_t seed)
        : limits_(limits),
          conflation_(limits.overflow == Overflow::conflate ? std::make_unique<Conflation>(seed) : nullptr) {}

    const InboxLimits& limits() const { return limits_; }
    bool empty() const { return slots_.empty(); }
    // How many slots there are, and GAPs of conflation in front of them.
    std::size_t size() const { return slots_.size() + (conflation_ ? conflation_->replaced_positions() : 0); }
    std::size_t bytes() const { return bytes_ - released_bytes_.load(std::memory_order_relaxed); }
    std::uint64_t front_position() const { return first_; }
    std::uint64_t next_position() const { return first_ + slots_.size(); }
    Delivery& front() { return slots_.front(); }

    // ---- In ----

    // Whether there is room for one more message. The bytes of a drain in progress never keep one out while the queue
    // itself is empty.
    bool fits(std::size_t cost);
    // Appends the leading messages for which there are room and memory. Returns how many. Not with conflation.
    std::size_t append_fitting(const Delivery* deliveries, std::size_t count) noexcept;
    // Throws std::bad_alloc, and then has changed nothing.
    void push(const Delivery& delivery);
    // After this the next push_event() cannot fail. Throws std::bad_alloc, and then has changed nothing.
    void make_room() { slots_.make_room(); }
    // An empty slot.
    void push_event(Subscription* subscription) { slots_.push_back({nullptr, subscription}); }

    // ---- Conflation ----

    bool conflates() const { return conflation_ != nullptr; }
    // Where the newest message of this one's subscription and channel stands. Returns 0 when none is known.
    std::uint64_t find_alike(const Delivery& delivery) const {
        return conflation_->find(*delivery.subscription, *delivery.message);
    }
    // Puts the message into that slot, if it fits there; the one that was there is released. Throws std::bad_alloc, and
    // then has changed nothing.
    enum class Replaced : std::uint8_t { no, first, again };
    Replaced replace(std::uint64_t position, const Delivery& delivery);
    // How many messages were replaced in the front slot: a GAP with that count stands before it. And once more, when
    // the GAP is taken.
    std::uint64_t replaced_at_front() const { return conflation_ ? conflation_->replaced_at(first_) : 0; }
    std::uint64_t take_replaced_at_front() { return conflation_->take_replaced(first_); }
    // From here on nothing that is queued may be replaced.
    void stop_replacing() {
        if (conflation_) conflation_->forget_latest();
    }

    // ---- Out ----

    // Moves messages that stand in a row at the front, at most `most`. Returns how many. Not with conflation.
    std::size_t take_row(std::vector<Delivery>& to, std::size_t most);
    // The message in the front slot; its bytes still count.
    Message* pop_message();
    // The same for one that is dropped: it is released, and its bytes no longer count.
    void drop_message();
    void pop_event() {
        slots_.drop(1);
        ++first_;
    }
    // Of what has just been taken: stops counting its bytes if the queue is more than half full, so that what comes
    // meanwhile finds room. Returns whether it has; else the consumer calls release_bytes().
    bool settle(const std::vector<Delivery>& taken);
    // Thread: the consumer's, without the mutex. Bytes of messages that were taken, and how many events it was given.
    void release_bytes(std::size_t bytes) { released_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
    void count_drained(std::size_t count) {
        drained_.store(drained_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    std::uint64_t drained() const { return drained_.load(std::memory_order_relaxed); }
    void prefetch_ahead() {
        constexpr std::size_t ahead = 8;
        if (slots_.size() > ahead) __builtin_prefetch(slots_[ahead].subscription);
    }
    // Releases all.
    void clear();

 private:
    void take_released() { bytes_ -= released_bytes_.exchange(0, std::memory_order_relaxed); }

    const InboxLimits limits_;
    BlockQueue<Delivery, 64, 2048> slots_;  // keeps up to 2 MiB of blocks
    std::uint64_t first_ = 1;               // position of the front slot
    std::unique_ptr<Conflation> conflation_;
    std::size_t messages_ = 0;
    std::size_t bytes_ = 0;  // of the messages, and of those in released_bytes_
    // Written by the consumer.
    alignas(64) std::atomic<std::size_t> released_bytes_{0};
    std::atomic<std::uint64_t> drained_{0};
};

}  // namespace fanwire::core
