// Memory for small messages without an allocation for each: one thread takes it, whoever releases the last reference
// gives it back. Each piece is an allocation of its own, so that a kept message keeps nothing but itself alive.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace fanwire::core {

class MessagePool {
   public:
    static constexpr std::size_t granule = 32;
    static constexpr std::size_t piece_max = 1024;  // what is larger is nothing for a pool
    // What has been given back waits for its next use up to this many bytes, and at most as many on the taking thread.
    static constexpr std::size_t kept_max = std::size_t{1} << 20;

    // Lives until close() was called and everything taken is given back. Throws std::bad_alloc.
    struct Closer {
        void operator()(MessagePool* pool) const noexcept { pool->close(); }
    };
    using Owner = std::unique_ptr<MessagePool, Closer>;
    static Owner make() { return Owner(new MessagePool); }

    // `size` bytes, at most piece_max. One thread. Throws std::bad_alloc.
    void* take(std::size_t size) {
        auto& ready = ready_[class_of(size)];
        if (ready.empty()) return refill(class_of(size));
        void* const piece = ready.back();
        ready.pop_back();
        ready_bytes_ -= class_of(size) * granule;
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
    static constexpr std::size_t classes = piece_max / granule + 1;
    using Pieces = std::array<std::vector<void*>, classes>;

    MessagePool() = default;
    ~MessagePool() = default;
    static constexpr std::size_t class_of(std::size_t size) { return (size + granule - 1) / granule; }
    void* refill(std::size_t cls);
    void free_ready_but(std::size_t cls) noexcept;
    bool keep(const Piece& piece) noexcept;
    void close() noexcept;
    void unref(std::int64_t count) noexcept;

    Pieces ready_;  // of the taking thread
    std::size_t ready_bytes_ = 0;
    // The owner, and each piece that is not in returned_.
    std::atomic<std::int64_t> refs_{1};

    alignas(64) mutable std::mutex mutex_;
    Pieces returned_;
    std::size_t returned_bytes_ = 0;
    bool closed_ = false;
};

}  // namespace fanwire::core
