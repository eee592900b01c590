// Threads of ours leave the host's signals to the host's own threads.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace fanwire::core {

// No call of ours is a cancellation point: a thread that pthread_cancel() ended in the middle of one would leave a
// lock, a wake or a count behind. A request to cancel that comes meanwhile is kept until the thread's next cancellation
// point.
class CancellationOff {
 public:
    CancellationOff() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    ~CancellationOff() { pthread_setcancelstate(before_, nullptr); }
    CancellationOff(const CancellationOff&) = delete;
    CancellationOff& operator=(const CancellationOff&) = delete;

 private:
    int before_ = PTHREAD_CANCEL_ENABLE;
};

// Starts a thread that cannot be cancelled, with all signals blocked. `name`: at most 15 characters. Throws
// std::system_error.
template <class Function>
std::thread start_thread(const char* name, Function&& function) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct Restore {
        const sigset_t& mask;
        ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    } restore{before};
    const CancellationOff inherited_by_none;  // starting it may be a cancellation point
    std::thread thread([function = std::forward<Function>(function)]() mutable {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
        function();
    });
#ifdef __linux__
    pthread_setname_np(thread.native_handle(), name);
#else
    (void)name;
#endif
    return thread;
}

}  // namespace fanwire::core
