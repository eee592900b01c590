#include "core/message/message_pool.h"

#include <new>
#include <utility>

namespace fanwire::core {

namespace {

constexpr int dropped_max = 4;  // for one piece: where large ones replace small ones, it takes some of them

}  // namespace

void* MessagePool::refill(std::size_t cls) {
    static_assert(class_of(piece_max) == classes - 1 && size_of(classes - 1) == piece_max);
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock && !returned_[cls].empty()) {
        std::swap(ready_[cls], returned_[cls]);
        const std::size_t bytes = ready_[cls].size() * size_of(cls);
        returned_bytes_ -= bytes;
        lock.unlock();
        ready_bytes_ += bytes;
        refs_.fetch_add(static_cast<std::int64_t>(ready_[cls].size()), std::memory_order_relaxed);
        if (ready_bytes_ > kept_max) free_ready_but(cls);
        return take(size_of(cls));
    }
    void* const piece = ::operator new(size_of(cls));
    refs_.fetch_add(1, std::memory_order_relaxed);
    return piece;
}

// Messages of other sizes have come before.
void MessagePool::free_ready_but(std::size_t cls) noexcept {
    std::int64_t freed = 0;
    for (std::size_t other = 0; other < classes; ++other) {
        if (other == cls) continue;
        for (void* piece : ready_[other]) ::operator delete(piece);
        freed += static_cast<std::int64_t>(ready_[other].size());
        std::vector<void*>().swap(ready_[other]);
    }
    ready_bytes_ = ready_[cls].size() * size_of(cls);
    unref(freed);
}

// Frees a piece of another class, of those in turn: sizes that nobody asks for any more must not keep out the others.
bool MessagePool::drop_other(std::size_t cls) noexcept {
    for (std::size_t looked = 0; looked < classes; ++looked) {
        next_dropped_ = (next_dropped_ + 1) % classes;
        auto& pieces = returned_[next_dropped_];
        if (next_dropped_ == cls || pieces.empty()) continue;
        ::operator delete(pieces.back());
        pieces.pop_back();
        returned_bytes_ -= size_of(next_dropped_);
        return true;
    }
    return false;
}

bool MessagePool::keep(const Piece& piece) noexcept {
    const std::size_t cls = class_of(piece.size);
    for (int dropped = 0; dropped < dropped_max && returned_bytes_ + size_of(cls) > kept_max; ++dropped)
        if (!drop_other(cls)) break;
    if (closed_ || returned_bytes_ + size_of(cls) > kept_max) return false;
    try {
        returned_[cls].push_back(piece.memory);
    } catch (const std::bad_alloc&) {
        return false;
    }
    returned_bytes_ += size_of(cls);
    return true;
}

// Takes back the first ones, which are all of one class, if there is room for all of them. Returns how many.
std::size_t MessagePool::keep_row(const Piece* pieces, std::size_t count) noexcept {
    const std::size_t cls = class_of(pieces->size);
    std::size_t row = 1;
    while (row < count && class_of(pieces[row].size) == cls) ++row;
    auto& returned = returned_[cls];
    const std::size_t bytes = row * size_of(cls);
    if (closed_ || returned_bytes_ + bytes > kept_max || returned.capacity() - returned.size() < row) return 0;
    for (std::size_t i = 0; i < row; ++i) returned.push_back(pieces[i].memory);
    returned_bytes_ += bytes;
    return row;
}

void MessagePool::give_back(const Piece* pieces, std::size_t count) noexcept {
    std::size_t kept = 0;
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock) {
        while (kept < count) {
            if (const std::size_t row = keep_row(pieces + kept, count - kept))
                kept += row;
            else if (keep(pieces[kept]))
                ++kept;
            else
                break;
        }
    }
    for (std::size_t i = kept; i < count; ++i) ::operator delete(pieces[i].memory);
    unref(static_cast<std::int64_t>(count));
}

void MessagePool::close() noexcept {
    std::int64_t gone = 1;
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
        for (auto& pieces : returned_) {
            for (void* piece : pieces) ::operator delete(piece);
            pieces.clear();
        }
        returned_bytes_ = 0;
    }
    for (auto& pieces : ready_) {
        for (void* piece : pieces) ::operator delete(piece);
        gone += static_cast<std::int64_t>(pieces.size());
        pieces.clear();
    }
    unref(gone);
}

void MessagePool::unref(std::int64_t count) noexcept {
    if (refs_.fetch_sub(count, std::memory_order_acq_rel) == count) delete this;
}

std::size_t MessagePool::kept() const {
    std::lock_guard lock(mutex_);
    return returned_bytes_;
}

}  // namespace fanwire::core
