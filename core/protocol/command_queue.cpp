#include "core/protocol/command_queue.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

using Purpose = CommandRecord::Purpose;

constexpr std::size_t copied_max = ByteChunk::usual / 2;  // smaller ones join the chunk before them
constexpr std::size_t records_kept_max = 16 * 1024, groups_kept_max = 256, chunks_kept_max = 256;
constexpr std::size_t digits_max = 18;  // more might not fit into 64 bits: the reader's matter

const Error no_error;

// The number of receivers that a plain ":N\r\n" at the front of `bytes` says, which is then removed. False for anything
// else, also for what hiredis might understand.
bool take_number(std::string_view& bytes, std::uint64_t& number) {
    if (bytes.size() < 4 || bytes[0] != ':') return false;
    // Nearly always there is one digit.
    if (bytes[2] == '\r') {
        if (bytes[1] < '0' || bytes[1] > '9' || bytes[3] != '\n') return false;
        number = static_cast<std::uint64_t>(bytes[1] - '0');
        bytes.remove_prefix(4);
        return true;
    }
    if (bytes[1] < '1' || bytes[1] > '9') return false;
    std::size_t at = 1;
    number = 0;
    for (; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9'; ++at) {
        if (at > digits_max) return false;
        number = number * 10 + static_cast<std::uint64_t>(bytes[at] - '0');
    }
    if (bytes.size() < at + 2 || bytes[at] != '\r' || bytes[at + 1] != '\n') return false;
    bytes.remove_prefix(at + 2);
    return true;
}

}  // namespace

// Gathers what ends alike, so that it is told at once.
class CommandQueue::Settling {
 public:
    Settling(CommandQueue& queue, const Error& error) : queue_(queue), error_(error) {}
    ~Settling() { flush(); }
    Settling(const Settling&) = delete;
    Settling& operator=(const Settling&) = delete;

    // The group has to stay until the next flush().
    void add(const Group& group, const CommandRecord& record, std::uint64_t receivers = 0) {
        if (group_ != &group || sink_ != record.sink || count_ == max) {
            flush();
            group_ = &group;
            sink_ = record.sink;
        }
        run_[count_++] = {record.user_data, receivers};
    }
    void flush() {
        if (count_ == 0) return;
        const std::size_t count = std::exchange(count_, 0);
        queue_.unsettled_ -= count;
        queue_.settled_({sink_ ? &group_->sinks[sink_ - 1] : nullptr, group_->accepted_us, {run_, count}, error_});
    }

 private:
    static constexpr std::size_t max = 128;

    CommandQueue& queue_;
    const Error& error_;
    const Group* group_ = nullptr;
    std::uint32_t sink_ = 0;
    std::size_t count_ = 0;
    Settled run_[max];
};

Rejection rejection_by_one_server(const Reply& reply) {
    return reply.is(ReplyType::error) ? Rejection::outcome : Rejection::fault;
}

CommandQueue::CommandQueue(OnSettled settled, Unqueued unqueued, Answered answered, Rejected rejected,
                           Retention retention)
    : settled_(std::move(settled)),
      unqueued_(std::move(unqueued)),
      answered_(std::move(answered)),
      rejected_(std::move(rejected)),
      retains_(retention == Retention::until_answered) {
    spare_.reserve(PublishBatch::spare_max);
}

void CommandQueue::append(PublishBatch& batch) {
    if (batch.empty()) return;
    records_.reserve_more(batch.records.size());
    groups_.reserve_more(1);
    chunks_.reserve_more(batch.chunks.size());
    batch.spare.reserve(PublishBatch::spare_max);

    const TimeMs first = timed_ > 0 ? next_look_ : first_deadline(true);
    for (const PublishRecord& record : batch.records) records_.push_back(CommandRecord(record));
    unsettled_ += batch.records.size();
    groups_.push_back(
        {batch.records.size(), batch.taken_at, batch.deadline, batch.accepted_us, std::move(batch.sinks)});
    timed_ += batch.timed;
    if (timed_ > 0) {
        next_look_ = std::min(first, batch.deadline);
        if (batch.timed > 0)
            for (const PublishRecord& record : batch.records)
                next_look_ = std::min(next_look_, batch.deadline_of(record));
    }
    for (ByteChunk& chunk : batch.chunks) append_chunk(std::move(chunk));
    batch.clear();
    while (!spare_.empty() && batch.spare.size() < PublishBatch::spare_max) {
        batch.spare.push_back(std::move(spare_.back()));
        spare_.pop_back();
    }
}

void CommandQueue::append_chunk(ByteChunk&& chunk) noexcept {
    if (chunk.size() <= copied_max && !chunks_.empty() && chunks_.back().room() >= chunk.size()) {
        if (sending_ == chunks_.size()) sending_at_ = chunks_[--sending_].size();
        chunks_.back().append(chunk.view());
        PublishBatch::recycle(spare_, std::move(chunk));
    } else if (!chunk.empty()) {
        chunks_.push_back(std::move(chunk));
    }
}

void CommandQueue::append_own(Purpose purpose, std::string_view command) {
    records_.reserve_more(1);
    groups_.reserve_more(1);
    chunks_.reserve_more(1);
    ByteChunk chunk(command.size());
    chunk.append(command);

    CommandRecord record;
    record.size = static_cast<std::uint32_t>(command.size());
    record.purpose = purpose;
    records_.push_back(record);
    Group group;
    group.records = 1;
    groups_.push_back(std::move(group));
    append_chunk(std::move(chunk));
    ++own_unsent_;
}

std::string_view CommandQueue::output() const {
    return sending_ == chunks_.size() ? std::string_view() : chunks_[sending_].view().substr(sending_at_ + front_sent_);
}

void CommandQueue::wrote(std::size_t size) noexcept {
    front_sent_ += size;
    std::size_t count = 0, bytes = 0;
    while (has_unsent() && front_sent_ >= records_[in_flight_].size) {
        const CommandRecord& front = records_[in_flight_];
        front_sent_ -= front.size;
        if (retains_) {
            pass_sent(front.size);
        } else {
            chunks_.front().drop_front(front.size);
            if (chunks_.front().empty()) drop_sent();
        }
        if (front.purpose == Purpose::publish) {
            ++count;
            bytes += front.size;
        } else {
            --own_unsent_;
        }
        ++in_flight_;
    }
    if (count) unqueued_(count, bytes);
}

void CommandQueue::pass_sent(std::size_t size) noexcept {
    sending_at_ += size;
    if (sending_at_ < chunks_[sending_].size()) return;
    ++sending_;
    sending_at_ = 0;
}

void CommandQueue::drop_sent() noexcept {
    PublishBatch::recycle(spare_, std::move(chunks_.front()));
    chunks_.pop_front();
    chunks_.trim(chunks_kept_max);
}

// Of whole commands in front; those that were written are there only if it retains.
void CommandQueue::drop_front_bytes(std::size_t size) noexcept {
    while (size > 0) {
        const std::size_t part = std::min(size, chunks_.front().size());
        chunks_.front().drop_front(part);
        size -= part;
        if (sending_ == 0) sending_at_ -= std::min(part, sending_at_);
        if (!chunks_.front().empty()) continue;
        drop_sent();
        sending_ -= sending_ > 0 ? 1 : 0;
    }
}

// They are of the front group, and in flight.
void CommandQueue::forget_front(std::size_t count) noexcept {
    if (timed_ > 0)
        for (std::size_t i = 0; i < count; ++i) timed_ -= records_[i].timeout != 0 ? 1 : 0;
    if (retains_) {
        std::size_t size = 0;
        for (std::size_t i = 0; i < count; ++i) size += records_[i].size;
        drop_front_bytes(size);
    }
    records_.drop_front(count);
    in_flight_ -= count;
    groups_.front().records -= count;
    if (groups_.front().records > 0) return;
    groups_.pop_front();
    records_.trim(records_kept_max);
    groups_.trim(groups_kept_max);
}

// Those of which gone(record, its number, group) is true, in place; `settling`, if any, is where it adds them.
template <class Gone>
void CommandQueue::erase_unsent(Settling* settling, Gone&& gone) noexcept {
    looked_at_ += records_.size() - in_flight_;
    std::size_t kept = in_flight_, kept_chunks = sending_, chunk = sending_;
    std::size_t group = 0, left = groups_.empty() ? 0 : groups_[0].records;
    for (std::size_t passed = 0; passed < in_flight_;) {
        if (left == 0) left = groups_[++group].records;
        const std::size_t step = std::min(left, in_flight_ - passed);
        passed += step;
        left -= step;
    }
    for (std::size_t i = in_flight_; i < records_.size(); ++chunk) {
        ByteChunk::Sieve sieve(chunks_[chunk]);
        if (chunk == sending_) sieve.keep(sending_at_);
        for (; !sieve.done(); ++i, --left) {
            if (left == 0) left = groups_[++group].records;
            const CommandRecord record = records_[i];
            if (gone(record, i, groups_[group])) {
                timed_ -= record.timeout != 0 ? 1 : 0;
                sieve.leave_out(record.size);
                --groups_[group].records;
                continue;
            }
            sieve.keep(record.size);
            records_[kept++] = record;
        }
        sieve.finish();
        if (chunks_[chunk].empty())
            PublishBatch::recycle(spare_, std::move(chunks_[chunk]));
        else if (kept_chunks++ != chunk)
            chunks_[kept_chunks - 1] = std::move(chunks_[chunk]);
    }
    if (settling) settling->flush();
    records_.truncate(kept);
    chunks_.truncate(kept_chunks);
    if (sending_ < kept_chunks && sending_at_ == chunks_[sending_].size()) pass_sent(0);
    std::size_t kept_groups = 0;
    for (std::size_t i = 0; i < groups_.size(); ++i)
        if (groups_[i].records > 0 && kept_groups++ != i) groups_[kept_groups - 1] = std::move(groups_[i]);
    groups_.truncate(kept_groups);
    records_.trim(records_kept_max);
    groups_.trim(groups_kept_max);
    chunks_.trim(chunks_kept_max);
}

bool CommandQueue::answers(Purpose purpose, const Reply& reply) {
    if (reply.is(ReplyType::error)) return true;
    switch (purpose) {
        case Purpose::ping:
            return reply.text() == "PONG";
        case Purpose::numsub:
        case Purpose::role:
            return reply.is(ReplyType::array);
        case Purpose::publish:
        case Purpose::expired:
        case Purpose::auth:
        case Purpose::probe:
            break;
    }
    return true;
}

bool CommandQueue::reply(const Reply& reply) {
    if (in_flight_ == 0) return false;
    const CommandRecord record = records_.front();
    const bool of_publish = record.purpose == Purpose::publish || record.purpose == Purpose::expired;
    Rejection rejection = Rejection::outcome;
    if (of_publish && !reply.is(ReplyType::integer)) rejection = rejected_(reply);
    if (rejection == Rejection::fault || !answers(record.purpose, reply)) return false;
    const bool expired = expired_ > 0 || record.purpose == Purpose::expired;
    expired_ -= expired_ > 0 ? 1 : 0;
    marked_ -= record.purpose == Purpose::expired ? 1 : 0;
    if (of_publish && !expired && !(rejection == Rejection::take_out && take_out(record))) {
        const bool number = reply.is(ReplyType::integer);
        const Error error = number ? Error()
                            : reply.is(ReplyType::error)
                                ? error_of_reply("PUBLISH", reply.text())
                                : Error::of(Status::PROTOCOL_ERROR, {"PUBLISH was not answered by a number"});
        Settling(*this, error)
            .add(groups_.front(), record,
                 number ? static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer(), 0)) : 0);
    }
    forget_front(1);
    if (!of_publish && record.purpose != Purpose::ping) answered_(record.purpose, reply);
    return true;
}

// The front record, which is in flight. False if there are no bytes of it, or no memory for a copy.
bool CommandQueue::take_out(const CommandRecord& record) noexcept {
    if (!retains_) return false;
    const Group& group = groups_.front();
    const auto of_the_group = [&group](const PublishBatch& batch) {
        return batch.taken_at == group.taken_at && batch.deadline == group.deadline &&
               batch.accepted_us == group.accepted_us;
    };
    try {
        if (taken_out_.empty() || !of_the_group(taken_out_.back())) {
            PublishBatch& batch = taken_out_.emplace_back();
            batch.taken_at = group.taken_at;
            batch.deadline = group.deadline;
            batch.accepted_us = group.accepted_us;
        }
        const PublishRecord publish{record.size, 0, record.user_data, record.timeout, record.begun};
        taken_out_.back().add_again(chunks_.front().view().substr(0, record.size), publish,
                                    record.sink ? group.sinks[record.sink - 1] : nullptr);
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

std::vector<PublishBatch> CommandQueue::take_rejected() noexcept {
    std::erase_if(taken_out_, [](const PublishBatch& batch) { return batch.empty(); });  // there was no memory for one
    for (const PublishBatch& batch : taken_out_) unsettled_ -= batch.records.size();
    return std::exchange(taken_out_, {});
}

// Not executed, and nobody has sent them elsewhere.
void CommandQueue::fail_rejected(const Error& why) noexcept {
    for (PublishBatch& batch : std::exchange(taken_out_, {})) {
        const Group group{batch.records.size(), batch.taken_at, batch.deadline, batch.accepted_us,
                          std::move(batch.sinks)};
        Settling settling(*this, why);
        for (const PublishRecord& record : batch.records) settling.add(group, CommandRecord(record));
    }
}

std::size_t CommandQueue::scan(std::string_view bytes) {
    const std::size_t size = bytes.size();
    while (publish_in_front()) {
        const Group& group = groups_.front();
        std::size_t max = std::min(group.records, in_flight_), count = 0;
        if (marked_ > 0)
            for (std::size_t i = 0; i < max; ++i)
                if (records_[i].purpose != Purpose::publish) max = i;
        {
            Settling settling(*this, no_error);
            std::uint64_t receivers;
            for (; count < max && take_number(bytes, receivers); ++count)
                settling.add(group, records_[count], receivers);
        }
        forget_front(count);
        if (count < max) break;
    }
    return size - bytes.size();
}

bool CommandQueue::can_scan(std::string_view bytes) const {
    std::uint64_t receivers;
    return publish_in_front() && take_number(bytes, receivers);
}

void CommandQueue::link_down(const Error& why) {
    const Error error = Error::of(Status::OUTCOME_UNKNOWN, {"sent, but not answered: ", why.text});
    while (in_flight_ > 0) {
        const std::size_t count = std::min(groups_.front().records, in_flight_);
        {
            Settling settling(*this, error);
            for (std::size_t i = std::min(expired_, count); i < count; ++i)
                if (records_[i].purpose == Purpose::publish) settling.add(groups_.front(), records_[i]);
        }
        expired_ -= std::min(expired_, count);
        forget_front(count);
    }
    marked_ = 0;
    if (part_of_publish() && std::exchange(records_[0].begun, true))
        settle_front_unsent(Error::of(
            Status::CONNECTION_LOST, {"not sent: two connections have broken while it was being written: ", why.text}));
    front_sent_ = 0;
    if (own_unsent_ == 0) return;
    // What the link said for itself was for the connection that is gone.
    erase_unsent(nullptr, [](const CommandRecord& record, std::size_t, const Group&) {
        return record.purpose != Purpose::publish;
    });
    own_unsent_ = 0;
}

void CommandQueue::fail_unsent(const Error& why) {
    fail_rejected(why);
    std::size_t count = 0, bytes = 0;
    Settling settling(*this, why);
    erase_unsent(&settling, [&](const CommandRecord& record, std::size_t, const Group& group) {
        if (record.purpose == Purpose::publish) {
            ++count;
            bytes += record.size;
            settling.add(group, record);
        }
        return true;
    });
    front_sent_ = 0;
    own_unsent_ = 0;
    if (count) unqueued_(count, bytes);
}

bool CommandQueue::refuse_part(const Error& why) {
    if (in_flight_ > 0 || !part_of_publish()) return false;
    settle_front_unsent(why);
    front_sent_ = 0;
    return true;
}

void CommandQueue::settle_front_unsent(const Error& why) noexcept {
    const std::size_t size = records_[in_flight_].size;
    Settling settling(*this, why);
    erase_unsent(&settling, [&](const CommandRecord& record, std::size_t number, const Group& group) {
        if (number != in_flight_) return false;
        settling.add(group, record);
        return true;
    });
    unqueued_(1, size);
}

void CommandQueue::tick(TimeMs now) {
    if (deadline() > now) return;
    if (timed_ > 0) return expire_one_by_one(now);
    expire_in_flight(now);
    expire_unsent(now);
}

// When some have timeouts of their own they are due in any order, and all have to be looked at. The more there are the
// more seldom that is done: a few thousand of them for each millisecond that passes.
void CommandQueue::expire_one_by_one(TimeMs now) noexcept {
    constexpr std::size_t looks_per_ms = 4096;
    const std::size_t looks = records_.size() - expired_;
    TimeMs next = never;
    {
        const Error error = Error::of(Status::OUTCOME_UNKNOWN, {"sent, but not answered in time"});
        Settling settling(*this, error);
        std::size_t first = 0;
        for (std::size_t i = 0; first < in_flight_; first += groups_[i++].records) {
            const std::size_t end = std::min(first + groups_[i].records, in_flight_);
            for (std::size_t at = std::max(first, expired_); at < end; ++at) {
                CommandRecord& record = records_[at];
                if (record.purpose != Purpose::publish) continue;
                const TimeMs deadline = deadline_of(record, groups_[i]);
                if (deadline > now) {
                    next = std::min(next, deadline);
                    continue;
                }
                settling.add(groups_[i], record);
                record.purpose = Purpose::expired;
                ++marked_;
                timed_ -= record.timeout != 0 ? 1 : 0;
                record.timeout = 0;
            }
        }
    }
    const Error error = Error::of(Status::TIMEOUT, {"not sent in time"});
    Settling settling(*this, error);
    std::size_t count = 0, bytes = 0;
    erase_unsent(&settling, [&](const CommandRecord& record, std::size_t number, const Group& group) {
        if (record.purpose != Purpose::publish) return false;
        const TimeMs deadline = deadline_of(record, group);
        const bool in_part = front_sent_ > 0 && number == in_flight_;
        if (deadline > now || in_part) {  // what is written in part has to be completed
            next = std::min(next, std::max(deadline, now + 1));
            return false;
        }
        ++count;
        bytes += record.size;
        settling.add(group, record);
        return true;
    });
    next_look_ = next == never ? never : std::max(next, now + static_cast<TimeMs>(looks / looks_per_ms));
    if (count) unqueued_(count, bytes);
    if (timed_ == 0) expire_in_flight(now);  // passes over what is settled
}

void CommandQueue::expire_in_flight(TimeMs now) noexcept {
    const Error error = Error::of(Status::OUTCOME_UNKNOWN, {"sent, but not answered in time"});
    Settling settling(*this, error);
    std::size_t first = 0;
    for (std::size_t i = 0; first < in_flight_; first += groups_[i++].records) {
        const std::size_t end = std::min(first + groups_[i].records, in_flight_);
        for (; expired_ < end; ++expired_) {
            const CommandRecord& record = records_[expired_];
            if (record.purpose != Purpose::publish) continue;
            if (groups_[i].deadline > now) return;
            settling.add(groups_[i], record);
        }
    }
}

// What is written in part has to be completed, and the link's own commands have no deadline.
void CommandQueue::expire_unsent(TimeMs now) noexcept {
    const Error error = Error::of(Status::TIMEOUT, {"not sent within publish_timeout_ms"});
    Settling settling(*this, error);
    std::size_t count = 0, bytes = 0;
    if (in_flight_ == 0 && front_sent_ == 0 && own_unsent_ == 0) {
        // As always while there is no link: whole batches, from the front on, and nothing else is looked at. In an
        // outage there may be a million of them, of which some expire in each millisecond.
        while (!groups_.empty() && groups_.front().deadline <= now) {
            const Group& group = groups_.front();
            std::size_t size = 0;
            for (std::size_t i = 0; i < group.records; ++i) {
                size += records_[i].size;
                settling.add(group, records_[i]);
            }
            settling.flush();
            looked_at_ += group.records;
            count += group.records;
            bytes += size;
            drop_front_bytes(size);
            records_.drop_front(group.records);
            groups_.pop_front();
        }
        records_.trim(records_kept_max);
        groups_.trim(groups_kept_max);
        if (count) unqueued_(count, bytes);
        return;
    }
    erase_unsent(&settling, [&](const CommandRecord& record, std::size_t number, const Group& group) {
        const bool in_part = front_sent_ > 0 && number == in_flight_;
        if (in_part || record.purpose != Purpose::publish || group.deadline > now) return false;
        ++count;
        bytes += record.size;
        settling.add(group, record);
        return true;
    });
    if (count) unqueued_(count, bytes);
}

TimeMs CommandQueue::deadline() const {
    return timed_ > 0 ? next_look_ : first_deadline(false);
}

// Of the first group that has a record that may expire, or, if `part`, will when it is written.
TimeMs CommandQueue::first_deadline(bool part) const {
    const std::size_t unsent = in_flight_ + (front_sent_ > 0 && !part ? 1 : 0);
    std::size_t first = 0;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
        const std::size_t end = first + groups_[i].records;
        const bool waits = std::max(first, expired_) < std::min(end, in_flight_) || std::max(first, unsent) < end;
        if (waits && groups_[i].deadline != never) return groups_[i].deadline;
        first = end;
    }
    return never;
}

}  // namespace fanwire::core
