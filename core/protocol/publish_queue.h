// Publishes between acceptance and outcome: encoded, in order, bounded by whoever accepts them.
//
//   unsent --written--> in flight --reply--> settled
//
// When the connection breaks, those in flight may or may not have been executed (OUTCOME_UNKNOWN); one that was written
// only in part cannot have been, since its last byte never left, and is sent anew.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/message/outcome.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

struct PublishRecord {
    std::uint32_t size = 0;        // of the encoded command
    std::uint32_t channel_at = 0;  // where the channel stands in it
    std::uint32_t channel_size = 0;
    std::uint32_t payload_size = 0;
    TimeMs deadline = never;
    std::shared_ptr<OutcomeSink> sink;  // nobody asked: null
    void* user_data = nullptr;
    // What is not a publish is of the link's own making: not counted and not settled.
    enum class Kind : std::uint8_t { publish, ping, auth, probe } kind = Kind::publish;
    std::uint64_t accepted_us = 0;

    // Views into the command's bytes.
    std::string_view channel(std::string_view command) const { return command.substr(channel_at, channel_size); }
    std::string_view payload(std::string_view command) const {
        return command.substr(size - 2 - payload_size, payload_size);
    }
};

// Commands back to back, and a record for each.
struct PublishBatch {
    std::string bytes;
    std::vector<PublishRecord> records;
    std::uint64_t accepted_us = 0;  // when the first of them was

    // Appends PUBLISH; nothing is changed if it throws std::bad_alloc.
    void add(std::string_view channel, std::string_view payload, PublishRecord record);
    bool empty() const { return records.empty(); }
};

class PublishQueue {
   public:
    // Told of each publish once: what became of it.
    using Settled = std::function<void(const PublishRecord& record, const Outcome& outcome)>;
    // Told of publishes that are unsent no longer.
    using Unqueued = std::function<void(std::size_t count, std::size_t bytes)>;
    // Told of the answers to the link's own AUTH and probes. The reply is valid during the call.
    using Answered = std::function<void(PublishRecord::Kind kind, const Reply& reply)>;

    PublishQueue(Settled settled, Unqueued unqueued, Answered answered)
        : settled_(std::move(settled)), unqueued_(std::move(unqueued)), answered_(std::move(answered)) {}

    // Nothing is changed if it throws std::bad_alloc.
    void append(PublishBatch&& batch);
    // A command of the link's own: not counted, and forgotten when the link breaks.
    void append_own(PublishRecord::Kind kind, std::string command);

    std::string_view output() const;
    void wrote(std::size_t size) noexcept;
    bool idle() const { return records_.empty(); }
    bool awaits_reply() const { return in_flight_ > 0; }
    bool has_unsent() const { return in_flight_ < records_.size(); }
    // Publishes without an outcome.
    std::size_t unsettled() const { return unsettled_; }

    // None of these needs memory to settle what has to be settled.

    // False if nothing was asked.
    [[nodiscard]] bool reply(const Reply& reply);
    void link_down(const Error& why);
    void fail_unsent(const Error& why);

    // Settles what has waited too long.
    void tick(TimeMs now);
    TimeMs deadline() const;

   private:
    const PublishRecord& front_unsent() const { return records_[in_flight_]; }
    std::size_t first_that_may_expire() const;
    void erase_unsent(std::size_t first, std::size_t count);
    void drop_front_bytes();
    void forget_own() noexcept;
    void settle(const PublishRecord& record, Error error, std::uint64_t receivers = 0);

    Settled settled_;
    Unqueued unqueued_;
    Answered answered_;
    std::string bytes_;           // commands of the unsent, from begin_ on
    std::size_t begin_ = 0;       // where the front one starts
    std::size_t front_sent_ = 0;  // how much of the front one is written
    std::deque<PublishRecord> records_;  // in flight, then unsent
    std::size_t in_flight_ = 0;
    std::size_t expired_ = 0;  // of those in flight, at the front: settled already, their replies are still to come
    std::size_t unsettled_ = 0;
    std::size_t own_unsent_ = 0;
};

}  // namespace fanwire::core
