// A queue in blocks: what is in it does not move, an empty one keeps two or three blocks at most, and taking from it needs no
// memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace fanwire::core {

template <class T, std::size_t block_size>
class BlockQueue {
   public:
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T& operator[](std::size_t i) { return blocks_[first_ + (begin_ + i) / block_size][(begin_ + i) % block_size]; }
    T& front() { return (*this)[0]; }

    // After this the next push_back() cannot fail. Throws std::bad_alloc, and then has changed nothing.
    void make_room() {
        if (begin_ + size_ < (blocks_.size() - first_) * block_size) return;
        if (first_ > 0 && first_ >= blocks_.size() / 2) {
            blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(first_));
            first_ = 0;
        }
        if (blocks_.size() == blocks_.capacity()) blocks_.reserve(std::max<std::size_t>(2, blocks_.size() * 2));
        if (!spare_) spare_ = std::make_unique<T[]>(block_size);
        blocks_.push_back(std::move(spare_));
    }
    void push_back(T value) {
        make_room();
        (*this)[size_] = std::move(value);
        ++size_;
    }
    // As many of the `count` as there is memory for; how many.
    std::size_t append(const T* values, std::size_t count) noexcept {
        std::size_t done = 0;
        while (done < count) {
            try {
                make_room();
            } catch (const std::bad_alloc&) {
                break;
            }
            const std::size_t at = (begin_ + size_) % block_size;
            const std::size_t n = std::min(count - done, block_size - at);
            std::copy_n(values + done, n, &(*this)[size_]);
            size_ += n;
            done += n;
        }
        return done;
    }

    // How many at the front lie in a row.
    std::size_t run() const { return std::min(size_, block_size - begin_); }
    T pop_front() {
        T out = std::move(front());
        front() = T{};
        drop(1);
        return out;
    }
    // Those at the front, at most run() and of a type that needs no cleaning up.
    void drop(std::size_t count) {
        begin_ += count;
        size_ -= count;
        if (size_ == 0) {
            begin_ = 0;
            if (blocks_.capacity() > blocks_kept_max) clear();
        } else if (begin_ == block_size) {
            begin_ = 0;
            spare_ = std::move(blocks_[first_++]);
        }
    }
    void clear() {
        std::vector<std::unique_ptr<T[]>>().swap(blocks_);
        spare_.reset();
        first_ = begin_ = size_ = 0;
    }

   private:
    static constexpr std::size_t blocks_kept_max = 256;  // pointers to them

    std::vector<std::unique_ptr<T[]>> blocks_;  // those before first_ are gone
    std::unique_ptr<T[]> spare_;
    std::size_t first_ = 0, begin_ = 0, size_ = 0;
};

}  // namespace fanwire::core
