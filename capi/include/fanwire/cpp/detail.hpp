// What the other headers share. Part of fanwire.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "fanwire/fanwire.h"

namespace fanwire {

// As a timeout: without limit.
inline constexpr std::chrono::milliseconds forever = std::chrono::milliseconds::max();

namespace detail {

inline std::uint64_t timeout(std::chrono::milliseconds time) noexcept {
    if (time == forever) return FANWIRE_FOREVER;
    return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

inline std::string_view view(const char* bytes, std::size_t size) noexcept {
    return bytes == nullptr ? std::string_view{} : std::string_view{bytes, size};
}

template <typename T, void (*destroy)(T**)>
struct Destroy {
    void operator()(T* handle) const noexcept { destroy(&handle); }
};

template <typename T, void (*destroy)(T**)>
using Handle = std::unique_ptr<T, Destroy<T, destroy>>;

// Several names as the C API takes them; borrowed.
class Names {
 public:
    explicit Names(const std::vector<std::string_view>& names) {
        for (const std::string_view name : names) {
            data_.push_back(name.data());
            sizes_.push_back(name.size());
        }
    }
    const char* const* data() const noexcept { return data_.data(); }
    const std::size_t* sizes() const noexcept { return sizes_.data(); }

 private:
    std::vector<const char*> data_;
    std::vector<std::size_t> sizes_;
};

}  // namespace detail

}  // namespace fanwire
