// A queue in one block of memory that is used round and round: to append and to take from the front cost no allocation.
#pragma once

#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

namespace fanwire::core {

template <class T>
class Ring {
 public:
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T& operator[](std::size_t i) { return slots_[(first_ + i) & (slots_.size() - 1)]; }
    const T& operator[](std::size_t i) const { return slots_[(first_ + i) & (slots_.size() - 1)]; }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }

    // So that `count` more can be appended without memory. Nothing is changed if it throws std::bad_alloc.
    void reserve_more(std::size_t count) {
        if (size_ + count <= slots_.size()) return;
        std::vector<T> slots(std::bit_ceil(size_ + count));
        for (std::size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
        slots_.swap(slots);
        first_ = 0;
    }
    // There must be room.
    void push_back(T value) noexcept { (*this)[size_++] = std::move(value); }
    void pop_front() noexcept {
        front() = T();
        first_ = (first_ + 1) & (slots_.size() - 1);
        --size_;
    }
    // Without looking at what they hold: for values that own nothing.
    void drop_front(std::size_t count) noexcept {
        first_ = (first_ + count) & (slots_.size() - 1);
        size_ -= count;
    }
    // All behind the first `count`.
    void truncate(std::size_t count) noexcept {
        while (size_ > count) (*this)[--size_] = T();
    }
    // Gives the memory back when it is empty and has more than `keep` places.
    void trim(std::size_t keep) noexcept {
        if (size_ == 0 && slots_.size() > keep) std::vector<T>().swap(slots_);
    }

 private:
    std::vector<T> slots_;  // a power of two of them
    std::size_t first_ = 0, size_ = 0;
};

}  // namespace fanwire::core
