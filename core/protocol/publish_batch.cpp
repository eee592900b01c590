#include "core/protocol/publish_batch.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace fanwire::core {

namespace {

constexpr std::string_view head = "*3\r\n$7\r\nPUBLISH\r\n$";
constexpr std::size_t records_kept_max = 16 * 1024, sinks_kept_max = 1024;

// A count as it stands behind `$`.
class Digits {
 public:
    explicit Digits(std::size_t n) {
        do text_[--begin_] = static_cast<char>('0' + n % 10);
        while ((n /= 10) > 0);
    }
    std::string_view view() const { return {text_ + begin_, size()}; }
    std::size_t size() const { return sizeof text_ - begin_; }

 private:
    char text_[20];
    std::size_t begin_ = sizeof text_;
};

char* put(char* to, std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    return to + bytes.size();
}

template <class T>
void clear_vector(std::vector<T>& values, std::size_t keep) noexcept {
    values.clear();
    if (values.capacity() > keep) std::vector<T>().swap(values);
}

// How many digits a count has.
std::size_t digits_of(std::size_t n) {
    std::size_t digits = 1;
    for (; n >= 1000; n /= 1000) digits += 3;
    return digits + (n >= 10 ? 1 : 0) + (n >= 100 ? 1 : 0);
}

}  // namespace

std::size_t PublishBatch::encoded_size(std::size_t channel_size, std::size_t payload_size) {
    return head.size() + digits_of(channel_size) + 2 + channel_size + 3 + digits_of(payload_size) + 2 + payload_size +
           2;
}

// Inline, since each publish of each caller comes through here.
[[gnu::always_inline]] inline char* PublishBatch::make_room(std::size_t size,
                                                            const std::shared_ptr<OutcomeSink>& sink) {
    if (records.size() == records.capacity()) records.reserve(std::max<std::size_t>(64, records.capacity() * 2));
    if (chunks.empty() || chunks.back().room() < size) {
        if (chunks.size() == chunks.capacity()) chunks.reserve(std::max<std::size_t>(4, chunks.capacity() * 2));
        spare.reserve(spare_max);
        if (size <= CommandChunk::usual && !spare.empty()) {
            chunks.push_back(std::move(spare.back()));
            spare.pop_back();
        } else {
            chunks.emplace_back(std::max(size, CommandChunk::usual));
        }
    }
    if (sink && (sinks.empty() || sinks.back() != sink)) sinks.push_back(sink);
    return chunks.back().extend(size);
}

std::uint32_t PublishBatch::add(std::string_view prefix, std::string_view channel, std::string_view payload,
                                const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout) {
    const std::size_t channel_size = prefix.size() + channel.size();
    const Digits channel_digits(channel_size), payload_digits(payload.size());
    const std::size_t size =
        head.size() + channel_digits.size() + 2 + channel_size + 3 + payload_digits.size() + 2 + payload.size() + 2;

    char* to = make_room(size, sink);
    to = put(to, head);
    to = put(to, channel_digits.view());
    to = put(to, "\r\n");
    to = put(to, prefix);
    to = put(to, channel);
    to = put(to, "\r\n$");
    to = put(to, payload_digits.view());
    to = put(to, "\r\n");
    to = put(to, payload);
    put(to, "\r\n");
    records.push_back({static_cast<std::uint32_t>(size), sink ? static_cast<std::uint32_t>(sinks.size()) : 0, user_data,
                       PublishRecord::Purpose::publish, false, timeout});
    timed += timeout != 0 ? 1 : 0;
    return records.back().size;
}

void PublishBatch::add_again(std::string_view command, const PublishRecord& record,
                             const std::shared_ptr<OutcomeSink>& sink) {
    put(make_room(command.size(), sink), command);
    records.push_back(record);
    records.back().sink = sink ? static_cast<std::uint32_t>(sinks.size()) : 0;
    timed += record.timeout != 0 ? 1 : 0;
}

void PublishBatch::add_own(PublishRecord::Purpose purpose, std::string_view command) {
    records.reserve(1);
    chunks.emplace_back(command.size()).append(command);
    records.push_back({static_cast<std::uint32_t>(command.size()), 0, nullptr, purpose, false, 0});
}

std::size_t PublishBatch::bytes() const {
    std::size_t sum = 0;
    for (const CommandChunk& chunk : chunks) sum += chunk.size();
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
    for (CommandChunk& chunk : chunks) recycle(spare, std::move(chunk));
    clear_vector(chunks, 1024);
    clear_vector(records, records_kept_max);
    clear_vector(sinks, sinks_kept_max);
    accepted_us = 0;
    taken_at = 0;
    deadline = never;
    timed = 0;
}

void PublishBatch::recycle(std::vector<CommandChunk>& spare, CommandChunk&& chunk) noexcept {
    CommandChunk taken = std::move(chunk);
    if (taken.capacity() != CommandChunk::usual || spare.size() == spare.capacity()) return;
    taken.clear();
    spare.push_back(std::move(taken));
}

EncodedPublish::EncodedPublish(std::string_view command) {
    const auto bulk = [&command](std::size_t from) {
        std::size_t size = 0;
        const auto end = std::from_chars(command.data() + from, command.data() + command.size(), size).ptr;
        return command.substr(static_cast<std::size_t>(end - command.data()) + 2, size);
    };
    channel = bulk(head.size());
    payload = bulk(static_cast<std::size_t>(channel.data() + channel.size() - command.data()) + 3);
}

}  // namespace fanwire::core
