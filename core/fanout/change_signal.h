// Where threads wait for an engine or one of its subscriptions to change.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace fanwire::core {

class ChangeSignal {
 public:
    // Guards the state that threads wait for, except what is atomic.
    std::mutex mutex;

    // Waits until `decided`, which is called under the mutex. Returns false when the deadline has passed.
    template <class Deadline, class Decided>
    bool wait(std::unique_lock<std::mutex>& lock, Deadline deadline, Decided&& decided) {
        waiting_.fetch_add(1);
        const bool in_time = changed_.wait_until(lock, deadline, decided);
        waiting_.fetch_sub(1);
        return in_time;
    }
    // After each change, without the mutex. Costs a load when nobody waits.
    void notify() noexcept {
        if (waiting_.load() == 0) return;
        { std::lock_guard lock(mutex); }  // a thread that saw the old state is waiting by now
        changed_.notify_all();
    }

 private:
    std::condition_variable changed_;
    std::atomic<std::uint32_t> waiting_{0};  // threads
};

}  // namespace fanwire::core
