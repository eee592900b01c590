// One libevent base: timers, descriptors and a way to be called from other threads. Everything but wake() and the
// constructor belongs to the thread that calls run().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/net/timer.h"

struct event;
struct event_base;

namespace fanwire::core {

class Loop {
 public:
    using Callback = std::function<void()>;

    // `woken` is called in the loop once after each wake(), or several. Throws Failure SYSTEM_ERROR.
    explicit Loop(Callback woken);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // `unexpected` is called in the loop when a callback throws anything but std::bad_alloc, which callbacks take up
    // again by themselves. It may not throw. To be set before run().
    using Unexpected = std::function<void(const char* what)>;
    void on_unexpected(Unexpected unexpected) { unexpected_ = std::move(unexpected); }
    void report_unexpected(const char* what) const {
        if (unexpected_) unexpected_(what);
    }

    // Runs until stop().
    void run();
    void stop();
    // Thread: any.
    void wake();
    // Calls `callback` in the loop, unless the loop is stopped first. Thread: any.
    void post(Callback callback);

    class Timer final : public core::Timer {
     public:
        Timer(Loop& loop, Callback callback);
        ~Timer() override;
        Timer(const Timer&) = delete;
        Timer& operator=(const Timer&) = delete;
        void at(TimeMs time) override;

     private:
        Callback callback_;
        event* event_;
        TimeMs time_ = never;
    };

    // A timer in microseconds, which those of libevent are not where it waits in milliseconds. Calls back once for each
    // in(). Throws Failure SYSTEM_ERROR when there is no descriptor for it.
    class PreciseTimer {
     public:
        PreciseTimer(Loop& loop, Callback callback);
        ~PreciseTimer();
        PreciseTimer(const PreciseTimer&) = delete;
        PreciseTimer& operator=(const PreciseTimer&) = delete;
        void in(std::uint32_t delay_us);
        void off();

     private:
        Callback callback_;
        [[maybe_unused]] int fd_ = -1;
        event* event_ = nullptr;
        bool on_ = false;
    };

    // Watches a descriptor that somebody else owns and closes after this is gone. To watch may throw std::bad_alloc,
    // not to watch does not.
    class Watch {
     public:
        Watch(Loop& loop, int fd, Callback readable, Callback writable);
        ~Watch();
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;
        void read(bool on);
        void write(bool on);

     private:
        Callback readable_, writable_;
        event *read_, *write_;
    };

 private:
    struct Wakeup;

    void run_posted();

    event_base* base_;
    Callback woken_;
    Unexpected unexpected_;
    std::unique_ptr<Wakeup> wakeup_;
    std::mutex mutex_;
    std::vector<Callback> posted_;
};

// The version of libevent in use, "2.1.12-stable"; static.
const char* libevent_version();

}  // namespace fanwire::core
