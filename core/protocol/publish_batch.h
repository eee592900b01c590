// Encoded publishes on their way from those who call to the link: bytes, and a record for each.
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

namespace fanwire::core {

struct PublishRecord {
    // What the command is for. What is not a publish is of the link's own making, not counted and not settled; or a
    // publish that was settled before its answer came.
    enum class Purpose : std::uint8_t { publish, ping, auth, probe, numsub, expired };

    std::uint32_t size = 0;  // of the encoded command
    std::uint32_t sink = 0;  // its number among the sinks of its batch, from 1 on; nobody asked: 0
    void* user_data = nullptr;
    Purpose purpose = Purpose::publish;
    bool begun = false;         // part of it was written on a connection that is gone
    std::uint32_t timeout = 0;  // ms, of its own; 0: that of its batch
};

static_assert(sizeof(void*) != 8 || sizeof(PublishRecord) == 24);

// Whole commands back to back in a block of memory.
class CommandChunk {
 public:
    // Of this size they are used again. A larger command has one of its own.
    static constexpr std::size_t usual = 64 * 1024;

    CommandChunk() = default;
    explicit CommandChunk(std::size_t capacity)
        : memory_(std::make_unique_for_overwrite<char[]>(capacity)), capacity_(capacity) {}
    CommandChunk(CommandChunk&& other) noexcept { *this = std::move(other); }
    CommandChunk& operator=(CommandChunk&& other) noexcept {
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

    // Takes out commands in place: each is passed by its size to keep() or leave_out(), and then finish() is called.
    class Sieve;

 private:
    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

class CommandChunk::Sieve {
 public:
    explicit Sieve(CommandChunk& chunk) : chunk_(chunk), from_(chunk.begin_), to_(chunk.begin_) {}
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
    CommandChunk& chunk_;
    std::size_t from_, to_;
};

// Chunks and a record for each command in them. Its memory is used again: whoever takes what is in it leaves the rest.
struct PublishBatch {
    // Emptied chunks of the usual size that are kept, at most.
    static constexpr std::size_t spare_max = 16;

    std::vector<CommandChunk> chunks;
    std::vector<PublishRecord> records;
    std::vector<std::shared_ptr<OutcomeSink>> sinks;
    std::vector<CommandChunk> spare;
    std::uint64_t accepted_us = 0;  // when the first of them was
    TimeMs taken_at = 0;            // from which on timeouts count
    TimeMs deadline = never;
    std::size_t timed = 0;  // records with a timeout of their own

    // Returns how many bytes add() appends for a channel and a payload of these sizes.
    static std::size_t encoded_size(std::size_t channel_size, std::size_t payload_size);
    // Appends PUBLISH to the channel `prefix` and `channel` make; gives the command's size. Nothing is changed if it
    // throws std::bad_alloc.
    std::uint32_t add(std::string_view prefix, std::string_view channel, std::string_view payload,
                      const std::shared_ptr<OutcomeSink>& sink = nullptr, void* user_data = nullptr,
                      std::uint32_t timeout = 0);
    // Appends a command that another queue has had, with what that knew of it. Nothing is changed if it throws
    // std::bad_alloc.
    void add_again(std::string_view command, const PublishRecord& record, const std::shared_ptr<OutcomeSink>& sink);
    // A command of the link's own, which must be alone in its batch.
    void add_own(PublishRecord::Purpose purpose, std::string_view command);

    bool empty() const { return records.empty(); }
    std::size_t bytes() const;
    // When the time of one of them is over.
    TimeMs deadline_of(const PublishRecord& record) const {
        return record.timeout != 0 ? taken_at + record.timeout : deadline;
    }
    // Takes out the first `count` records with their commands.
    void drop_front(std::size_t count) noexcept;
    // Takes out those of which gone(record) is true.
    template <class Gone>
    void take_out(Gone&& gone) noexcept {
        std::size_t i = 0, kept = 0;
        for (CommandChunk& chunk : chunks) {
            CommandChunk::Sieve sieve(chunk);
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
        std::erase_if(chunks, [](const CommandChunk& chunk) { return chunk.empty(); });
    }
    // Keeps memory, but not that of an exceptional burst.
    void clear() noexcept;
    // Makes room, so that what follows needs no memory, and returns where a command of that size is to be written.
    char* make_room(std::size_t size, const std::shared_ptr<OutcomeSink>& sink);
    // Keeps the chunk's memory for later, if it is worth it and there is room.
    static void recycle(std::vector<CommandChunk>& spare, CommandChunk&& chunk) noexcept;
};

// What add() has encoded.
struct EncodedPublish {
    std::string_view channel, payload;
    explicit EncodedPublish(std::string_view command);
};

}  // namespace fanwire::core
