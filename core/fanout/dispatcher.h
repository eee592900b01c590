// A thread that drains one inbox and calls back, for programs that have no loop of their own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "core/fanout/inbox.h"

namespace fanwire::core {

class Dispatcher {
 public:
    using Callback = std::function<void(const Event&)>;

    // The thread waits for begin(). Throws std::bad_alloc, and std::system_error when no thread can be started.
    Dispatcher(std::shared_ptr<Inbox> inbox, Callback callback);
    // Waits until the running callback returns. When called by that callback, asks the thread to stop afterwards.
    ~Dispatcher();

    // From here on it calls back. The callback may destroy the Dispatcher, even before this has returned.
    void begin() noexcept;

    std::uint64_t callback_errors() const { return state_->errors.load(std::memory_order_relaxed); }

 private:
    struct Item {
        Event event;
        Subscription* subscription;  // kept alive by the batch once it has ended
    };
    // Outlives the Dispatcher when that is destroyed from within the callback.
    struct State {
        std::shared_ptr<Inbox> inbox;
        Callback callback;
        std::atomic<bool> begun{false}, stop{false};
        std::atomic<std::uint64_t> errors{0};
        // Of the thread; with room for a batch, so that draining never fails.
        std::vector<Item> items;
        Inbox::Batch batch;
    };
    static void run(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;
    std::thread thread_;
};

}  // namespace fanwire::core
