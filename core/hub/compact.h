// A vector for very many short lists: 16 bytes, and little room that is not used. It grows by a quarter and gives room
// back when half of it is not used.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace fanwire::core {

template <class T>
class Compact {
    static_assert(std::is_trivially_copyable_v<T>);

 public:
    Compact() = default;
    Compact(Compact&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          room_(std::exchange(other.room_, 0)) {}
    Compact& operator=(Compact&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(room_, other.room_);
        return *this;
    }
    ~Compact() { std::free(data_); }

    std::uint32_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T& operator[](std::uint32_t at) { return data_[at]; }
    const T& operator[](std::uint32_t at) const { return data_[at]; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }
    T& back() { return data_[size_ - 1]; }

    // The next push() does not fail. Throws std::bad_alloc.
    void make_room() {
        if (size_ == room_ && !resize(size_ + std::max<std::uint32_t>(4, size_ / 4))) throw std::bad_alloc();
    }
    void push(T value) noexcept { data_[size_++] = value; }
    void pop() noexcept {
        --size_;
        if (size_ == 0) {
            std::free(std::exchange(data_, nullptr));
            room_ = 0;
        } else if (room_ > 8 && size_ < room_ / 2) {
            resize(size_ + size_ / 4);  // without memory for that the old one stays
        }
    }

 private:
    bool resize(std::uint32_t room) noexcept {
        void* const data = std::realloc(static_cast<void*>(data_), std::size_t{room} * sizeof(T));
        if (!data) return false;
        data_ = static_cast<T*>(data);
        room_ = room;
        return true;
    }

    T* data_ = nullptr;
    std::uint32_t size_ = 0, room_ = 0;
};

}  // namespace fanwire::core
