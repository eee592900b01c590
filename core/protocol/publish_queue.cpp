#include "core/protocol/publish_queue.h"

#include <algorithm>
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
    if (begin_ == bytes_.size()) {
        bytes_.swap(batch.bytes);
        begin_ = 0;
    } else {
        bytes_ += batch.bytes;
    }
    for (PublishRecord& record : batch.records) {
        (record.kind == PublishRecord::Kind::publish ? unsettled_ : own_unsent_) += 1;
        unsent_.push_back(std::move(record));
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

void PublishQueue::wrote(std::size_t size) {
    front_sent_ += size;
    std::size_t count = 0, bytes = 0;
    while (!unsent_.empty() && front_sent_ >= unsent_.front().size) {
        PublishRecord& front = unsent_.front();
        front_sent_ -= front.size;
        begin_ += front.size;
        if (front.kind == PublishRecord::Kind::publish) {
            ++count;
            bytes += front.size;
        } else {
            --own_unsent_;
        }
        in_flight_.push_back(std::move(front));
        unsent_.pop_front();
    }
    if (count) unqueued_(count, bytes);
    drop_front_bytes();
}

// Gives back the memory of what is written, without moving the rest each time.
void PublishQueue::drop_front_bytes() {
    if (begin_ == bytes_.size()) {
        bytes_.clear();
        if (bytes_.capacity() > keep_max) bytes_ = {};
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
    if (in_flight_.empty()) return false;
    const bool ping = in_flight_.front().kind == PublishRecord::Kind::ping;
    const bool publish = in_flight_.front().kind == PublishRecord::Kind::publish;
    const bool expired = expired_ > 0;
    if (ping && !reply.is(ReplyType::error) && reply.text() != "PONG") return false;
    // A publish that this says nothing about stays in flight, for link_down() to settle.
    if (publish && !expired && !reply.is(ReplyType::error) && !reply.is(ReplyType::integer)) return false;
    const PublishRecord record = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (expired) --expired_;
    if (ping) return true;
    if (!publish) {
        answered_(record.kind, reply);
        return true;
    }
    if (expired) return true;
    if (reply.is(ReplyType::error)) {
        settle(record, error_of_reply("PUBLISH", reply.text()));
        return true;
    }
    settle(record, {}, static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer(), 0)));
    return true;
}

void PublishQueue::link_down(const Error& why) {
    std::deque<PublishRecord> in_flight;
    in_flight.swap(in_flight_);
    for (std::size_t i = std::exchange(expired_, 0); i < in_flight.size(); ++i)
        settle(in_flight[i], {Status::OUTCOME_UNKNOWN, "sent, but not answered: " + why.text});
    front_sent_ = 0;
    if (own_unsent_ > 0) forget_own();
}

// What the link said for itself was for the connection that is gone.
void PublishQueue::forget_own() {
    std::string bytes;
    std::size_t at = begin_;
    for (const PublishRecord& record : unsent_) {
        if (record.kind == PublishRecord::Kind::publish) bytes.append(bytes_, at, record.size);
        at += record.size;
    }
    std::erase_if(unsent_, [](const PublishRecord& record) { return record.kind != PublishRecord::Kind::publish; });
    bytes_.swap(bytes);
    begin_ = 0;
    own_unsent_ = 0;
}

void PublishQueue::fail_unsent(const Error& why) {
    std::deque<PublishRecord> unsent;
    unsent.swap(unsent_);
    std::size_t count = 0, bytes = 0;
    for (const PublishRecord& record : unsent) {
        if (record.kind != PublishRecord::Kind::publish) continue;
        ++count;
        bytes += record.size;
        settle(record, why);
    }
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
    while (expired_ < in_flight_.size() && is_over(in_flight_[expired_])) {
        settle(in_flight_[expired_], {Status::OUTCOME_UNKNOWN, "sent, but not answered in time"});
        ++expired_;
    }
    while (!unsent_.empty() && front_sent_ == 0 && unsent_.front().deadline <= now) {
        const PublishRecord record = std::move(unsent_.front());
        unsent_.pop_front();
        begin_ += record.size;
        unqueued_(1, record.size);
        settle(record, {Status::TIMEOUT, "not sent within publish_timeout_ms"});
    }
    drop_front_bytes();
}

TimeMs PublishQueue::deadline() const {
    TimeMs next = never;
    for (std::size_t i = expired_; i < in_flight_.size() && next == never; ++i) next = in_flight_[i].deadline;
    if (!unsent_.empty() && front_sent_ == 0) next = std::min(next, unsent_.front().deadline);
    return next;
}

}  // namespace fanwire::core
