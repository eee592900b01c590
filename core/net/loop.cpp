#include "core/net/loop.h"

#include <event2/event.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/net/event_base.h"
#include "core/net/event_fd.h"

#ifdef __linux__
#include <sys/timerfd.h>
#endif

namespace fanwire::core {

namespace {

event* make_event(event_base* base, int fd, short what, event_callback_fn callback, void* arg) {
    event* made = event_new(base, fd, what, callback, arg);
    if (!made) throw std::bad_alloc();
    return made;
}

// The loop that this thread runs.
thread_local const Loop* running = nullptr;

// libevent is C: no exception may pass through it. What a callback could not do for want of memory it has to take up
// again at its next call, or leave to a timeout. Any other exception is a fault of ours.
template <class Callback>
void run_guarded(Callback&& callback) noexcept {
    try {
        callback();
    } catch (const std::bad_alloc&) {
    } catch (const Failure& failure) {
        if (failure.status() != Status::NO_MEMORY) running->report_unexpected(failure.what());
    } catch (const std::exception& error) {
        running->report_unexpected(error.what());
    } catch (...) {
        running->report_unexpected("an exception of unknown type");
    }
}

void add_event(event* e, const timeval* in) {
    if (event_add(e, in) != 0) throw std::bad_alloc();
}

void switch_event(event* e, bool on) {
    if (on)
        add_event(e, nullptr);
    else
        event_del(e);
}

// Of a timer that is off.
constexpr timeval far_away{365 * 86400, 0};

}  // namespace

struct Loop::Wakeup {
    std::unique_ptr<Pollable> signal = make_event_fd();
    event* readable = nullptr;

    ~Wakeup() {
        if (readable) event_free(readable);
    }
};

Loop::Loop(Callback woken)
    : base_(nullptr), woken_(std::move(woken)), wakeup_(std::make_unique<Wakeup>()) {  // first what fails by itself
    base_ = make_event_base();
    try {
        wakeup_->readable = make_event(
            base_, wakeup_->signal->fd(), EV_READ | EV_PERSIST,
            [](evutil_socket_t, short, void* self) {
                auto* loop = static_cast<Loop*>(self);
                loop->wakeup_->signal->clear();
                loop->run_posted();
                run_guarded(loop->woken_);
            },
            this);
        add_event(wakeup_->readable, nullptr);
    } catch (...) {
        wakeup_.reset();
        event_base_free(base_);
        throw;
    }
}

Loop::~Loop() {
    wakeup_.reset();
    event_base_free(base_);
}

void Loop::run() {
    running = this;
    event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
}
void Loop::stop() {
    event_base_loopbreak(base_);
}
void Loop::wake() {
    wakeup_->signal->set();
}

void Loop::post(Callback callback) {
    {
        std::lock_guard lock(mutex_);
        posted_.push_back(std::move(callback));
    }
    wake();
}

void Loop::run_posted() {
    std::vector<Callback> posted;
    {
        std::lock_guard lock(mutex_);
        posted.swap(posted_);
    }
    for (const Callback& callback : posted) run_guarded(callback);
}

Loop::Timer::Timer(Loop& loop, Callback callback)
    : callback_(std::move(callback)),
      event_(make_event(
          loop.base_, -1, 0,
          [](evutil_socket_t, short, void* self) {
              auto* timer = static_cast<Timer*>(self);
              timer->time_ = never;
              event_add(timer->event_, &far_away);  // into the place that it has just left
              run_guarded(timer->callback_);
          },
          this)) {
    // A timer is always in libevent's heap, far away when it is off: then setting it needs no memory and cannot fail.
    if (event_add(event_, &far_away) == 0) return;
    event_free(event_);
    throw std::bad_alloc();
}

Loop::Timer::~Timer() {
    event_free(event_);
}

void Loop::Timer::at(TimeMs time) {
    if (time == time_) return;
    time_ = time;
    if (time == never) {
        event_add(event_, &far_away);
        return;
    }
    const TimeMs delay = std::max<TimeMs>(time - now_ms(), 0);
    timeval tv{};
    tv.tv_sec = delay / 1000;
    tv.tv_usec = (delay % 1000) * 1000;
    event_add(event_, &tv);
}

#ifdef __linux__

namespace {

// Setting it also takes back that it has expired, so that nothing needs to be read.
void set_timer_fd(int fd, std::uint32_t delay_us) {
    itimerspec when{};
    when.it_value.tv_sec = delay_us / 1000000;
    when.it_value.tv_nsec = static_cast<long>(delay_us % 1000000) * 1000;
    timerfd_settime(fd, 0, &when, nullptr);
}

}  // namespace

Loop::PreciseTimer::PreciseTimer(Loop& loop, Callback callback)
    : callback_(std::move(callback)), fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    if (fd_ < 0) throw Failure(Status::SYSTEM_ERROR, std::string("timerfd_create: ") + std::strerror(errno));
    try {
        event_ = make_event(
            loop.base_, fd_, EV_READ | EV_PERSIST,
            [](evutil_socket_t, short, void* self) {
                auto* timer = static_cast<PreciseTimer*>(self);
                set_timer_fd(timer->fd_, 0);
                if (std::exchange(timer->on_, false))
                    run_guarded(timer->callback_);  // else turned off in this very turn
            },
            this);
        add_event(event_, nullptr);
    } catch (...) {
        if (event_) event_free(event_);
        ::close(fd_);
        throw;
    }
}

Loop::PreciseTimer::~PreciseTimer() {
    event_free(event_);
    ::close(fd_);
}

void Loop::PreciseTimer::in(std::uint32_t delay_us) {
    on_ = true;
    set_timer_fd(fd_, std::max<std::uint32_t>(delay_us, 1));
}

void Loop::PreciseTimer::off() {
    on_ = false;
    set_timer_fd(fd_, 0);
}

#else

Loop::PreciseTimer::PreciseTimer(Loop& loop, Callback callback)
    : callback_(std::move(callback)),
      event_(make_event(
          loop.base_, -1, 0,
          [](evutil_socket_t, short, void* self) {
              auto* timer = static_cast<PreciseTimer*>(self);
              timer->on_ = false;
              run_guarded(timer->callback_);
          },
          this)) {}

Loop::PreciseTimer::~PreciseTimer() {
    event_free(event_);
}

void Loop::PreciseTimer::in(std::uint32_t delay_us) {
    const timeval in{static_cast<time_t>(delay_us / 1000000), static_cast<suseconds_t>(delay_us % 1000000)};
    add_event(event_, &in);
    on_ = true;
}

void Loop::PreciseTimer::off() {
    on_ = false;
    event_del(event_);
}

#endif

Loop::Watch::Watch(Loop& loop, int fd, Callback readable, Callback writable)
    : readable_(std::move(readable)), writable_(std::move(writable)) {
    read_ = make_event(
        loop.base_, fd, EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { run_guarded(static_cast<Watch*>(self)->readable_); }, this);
    try {
        write_ = make_event(
            loop.base_, fd, EV_WRITE | EV_PERSIST,
            [](evutil_socket_t, short, void* self) { run_guarded(static_cast<Watch*>(self)->writable_); }, this);
    } catch (...) {
        event_free(read_);
        throw;
    }
}

Loop::Watch::~Watch() {
    event_free(read_);
    event_free(write_);
}

const char* libevent_version() {
    return event_get_version();
}

void Loop::Watch::read(bool on) {
    switch_event(read_, on);
}
void Loop::Watch::write(bool on) {
    switch_event(write_, on);
}

}  // namespace fanwire::core
