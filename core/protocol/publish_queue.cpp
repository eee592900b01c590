#include "core/protocol/publish_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {
constexpr std::size_t compact_at = 256 * 1024;
constexpr std::size_t keep_max = 1024 * 1024;  // an empty buffer larger than this is given back
}  // namespace

void PublishBatch::add(std::string_view channel, std::string_view payload, PublishRecord record) {
    const std::size_t start = bytes.size();
    try {
        records.emplace_back();
        bytes += "*3\r\n$7\r\nPUBLISH\r\n";
        append_count(bytes, '$', channel.size());
        record.channel_at = static_cast<std::uint32_t>(bytes.size() - start);
        bytes += channel;
        bytes += "\r\n";
        append_bulk(bytes, payload);
    } catch (...) {
        bytes.resize(start);
        if (records.size() && records.back().size == 0) records.pop_back();
        throw;
    }
    record.channel_size = static_cast<std::uint32_t>(channel.size());
    record.payload_size = static_cast<std::uint32_t>(payload.size());
    record.size = static_cast<std::uint32_t>(bytes.size() - start);
    records.back() = std::move(record);
}

void PublishQueue::append(PublishBatch&& batch) {
    const std::size_t before = records_.size();
    records_.resize(before + batch.records.size());
    if (begin_ == bytes_.size()) {
        bytes_.swap(batch.bytes);
        begin_ = 0;
    } else {
        try {
            bytes_ += batch.bytes;
        } catch (...) {
            records_.resize(before);
            throw;
        }
    }
    for (std::size_t i = 0; i < batch.records.size(); ++i) {
        (batch.records[i].kind == PublishRecord::Kind::publish ? unsettled_ : own_unsent_) += 1;
        records_[before + i] = std::move(batch.records[i]);
    }
}

void PublishQueue::append_own(PublishRecord::Kind kind, std::string command) {
    PublishBatch batch;
    PublishRecord record;
    record.kind = kind;
    record.size = static_cast<std::uint32_t>(command.size());
    batch.bytes = std::move(command);
    batch.records.push_back(std::move(record));
    append(std::move(batch));
}

std::string_view PublishQueue::output() const { return std::string_view(bytes_).substr(begin_ + front_sent_); }

void PublishQueue::wrote(std::size_t size) noexcept {
    front_sent_ += size;
    std::size_t count = 0, bytes = 0;
    while (has_unsent() && front_sent_ >= front_unsent().size) {
        const PublishRecord& front = front_unsent();
        front_sent_ -= front.size;
        begin_ += front.size;
        if (front.kind == PublishRecord::Kind::publish) {
            ++count;
            bytes += front.size;
        } else {
            --own_unsent_;
        }
        ++in_flight_;
    }
    if (count) unqueued_(count, bytes);
    drop_front_bytes();
}

// What is written in part has to be completed, and the link's own commands have no deadline.
std::size_t PublishQueue::first_that_may_expire() const {
    std::size_t i = in_flight_ + (front_sent_ > 0 ? 1 : 0);
    while (i < records_.size() && records_[i].kind != PublishRecord::Kind::publish) ++i;
    return i;
}

void PublishQueue::erase_unsent(std::size_t first, std::size_t count) {
    std::size_t at = begin_, size = 0;
    for (std::size_t i = in_flight_; i < first; ++i) at += records_[i].size;
    for (std::size_t i = first; i < first + count; ++i) size += records_[i].size;
    if (first == in_flight_)
        begin_ += size;
    else
        bytes_.erase(at, size);
    const auto from = records_.begin() + static_cast<std::ptrdiff_t>(first);
    records_.erase(from, from + static_cast<std::ptrdiff_t>(count));
    drop_front_bytes();
}

// Gives back the memory of what is written, without moving the rest each time.
void PublishQueue::drop_front_bytes() {
    if (begin_ == bytes_.size()) {
        bytes_.clear();
        if (bytes_.capacity() > keep_max) std::string().swap(bytes_);
        begin_ = 0;
    } else if (begin_ >= compact_at && begin_ >= bytes_.size() / 2) {
        bytes_.erase(0, begin_);
        begin_ = 0;
    }
}

void PublishQueue::settle(const PublishRecord& record, Error error, std::uint64_t receivers) {
    if (record.kind != PublishRecord::Kind::publish) return;
    --unsettled_;
    settled_(record, {std::move(error), receivers});
}

bool PublishQueue::reply(const Reply& reply) {
    if (in_flight_ == 0) return false;
    const auto kind = records_.front().kind;
    const bool refused = reply.is(ReplyType::error);
    // What is answered by something else is settled with the link.
    if (kind == PublishRecord::Kind::publish && !refused && !reply.is(ReplyType::integer)) return false;
    if (kind == PublishRecord::Kind::ping && !refused && reply.text() != "PONG") return false;
    const PublishRecord record = std::move(records_.front());
    records_.pop_front();
    --in_flight_;
    const bool expired = expired_ > 0;
    if (expired) --expired_;
    if (kind == PublishRecord::Kind::ping) return true;
    if (kind != PublishRecord::Kind::publish) {
        answered_(kind, reply);
        return true;
    }
    if (expired) return true;
    if (refused)
        settle(record, error_of_reply("PUBLISH", reply.text()));
    else
        settle(record, {}, static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer(), 0)));
    return true;
}

void PublishQueue::link_down(const Error& why) {
    const Error error = Error::of(Status::OUTCOME_UNKNOWN, {"sent, but not answered: ", why.text});
    for (; in_flight_ > 0; --in_flight_) {
        const PublishRecord record = std::move(records_.front());
        records_.pop_front();
        if (expired_ > 0)
            --expired_;
        else
            settle(record, error);
    }
    front_sent_ = 0;
    if (own_unsent_ > 0) forget_own();
}

// What the link said for itself was for the connection that is gone. In place, since this must not fail.
void PublishQueue::forget_own() noexcept {
    std::size_t from = begin_, to = begin_;
    auto kept = records_.begin() + static_cast<std::ptrdiff_t>(in_flight_);
    for (auto record = kept; record != records_.end(); ++record) {
        const std::size_t size = record->size;
        if (record->kind == PublishRecord::Kind::publish) {
            if (to != from) {
                std::memmove(bytes_.data() + to, bytes_.data() + from, size);
                *kept = std::move(*record);
            }
            ++kept;
            to += size;
        }
        from += size;
    }
    records_.erase(kept, records_.end());
    bytes_.resize(to);
    own_unsent_ = 0;
    drop_front_bytes();
}

void PublishQueue::fail_unsent(const Error& why) {
    std::size_t count = 0, bytes = 0;
    for (std::size_t i = in_flight_; i < records_.size(); ++i) {
        if (records_[i].kind != PublishRecord::Kind::publish) continue;
        ++count;
        bytes += records_[i].size;
        settle(records_[i], why);
    }
    while (has_unsent()) records_.pop_back();
    front_sent_ = 0;
    own_unsent_ = 0;
    begin_ = bytes_.size();
    drop_front_bytes();
    if (count) unqueued_(count, bytes);
}

void PublishQueue::tick(TimeMs now) {
    const auto is_over = [now](const PublishRecord& record) {
        return record.kind != PublishRecord::Kind::publish || record.deadline <= now;
    };
    for (; expired_ < in_flight_ && is_over(records_[expired_]); ++expired_)
        settle(records_[expired_], Error::of(Status::OUTCOME_UNKNOWN, {"sent, but not answered in time"}));
    // In runs: the link's own commands stand between them.
    for (std::size_t first = first_that_may_expire();; first = first_that_may_expire()) {
        std::size_t late = 0, bytes = 0;
        for (std::size_t i = first; i < records_.size() && records_[i].deadline <= now; ++i, ++late) {
            bytes += records_[i].size;
            settle(records_[i], Error::of(Status::TIMEOUT, {"not sent within publish_timeout_ms"}));
        }
        if (late == 0) return;
        erase_unsent(first, late);
        unqueued_(late, bytes);
    }
}

TimeMs PublishQueue::deadline() const {
    TimeMs next = never;
    for (std::size_t i = expired_; i < in_flight_ && next == never; ++i) next = records_[i].deadline;
    const std::size_t first = first_that_may_expire();
    if (first < records_.size()) next = std::min(next, records_[first].deadline);
    return next;
}

}  // namespace fanwire::core
