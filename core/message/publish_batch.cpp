#include "core/message/publish_batch.h"

#include <algorithm>
#include <utility>

namespace fanwire::core {

namespace {

constexpr std::size_t records_kept_max = 16 * 1024, sinks_kept_max = 1024;

template <class T>
void clear_vector(std::vector<T>& values, std::size_t keep) noexcept {
    values.clear();
    if (values.capacity() > keep) std::vector<T>().swap(values);
}

}  // namespace

// Inline, since each publish of each caller comes through here.
[[gnu::always_inline]] inline char* PublishBatch::make_room(std::size_t size,
                                                            const std::shared_ptr<OutcomeSink>& sink) {
    if (records.size() == records.capacity()) records.reserve(std::max<std::size_t>(64, records.capacity() * 2));
    if (chunks.empty() || chunks.back().room() < size) {
        if (chunks.size() == chunks.capacity()) chunks.reserve(std::max<std::size_t>(4, chunks.capacity() * 2));
        spare.reserve(spare_max);
        if (size <= ByteChunk::usual && !spare.empty()) {
            chunks.push_back(std::move(spare.back()));
            spare.pop_back();
        } else {
            chunks.emplace_back(std::max(size, ByteChunk::usual));
        }
    }
    if (sink && (sinks.empty() || sinks.back() != sink)) sinks.push_back(sink);
    return chunks.back().extend(size);
}

void PublishBatch::add_sized(const PublishFormat& format, std::size_t size, std::string_view prefix,
                             std::string_view channel, std::string_view payload,
                             const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout) {
    format.write(make_room(size, sink), prefix, channel, payload);
    records.push_back(
        {static_cast<std::uint32_t>(size), sink ? static_cast<std::uint32_t>(sinks.size()) : 0, user_data, timeout});
    timed += timeout != 0 ? 1 : 0;
}

void PublishBatch::add_again(std::string_view bytes, const PublishRecord& record,
                             const std::shared_ptr<OutcomeSink>& sink) {
    char* const to = make_room(bytes.size(), sink);
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    records.push_back(record);
    records.back().sink = sink ? static_cast<std::uint32_t>(sinks.size()) : 0;
    timed += record.timeout != 0 ? 1 : 0;
}

std::size_t PublishBatch::bytes() const {
    std::size_t sum = 0;
    for (const ByteChunk& chunk : chunks) sum += chunk.size();
    return sum;
}

void PublishBatch::drop_front(std::size_t count) noexcept {
    std::size_t size = 0, emptied = 0;
    for (std::size_t i = 0; i < count; ++i) {
        size += records[i].size;
        timed -= records[i].timeout != 0 ? 1 : 0;
    }
    for (; size > 0 && size >= chunks[emptied].size(); ++emptied) {
        size -= chunks[emptied].size();
        recycle(spare, std::move(chunks[emptied]));
    }
    if (size > 0) chunks[emptied].drop_front(size);
    chunks.erase(chunks.begin(), chunks.begin() + static_cast<std::ptrdiff_t>(emptied));
    records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count));
}

void PublishBatch::clear() noexcept {
    for (ByteChunk& chunk : chunks) recycle(spare, std::move(chunk));
    clear_vector(chunks, 1024);
    clear_vector(records, records_kept_max);
    clear_vector(sinks, sinks_kept_max);
    accepted_us = 0;
    taken_at = 0;
    deadline = never;
    timed = 0;
}

void PublishBatch::recycle(std::vector<ByteChunk>& spare, ByteChunk&& chunk) noexcept {
    ByteChunk taken = std::move(chunk);
    if (taken.capacity() != ByteChunk::usual || spare.size() == spare.capacity()) return;
    taken.clear();
    spare.push_back(std::move(taken));
}

}  // namespace fanwire::core
