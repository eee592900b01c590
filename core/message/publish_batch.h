// Publishes on their way from those who call to the backend: their bytes, as the backend's PublishFormat has written
// them, and a record for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/message/outcome.h"
#include "core/message/publish_format.h"

namespace fanwire::core {

struct PublishRecord {
    std::uint32_t size = 0;  // of its bytes
    std::uint32_t sink = 0;  // its number among the sinks of its batch, from 1 on; nobody asked: 0
    void* user_data = nullptr;
    std::uint32_t timeout = 0;  // ms, of its own; 0: that of its batch
    bool begun = false;         // part of it was written on a connection that is gone
};

static_assert(sizeof(void*) != 8 || sizeof(PublishRecord) == 24);

// Whole records back to back in a block of memory.
class ByteChunk {
 public:
    // Of this size they are used again. A larger record has one of its own.
    static constexpr std::size_t usual = 64 * 1024;

    ByteChunk() = default;
    explicit ByteChunk(std::size_t capacity)
        : memory_(std::make_unique_for_overwrite<char[]>(capacity)), capacity_(capacity) {}
    ByteChunk(ByteChunk&& other) noexcept { *this = std::move(other); }
    ByteChunk& operator=(ByteChunk&& other) noexcept {
        memory_ = std::move(other.memory_);
        capacity_ = std::exchange(other.capacity_, 0);
        begin_ = std::exchange(other.begin_, 0);
        end_ = std::exchange(other.end_, 0);
        return *this;
    }

    bool empty() const { return begin_ == end_; }
    std::size_t size() const { return end_ - begin_; }
    std::size_t capacity() const { return capacity_; }
    std::size_t room() const { return capacity_ - end_; }
    std::string_view view() const { return {memory_.get() + begin_, size()}; }

    // Where `size` more bytes are to be written; there must be room.
    char* extend(std::size_t size) {
        char* const at = memory_.get() + end_;
        end_ += size;
        return at;
    }
    void append(std::string_view bytes) { std::memcpy(extend(bytes.size()), bytes.data(), bytes.size()); }
    void drop_front(std::size_t size) { begin_ += size; }
    void clear() { begin_ = end_ = 0; }

    // Takes out records in place: each is passed by its size to keep() or leave_out(), and then finish() is called.
    class Sieve;

 private:
    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

class ByteChunk::Sieve {
 public:
    explicit Sieve(ByteChunk& chunk) : chunk_(chunk), from_(chunk.begin_), to_(chunk.begin_) {}
    bool done() const { return from_ == chunk_.end_; }
    void keep(std::size_t size) {
        char* const memory = chunk_.memory_.get();
        if (to_ != from_) std::memmove(memory + to_, memory + from_, size);
        from_ += size;
        to_ += size;
    }
    void leave_out(std::size_t size) {
        from_ += size;
        if (to_ == chunk_.begin_) chunk_.begin_ = to_ = from_;  // what leaves at the front moves nothing
    }
    void finish() { chunk_.end_ = to_; }

 private:
    ByteChunk& chunk_;
    std::size_t from_, to_;
};

// Chunks and a record of each publish in them. Its memory is used again: whoever takes what is in it leaves the rest.
struct PublishBatch {
    // Emptied chunks of the usual size that are kept, at most.
    static constexpr std::size_t spare_max = 16;

    std::vector<ByteChunk> chunks;
    std::vector<PublishRecord> records;
    std::vector<std::shared_ptr<OutcomeSink>> sinks;
    std::vector<ByteChunk> spare;
    std::uint64_t accepted_us = 0;  // when the first of them was
    TimeMs taken_at = 0;            // from which on timeouts count
    TimeMs deadline = never;
    std::size_t timed = 0;  // records with a timeout of their own

    // Appends a publish to the channel that `prefix` and `channel` make. Returns how many bytes it has. Nothing is
    // changed if it throws std::bad_alloc.
    std::size_t add(const PublishFormat& format, std::string_view prefix, std::string_view channel,
                    std::string_view payload, const std::shared_ptr<OutcomeSink>& sink = nullptr,
                    void* user_data = nullptr, std::uint32_t timeout = 0) {
        const std::size_t size = format.size(prefix.size() + channel.size(), payload.size());
        add_sized(format, size, prefix, channel, payload, sink, user_data, timeout);
        return size;
    }
    // The same when the format has been asked already how many bytes it has.
    void add_sized(const PublishFormat& format, std::size_t size, std::string_view prefix, std::string_view channel,
                   std::string_view payload, const std::shared_ptr<OutcomeSink>& sink, void* user_data,
                   std::uint32_t timeout);
    // Appends a publish that another queue has had, with what that knew of it. Nothing is changed if it throws
    // std::bad_alloc.
    void add_again(std::string_view bytes, const PublishRecord& record, const std::shared_ptr<OutcomeSink>& sink);

    bool empty() const { return records.empty(); }
    std::size_t bytes() const;
    // When the time of one of them is over.
    TimeMs deadline_of(const PublishRecord& record) const {
        return record.timeout != 0 ? taken_at + record.timeout : deadline;
    }
    // Takes out the first `count` of them.
    void drop_front(std::size_t count) noexcept;
    // Takes out those of which gone(record) is true.
    template <class Gone>
    void take_out(Gone&& gone) noexcept {
        std::size_t i = 0, kept = 0;
        for (ByteChunk& chunk : chunks) {
            ByteChunk::Sieve sieve(chunk);
            for (; !sieve.done(); ++i) {
                const PublishRecord record = records[i];
                if (gone(record)) {
                    sieve.leave_out(record.size);
                    timed -= record.timeout != 0 ? 1 : 0;
                } else {
                    sieve.keep(record.size);
                    records[kept++] = record;
                }
            }
            sieve.finish();
        }
        records.erase(records.begin() + static_cast<std::ptrdiff_t>(kept), records.end());
        std::erase_if(chunks, [](const ByteChunk& chunk) { return chunk.empty(); });
    }
    // Keeps memory, but not that of an exceptional burst.
    void clear() noexcept;
    // Makes room, so that what follows needs no memory, and returns where a record of that size is to be written.
    char* make_room(std::size_t size, const std::shared_ptr<OutcomeSink>& sink);
    // Keeps the chunk's memory for later, if it is worth it and there is room.
    static void recycle(std::vector<ByteChunk>& spare, ByteChunk&& chunk) noexcept;
};

}  // namespace fanwire::core
