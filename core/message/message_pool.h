// Memory for messages without an allocation for each: one thread takes it, whoever releases the last reference
// gives it back. Each piece is an allocation of its own, so that a kept message keeps nothing but itself alive.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace fanwire::core {

class MessagePool {
 public:
    // Sizes are rounded up: to a multiple of granule up to small_max, beyond to one of an eighth of the power of two
    // below.
    static constexpr std::size_t granule = 32, small_max = 1024;
    static constexpr std::size_t piece_max = std::size_t{1} << 20;  // what is larger is nothing for a pool
    // What has been given back waits for its next use up to this many bytes, and at most as many on the taking thread.
    static constexpr std::size_t kept_max = std::size_t{2} << 20;

    // Lives until close() was called and everything taken is given back. Throws std::bad_alloc.
    struct Closer {
        void operator()(MessagePool* pool) const noexcept { pool->close(); }
    };
    using Owner = std::unique_ptr<MessagePool, Closer>;
    static Owner make() { return Owner(new MessagePool); }

    // How large a piece for so many bytes is, up to piece_max.
    static constexpr std::size_t rounded(std::size_t size) { return size_of(class_of(size)); }

    // `size` bytes, at most piece_max. One thread. Throws std::bad_alloc.
    void* take(std::size_t size) {
        const std::size_t cls = class_of(size);
        auto& ready = ready_[cls];
        if (ready.empty()) return refill(cls);
        void* const piece = ready.back();
        ready.pop_back();
        ready_bytes_ -= size_of(cls);
        if (!ready.empty()) __builtin_prefetch(ready.back(), 1);
        return piece;
    }

    struct Piece {
        void* memory;
        std::size_t size;  // as it was taken
    };
    // Takes back pieces. Any thread; never waits: what cannot be kept at once is freed.
    void give_back(const Piece* pieces, std::size_t count) noexcept;

    // Bytes that wait to be taken, and are not on the taking thread.
    std::size_t kept() const;
    // Those that are. The taking thread.
    std::size_t ready() const { return ready_bytes_; }

 private:
    static constexpr std::size_t small_classes = small_max / granule + 1;
    static constexpr std::size_t classes =
        small_classes + 8 * static_cast<std::size_t>(std::countr_zero(piece_max) - std::countr_zero(small_max));
    using Pieces = std::array<std::vector<void*>, classes>;

    MessagePool() = default;
    ~MessagePool() = default;
    static constexpr std::size_t class_of(std::size_t size) {
        if (size <= small_max) return (size + granule - 1) / granule;
        const auto power = static_cast<std::size_t>(std::bit_width(size - 1)) - 1;  // 2^power < size <= 2^(power + 1)
        const std::size_t eighths = ((size - 1) >> (power - 3)) - 8;
        return small_classes + (power - static_cast<std::size_t>(std::countr_zero(small_max))) * 8 + eighths;
    }
    static constexpr std::size_t size_of(std::size_t cls) {
        if (cls < small_classes) return cls * granule;
        const std::size_t large = cls - small_classes;
        return (large % 8 + 9) * (small_max / 8) << large / 8;
    }
    void* refill(std::size_t cls);
    void free_ready_but(std::size_t cls) noexcept;
    std::size_t keep_row(const Piece* pieces, std::size_t count) noexcept;
    bool keep(const Piece& piece) noexcept;
    bool drop_other(std::size_t cls) noexcept;
    void close() noexcept;
    void unref(std::int64_t count) noexcept;

    Pieces ready_;  // of the taking thread
    std::size_t ready_bytes_ = 0;
    // The owner, and each piece that is not in returned_.
    std::atomic<std::int64_t> refs_{1};

    alignas(64) mutable std::mutex mutex_;
    Pieces returned_;
    std::size_t returned_bytes_ = 0;
    std::size_t next_dropped_ = 0;  // class
    bool closed_ = false;
};

}  // namespace fanwire::core
