// The log of an engine on its way to JavaScript.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "handle.h"

namespace fanwire::node {

// The engine's IO thread must never wait for JavaScript: it only leaves its lines here and wakes it. When they come
// faster than they are taken, those that do not fit are counted.
class LogQueue {
 public:
    struct Line {
        int level;
        std::string text;
    };

    LogQueue(std::shared_ptr<Waker> waker, uint32_t id) : waker_(std::move(waker)), id_(id) {}

    // Thread: any.
    void add(int level, const char* text) noexcept;

    // What waits, in order; *left_out becomes the number of those that did not fit.
    std::deque<Line> take(uint64_t* left_out);

 private:
    static constexpr size_t kMaxLines = 1000;

    const std::shared_ptr<Waker> waker_;
    const uint32_t id_;
    std::mutex mutex_;
    std::deque<Line> lines_;
    uint64_t left_out_ = 0;
};

// What JavaScript has of it. The queue itself lives as long as the engine.
class Log : public Handle {
 public:
    Log(std::shared_ptr<Environment> environment, uint32_t id)
        : Handle(std::move(environment)), queue_(std::make_shared<LogQueue>(this->environment().waker(), id)) {}
    const void* type() const override { return type_of<Log>(); }

    const std::shared_ptr<LogQueue>& queue() const { return queue_; }

 private:
    const std::shared_ptr<LogQueue> queue_;
};

void export_log(napi_env env, napi_value exports);

}  // namespace fanwire::node
