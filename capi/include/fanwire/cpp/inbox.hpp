// Where events wait and how they are taken out. Part of fanwire.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "fanwire/cpp/event.hpp"
#include "fanwire/cpp/options.hpp"

namespace fanwire {

// Room for the events of one drain, used again and again. It owns their messages until the next drain, clear() or
// its destruction. One thread at a time.
class Batch {
 public:
    explicit Batch(std::size_t capacity = 256) : events_(capacity > 0 ? capacity : 1) {}
    Batch(Batch&& other) noexcept : events_(std::move(other.events_)), count_(std::exchange(other.count_, 0)) {}
    Batch& operator=(Batch&& other) noexcept {
        clear();
        events_ = std::move(other.events_);
        count_ = std::exchange(other.count_, 0);
        return *this;
    }
    ~Batch() { clear(); }

    class Iterator {
     public:
        explicit Iterator(const fanwire_event* at) noexcept : at_(at) {}
        Event operator*() const noexcept { return Event(*at_); }
        Iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        bool operator!=(const Iterator& other) const noexcept { return at_ != other.at_; }

     private:
        const fanwire_event* at_;
    };

    Iterator begin() const noexcept { return Iterator(events_.data()); }
    Iterator end() const noexcept { return Iterator(events_.data() + count_); }
    Event operator[](std::size_t index) const noexcept { return Event(events_[index]); }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    std::size_t capacity() const noexcept { return events_.size(); }

    // Releases the messages.
    void clear() noexcept {
        if (count_ > 0) fanwire_events_release(events_.data(), sizeof(fanwire_event), count_);
        count_ = 0;
    }

 private:
    friend class Inbox;

    std::vector<fanwire_event> events_;
    std::size_t count_ = 0;
};

// A bounded queue of events with one consumer: either a thread that polls fd() and drains, or a dispatcher.
// Destroying it ends the subscriptions that use it; afterwards no handler of it is called again. Inside its own
// handler that holds once the handler has returned.
class Inbox {
 public:
    // With the limits of the settings inbox_count, inbox_bytes and overflow.
    Inbox() : Inbox(nullptr) {}
    explicit Inbox(const Options& options) : Inbox(options.handle()) {}
    Inbox(Inbox&&) noexcept = default;
    Inbox& operator=(Inbox other) noexcept {  // by value: what was here is destroyed with `other`, in the right order
        wake_.swap(other.wake_);
        dispatching_.swap(other.dispatching_);
        handle_.swap(other.handle_);
        return *this;
    }
    ~Inbox() {
        // Inside its own handler the handle's end is put off, and wake_ would be gone before.
        if (wake_) fanwire_inbox_set_wake(handle(), nullptr, nullptr);
    }

    // Readable while events wait; for poll, epoll and event loops. Not to be read or closed. Borrowed from this.
    int fd() const {
        int descriptor = -1;
        detail::check(fanwire_inbox_fd(handle(), &descriptor));
        return descriptor;
    }

    // Calls `wake` whenever the inbox goes from empty to non-empty, mostly on an IO thread: it must neither block
    // nor call fanwire. What it throws is dropped. An empty one: none. When this returns the former one is done.
    void on_wake(std::function<void()> wake) {
        auto next = wake ? std::make_unique<std::function<void()>>(std::move(wake)) : nullptr;
        detail::check(fanwire_inbox_set_wake(handle(), next ? &Inbox::call_wake : nullptr, next.get()));
        wake_ = std::move(next);
    }

    // Moves up to batch.capacity() events into `batch`, after releasing what it held, and returns their number.
    // Does not block. One thread at a time. Throws INVALID_ARGUMENT when dispatching.
    std::size_t drain(Batch& batch) {
        batch.clear();
        std::size_t count = 0;
        detail::check(
            fanwire_inbox_drain(handle(), batch.events_.data(), sizeof(fanwire_event), batch.events_.size(), &count));
        batch.count_ = count;
        return count;
    }

    // Waits until events wait; false when the time passed without one. Throws INVALID_ARGUMENT when dispatching.
    bool wait(std::chrono::milliseconds timeout = forever) {
        const int status = fanwire_inbox_wait(handle(), detail::timeout(timeout));
        if (status == FANWIRE_TIMEOUT) return false;
        detail::check(status);
        return true;
    }

    // Starts a thread that calls `handler` with every event, in order. What it throws is kept inside: given to
    // `on_error` (if any), counted in stats().callback_errors, and delivery goes on.
    // Throws INVALID_ARGUMENT when already dispatching.
    void dispatch(EventHandler handler, ErrorHandler on_error = {}) {
        if (!handler) throw Error(FANWIRE_INVALID_ARGUMENT, "dispatch: the handler is empty");
        auto next = std::make_shared<Dispatching>(Dispatching{std::move(handler), std::move(on_error), nullptr});
        next->self = next;
        const int status = fanwire_inbox_dispatch(this->handle(), &Inbox::call_handler, next.get());
        if (status != FANWIRE_OK) {
            next->self.reset();
            detail::fail(status);
        }
        dispatching_ = Running(next.get());
    }

    fanwire_inbox_stats stats() const {
        fanwire_inbox_stats stats{};
        detail::check(fanwire_inbox_stats_get(handle(), &stats, sizeof stats));
        return stats;
    }

    // Borrowed from this.
    fanwire_inbox* handle() const noexcept { return handle_.get(); }

 private:
    struct Dispatching {
        EventHandler handler;
        ErrorHandler on_error;
        std::shared_ptr<Dispatching> self;  // held while the inbox lives, and by the call that outlives it
    };
    struct Stop {
        void operator()(Dispatching* dispatching) const noexcept { const auto last = std::move(dispatching->self); }
    };
    using Running = std::unique_ptr<Dispatching, Stop>;

    explicit Inbox(const fanwire_options* options) {
        check_version();
        fanwire_inbox* created = nullptr;
        detail::check(fanwire_inbox_create(&created, options));
        handle_.reset(created);
    }

    static void call_wake(void* user_data) {
        try {
            (*static_cast<std::function<void()>*>(user_data))();
        } catch (...) {  // an IO thread: there is nobody to tell
        }
    }

    static void call_handler(void* user_data, const fanwire_event* event) {
        // The handler may destroy the inbox, and so what it is called from.
        const std::shared_ptr<Dispatching> dispatching = static_cast<Dispatching*>(user_data)->self;
        try {
            dispatching->handler(Event(*event));
        } catch (...) {
            if (dispatching->on_error) dispatching->on_error(std::current_exception());
            throw;  // to the library, which catches and counts it
        }
    }

    // In this order: the handle is destroyed first, which waits for what the others are needed for.
    std::unique_ptr<std::function<void()>> wake_;
    Running dispatching_;
    detail::Handle<fanwire_inbox, fanwire_inbox_destroy> handle_;
};

inline Options& Options::engine_inbox(const Inbox& inbox, void* user_data) {
    detail::check(fanwire_options_set_engine_inbox(handle(), inbox.handle(), user_data));
    return *this;
}

}  // namespace fanwire
