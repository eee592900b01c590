// Intrusive reference counting: one pointer wide, one allocation, counts shared between threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace fanwire::core {

// T has retain() and release(); release() frees with the last reference.
template <class T>
class Ref {
 public:
    Ref() = default;
    Ref(std::nullptr_t) {}
    Ref(const Ref& other) : target_(other.target_) {
        if (target_) target_->retain();
    }
    Ref(Ref&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
    Ref& operator=(Ref other) noexcept {
        std::swap(target_, other.target_);
        return *this;
    }
    ~Ref() {
        if (target_) target_->release();
    }

    // Takes over a reference that the caller owns.
    static Ref adopt(T* target) {
        Ref ref;
        ref.target_ = target;
        return ref;
    }
    // One more reference to something that somebody else keeps alive.
    static Ref share(T* target) {
        if (target) target->retain();
        return adopt(target);
    }

    // Hands the reference to the caller, who must release() it.
    T* detach() { return std::exchange(target_, nullptr); }

    T* get() const { return target_; }
    T* operator->() const { return target_; }
    T& operator*() const { return *target_; }
    explicit operator bool() const { return target_ != nullptr; }
    bool operator==(const Ref& other) const { return target_ == other.target_; }

 private:
    T* target_ = nullptr;
};

class RefCount {
 public:
    void retain(std::uint32_t count = 1) { count_.fetch_add(count, std::memory_order_relaxed); }
    // True when this was the last reference.
    bool release() {
        if (count_.load(std::memory_order_acquire) == 1) return true;  // and nobody else has one to copy
        // acq_rel and not release with a fence: the thread sanitizer does not see fences.
        return count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

 private:
    std::atomic<std::uint32_t> count_{1};
};

}  // namespace fanwire::core
