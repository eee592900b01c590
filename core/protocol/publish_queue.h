// Publishes between acceptance and outcome: encoded, in order, bounded by whoever accepts them.
//
//   unsent --written--> in flight --reply--> settled
//
// When the connection breaks, those in flight may or may not have been executed (OUTCOME_UNKNOWN); one that was written
// only in part cannot have been, since its last byte never left, and is sent again, once: what breaks two connections
// would break them all, and nothing behind it would ever be sent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/ring.h"
#include "core/message/outcome.h"
#include "core/protocol/publish_batch.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

class PublishQueue {
 public:
    // Told of each publish once, in runs: what became of them.
    using OnSettled = std::function<void(const SettledRun& run)>;
    // Told of publishes that are unsent no longer.
    using Unqueued = std::function<void(std::size_t count, std::size_t bytes)>;
    // Told of the answers to the link's own AUTH, probes and NUMSUBs. The reply is valid during the call.
    using Answered = std::function<void(PublishRecord::Kind kind, const Reply& reply)>;

    PublishQueue(OnSettled settled, Unqueued unqueued, Answered answered);

    // Takes what is in the batch and leaves it empty, with memory for the next. Deadlines do not decrease from batch to
    // batch. Nothing is changed if it throws std::bad_alloc.
    void append(PublishBatch& batch);
    // A command of the link's own: not counted, and forgotten when the link breaks.
    void append_own(PublishRecord::Kind kind, std::string_view command);

    // Part of what is unsent, valid until the next call; empty when there is nothing.
    std::string_view output() const;
    void wrote(std::size_t size) noexcept;
    bool idle() const { return records_.empty(); }
    bool awaits_reply() const { return in_flight_ > 0; }
    bool has_unsent() const { return in_flight_ < records_.size(); }
    // Publishes without an outcome.
    std::size_t unsettled() const { return unsettled_; }

    // None of these needs memory to settle what has to be settled.

    // Whether a command of this kind may be answered so. What is answered by anything else is settled with the link.
    static bool answers(PublishRecord::Kind kind, const Reply& reply);
    // False if nothing was asked, or that.
    [[nodiscard]] bool reply(const Reply& reply);
    // Settles by the whole plain numbers of receivers in front of `bytes`, which begin a reply; how many bytes those
    // are. What is anything else, or answers nothing, is left to reply().
    [[nodiscard]] std::size_t scan(std::string_view bytes);
    // Whether it would take anything.
    bool can_scan(std::string_view bytes) const;
    void link_down(const Error& why);
    void fail_unsent(const Error& why);
    // The server has said no in the middle of a publish, and everything before it is answered: that is its outcome. The
    // connection is of no use any more. False if nothing is written in part.
    [[nodiscard]] bool refuse_part(const Error& why);
    // What the server is to answer next; publish if nothing.
    PublishRecord::Kind awaited() const {
        return in_flight_ > 0 ? records_.front().kind : PublishRecord::Kind::publish;
    }

    // Settles what has waited too long.
    void tick(TimeMs now);
    TimeMs deadline() const;
    // Unsent records that were looked at because something of the unsent had to go, ever: what that cost.
    std::uint64_t looked_at() const { return looked_at_; }

 private:
    // What came in one batch.
    struct Group {
        std::size_t records = 0;  // that are still in records_
        TimeMs taken_at = 0, deadline = never;
        std::uint64_t accepted_us = 0;
        std::vector<std::shared_ptr<OutcomeSink>> sinks;
    };
    class Settling;

    bool publish_in_front() const {
        return in_flight_ > 0 && expired_ == 0 && records_.front().kind == PublishRecord::Kind::publish;
    }
    void append_chunk(CommandChunk&& chunk) noexcept;
    void drop_sent() noexcept;
    void forget_front(std::size_t count) noexcept;
    template <class Gone>
    void erase_unsent(Settling* settling, Gone&& gone) noexcept;
    static TimeMs deadline_of(const PublishRecord& record, const Group& group) {
        return record.timeout == 0 ? group.deadline : group.taken_at + record.timeout;
    }
    bool part_of_publish() const {
        return front_sent_ > 0 && has_unsent() && records_[in_flight_].kind == PublishRecord::Kind::publish;
    }
    void settle_front_unsent(const Error& why) noexcept;
    TimeMs first_deadline(bool part) const;
    void expire_one_by_one(TimeMs now) noexcept;
    void expire_in_flight(TimeMs now) noexcept;
    void expire_unsent(TimeMs now) noexcept;
    void drop_front_bytes(std::size_t size) noexcept;

    OnSettled settled_;
    Unqueued unqueued_;
    Answered answered_;
    Ring<CommandChunk> chunks_;  // of the unsent; none is empty
    std::vector<CommandChunk> spare_;
    std::size_t front_sent_ = 0;   // how much of the front unsent one is written
    Ring<PublishRecord> records_;  // in flight, then unsent
    Ring<Group> groups_;           // of all of them; none is empty
    std::size_t in_flight_ = 0;
    std::size_t expired_ = 0;   // of those in flight, at the front: settled already, their replies are still to come
    std::size_t marked_ = 0;    // of those in flight: of the kind that says so
    std::size_t timed_ = 0;     // that have a timeout of their own and no outcome
    TimeMs next_look_ = never;  // if there are such: when to look which are due
    std::size_t unsettled_ = 0;
    std::size_t own_unsent_ = 0;
    std::uint64_t looked_at_ = 0;
};

}  // namespace fanwire::core
