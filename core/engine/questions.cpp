#include "core/engine/questions.h"

#include <string>
#include <utility>

namespace fanwire::core {

void Questions::ask(std::unique_ptr<Numsub> question) {
    const std::size_t size = question->size();
    question->done = [this, size, done = std::move(question->done)](const Error& why) {
        count_.fetch_sub(1);
        bytes_.fetch_sub(size);
        done(why);
    };
    std::lock_guard lock(mutex_);
    if (closed_) throw Failure(Status::CLOSED, "the engine is closed");
    if (count_.load() >= count_max_)
        throw Failure(Status::LIMIT_REACHED,
                      "max_requests (" + std::to_string(count_max_) + ") NUMSUBs have no answer yet");
    if (bytes_.load() > 0 && bytes_.load() + size > bytes_max_)
        throw Failure(Status::QUEUE_FULL,
                      "NUMSUBs without an answer fill publish_buffer_bytes (" + std::to_string(bytes_max_) + ")");
    asked_.push_back(std::move(question));
    count_.fetch_add(1);
    bytes_.fetch_add(size);
    any_.store(true, std::memory_order_release);
}

void Questions::shut() noexcept {
    std::lock_guard lock(mutex_);
    closed_ = true;
}

std::unique_ptr<Numsub> Questions::take() noexcept {
    if (put_back_) return std::move(put_back_);
    if (!any_.load(std::memory_order_acquire)) return nullptr;
    std::lock_guard lock(mutex_);
    if (asked_.empty()) {
        any_.store(false, std::memory_order_relaxed);
        return nullptr;
    }
    std::unique_ptr<Numsub> first = std::move(asked_.front());
    asked_.pop_front();
    return first;
}

void Questions::end(const Error& why) noexcept {
    while (const std::unique_ptr<Numsub> question = take()) question->done(why);
}

}  // namespace fanwire::core
