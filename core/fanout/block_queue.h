// A queue in blocks: its elements do not move, and taking one needs no memory. Whenever the queue becomes empty it
// keeps as many blocks as append() has used since the last time, at least one and at most `spare_max`. So bursts of the
// same size need no new memory, and after a large burst the next small one frees it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace fanwire::core {

template <class T, std::size_t block_size, std::size_t spare_max = 2>
class BlockQueue {
 public:
    BlockQueue() = default;
    ~BlockQueue() { clear(); }
    BlockQueue(const BlockQueue&) = delete;
    BlockQueue& operator=(const BlockQueue&) = delete;

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T& operator[](std::size_t i) {
        return blocks_[first_ + (begin_ + i) / block_size]->entries[(begin_ + i) % block_size];
    }
    T& front() { return (*this)[0]; }

    // After this the next push_back() cannot fail. Throws std::bad_alloc, and then has changed nothing.
    void make_room() {
        if (begin_ + size_ < (blocks_.size() - first_) * block_size) return;
        if (first_ > 0 && first_ >= blocks_.size() / 2) {
            blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(first_));
            first_ = 0;
        }
        if (blocks_.size() == blocks_.capacity()) blocks_.reserve(std::max<std::size_t>(2, blocks_.size() * 2));
        if (!spare_) add_spare(std::make_unique<Block>());
        blocks_.push_back(take_spare());
    }
    void push_back(T value) {
        make_room();
        (*this)[size_] = std::move(value);
        ++size_;
    }
    // Appends as many of the `count` as there is memory for. Returns how many.
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
        used_ = std::max(used_, blocks_.size() - first_);
        return done;
    }

    // Returns how many elements at the front lie next to each other in memory.
    std::size_t run() const { return std::min(size_, block_size - begin_); }
    T pop_front() {
        T out = std::move(front());
        front() = T{};
        drop(1);
        return out;
    }
    // Removes that many at the front, at most run(). Their type must need no destructor.
    void drop(std::size_t count) {
        begin_ += count;
        size_ -= count;
        if (begin_ == block_size) {
            begin_ = 0;
            add_spare(std::move(blocks_[first_++]));
            if (spares_ > spare_max) take_spare();
        }
        if (size_ == 0) become_empty();
    }
    void clear() {
        std::vector<std::unique_ptr<Block>>().swap(blocks_);
        first_ = begin_ = size_ = used_ = 0;
        while (spare_) take_spare();
    }

 private:
    struct Block {
        T entries[block_size]{};
        std::unique_ptr<Block> next_spare;
    };
    static constexpr std::size_t blocks_kept_max = 4096;  // pointers to them

    void add_spare(std::unique_ptr<Block> block) noexcept {
        block->next_spare = std::move(spare_);
        spare_ = std::move(block);
        ++spares_;
    }
    std::unique_ptr<Block> take_spare() noexcept {
        std::unique_ptr<Block> block = std::move(spare_);
        spare_ = std::move(block->next_spare);
        --spares_;
        return block;
    }
    void become_empty() noexcept {
        while (first_ < blocks_.size()) add_spare(std::move(blocks_[first_++]));
        blocks_.clear();
        first_ = begin_ = 0;
        if (blocks_.capacity() > blocks_kept_max) std::vector<std::unique_ptr<Block>>().swap(blocks_);
        while (spares_ > std::clamp<std::size_t>(used_, 1, spare_max)) take_spare();
        used_ = 0;
    }

    std::vector<std::unique_ptr<Block>> blocks_;  // the ones before first_ are null
    std::unique_ptr<Block> spare_;                // the first of a list
    std::size_t spares_ = 0, used_ = 0;
    std::size_t first_ = 0, begin_ = 0, size_ = 0;
};

}  // namespace fanwire::core
