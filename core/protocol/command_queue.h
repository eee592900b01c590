// Commands between acceptance and answer: publishes, encoded, in order, bounded by whoever accepts them, and commands
// of the link's own among them.
//
//   unsent --written--> in flight --reply--> settled
//
// When the connection breaks, those in flight may or may not have been executed (OUTCOME_UNKNOWN); one that was written
// only in part cannot have been, since its last byte never left, and is sent again, once: what breaks two connections
// would break them all, and nothing behind it would ever be sent.
//
// A publish that Redis does not answer by a number may not be at its end: it has moved to another node, or its script
// is not known. What becomes of it is the owner's to say (Rejection). To send it elsewhere its bytes are needed: a
// queue that retains keeps them until they are answered, in the chunks that they came in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/ring.h"
#include "core/message/outcome.h"
#include "core/message/publish_batch.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

// What becomes of a publish that was not answered by a number.
enum class Rejection : std::uint8_t {
    outcome,   // the answer is its outcome
    take_out,  // it was not executed, and goes elsewhere: CommandQueue::take_rejected()
    fault,     // the server must not say that: the stream cannot be trusted any more
};

// Of one server, which has nobody to send anything to: an error is the outcome, anything else a fault.
Rejection rejection_by_one_server(const Reply& reply);

struct CommandRecord {
    // What the command is for. What is not a publish is of the link's own making, not counted and not settled; or a
    // publish that was settled before its answer came.
    enum class Purpose : std::uint8_t { publish, ping, auth, probe, numsub, role, expired };

    std::uint32_t size = 0;  // of the encoded command
    std::uint32_t sink = 0;  // its number among the sinks of its group, from 1 on; nobody asked: 0
    void* user_data = nullptr;
    std::uint32_t timeout = 0;  // ms, of its own; 0: that of its group
    Purpose purpose = Purpose::publish;
    bool begun = false;  // part of it was written on a connection that is gone

    CommandRecord() = default;
    explicit CommandRecord(const PublishRecord& publish)
        : size(publish.size),
          sink(publish.sink),
          user_data(publish.user_data),
          timeout(publish.timeout),
          begun(publish.begun) {}
};

static_assert(sizeof(void*) != 8 || sizeof(CommandRecord) == 24);

class CommandQueue {
 public:
    enum class Retention : std::uint8_t {
        none,            // bytes go when they are written
        until_answered,  // so that take_out is possible; without it, that is as outcome
    };

    // Told of each publish once, in runs: what became of them.
    using OnSettled = std::function<void(const SettledRun& run)>;
    // Told of publishes that are unsent no longer.
    using Unqueued = std::function<void(std::size_t count, std::size_t bytes)>;
    // Told of the answers to the link's own AUTH, probes, NUMSUBs and ROLEs. The reply is valid during the call.
    using Answered = std::function<void(CommandRecord::Purpose purpose, const Reply& reply)>;

    // Asked for each publish that was not answered by a number, also for one that has its outcome already. The reply is
    // valid during the call.
    using Rejected = std::function<Rejection(const Reply& reply)>;

    CommandQueue(OnSettled settled, Unqueued unqueued, Answered answered, Rejected rejected = rejection_by_one_server,
                 Retention retention = Retention::none);

    // Takes what is in the batch and leaves it empty, with memory for the next. Deadlines do not decrease from batch to
    // batch. Nothing is changed if it throws std::bad_alloc.
    void append(PublishBatch& batch);
    // A command of the link's own: not counted, and forgotten when the link breaks.
    void append_own(CommandRecord::Purpose purpose, std::string_view command);

    // Part of what is unsent, valid until the next call; empty when there is nothing.
    std::string_view output() const;
    void wrote(std::size_t size) noexcept;
    bool idle() const { return records_.empty(); }
    bool awaits_reply() const { return in_flight_ > 0; }
    bool has_unsent() const { return in_flight_ < records_.size(); }
    // Publishes without an outcome.
    std::size_t unsettled() const { return unsettled_; }

    // None of these needs memory to settle what has to be settled.

    // Whether a command of the link's own may be answered so. What is answered by anything else ends with the link.
    static bool answers(CommandRecord::Purpose purpose, const Reply& reply);
    // False if nothing was asked, or that.
    [[nodiscard]] bool reply(const Reply& reply);
    // Settles by the whole plain numbers of receivers in front of `bytes`, which begin a reply; how many bytes those
    // are. What is anything else, or answers nothing, is left to reply().
    [[nodiscard]] std::size_t scan(std::string_view bytes);
    // Whether it would take anything.
    bool can_scan(std::string_view bytes) const;
    // The publishes that were taken out, with their bytes, in the order in which they were sent. Deadlines do not
    // decrease from batch to batch. Until then they are unsettled here, and fail_unsent() settles them; from then on
    // they are the caller's, to be counted as unsent again and appended to this queue or another one.
    std::vector<PublishBatch> take_rejected() noexcept;
    void link_down(const Error& why);
    void fail_unsent(const Error& why);
    // The server has said no in the middle of a publish, and everything before it is answered: that is its outcome. The
    // connection is of no use any more. False if nothing is written in part.
    [[nodiscard]] bool refuse_part(const Error& why);
    // What the server is to answer next; publish if nothing.
    CommandRecord::Purpose awaited() const {
        return in_flight_ > 0 ? records_.front().purpose : CommandRecord::Purpose::publish;
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
        return in_flight_ > 0 && expired_ == 0 && records_.front().purpose == CommandRecord::Purpose::publish;
    }
    void append_chunk(ByteChunk&& chunk) noexcept;
    void pass_sent(std::size_t size) noexcept;
    void drop_sent() noexcept;
    bool take_out(const CommandRecord& record) noexcept;
    void fail_rejected(const Error& why) noexcept;
    void forget_front(std::size_t count) noexcept;
    template <class Gone>
    void erase_unsent(Settling* settling, Gone&& gone) noexcept;
    static TimeMs deadline_of(const CommandRecord& record, const Group& group) {
        return record.timeout == 0 ? group.deadline : group.taken_at + record.timeout;
    }
    bool part_of_publish() const {
        return front_sent_ > 0 && has_unsent() && records_[in_flight_].purpose == CommandRecord::Purpose::publish;
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
    Rejected rejected_;
    const bool retains_;
    Ring<ByteChunk> chunks_;  // of the unsent, and if it retains of those in flight before them; none is empty
    // The first byte of the first unsent record: in which chunk, and where in what is left of that. Both are 0 if it
    // does not retain; when nothing is unsent the chunk is the one that comes next.
    std::size_t sending_ = 0, sending_at_ = 0;
    std::vector<PublishBatch> taken_out_;
    std::vector<ByteChunk> spare_;
    std::size_t front_sent_ = 0;   // how much of the front unsent one is written
    Ring<CommandRecord> records_;  // in flight, then unsent
    Ring<Group> groups_;           // of all of them; none is empty
    std::size_t in_flight_ = 0;
    std::size_t expired_ = 0;   // of those in flight, at the front: settled already, their replies are still to come
    std::size_t marked_ = 0;    // of those in flight: of the purpose that says so
    std::size_t timed_ = 0;     // that have a timeout of their own and no outcome
    TimeMs next_look_ = never;  // if there are such: when to look which are due
    std::size_t unsettled_ = 0;
    std::size_t own_unsent_ = 0;
    std::uint64_t looked_at_ = 0;
};

}  // namespace fanwire::core
