// Threads of ours leave the host's signals to the host's own threads.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace fanwire::core {

// Starts a thread with all signals blocked. `name`: at most 15 characters. Throws std::system_error.
template <class Function>
std::thread start_thread(const char* name, Function&& function) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct Restore {
        const sigset_t& mask;
        ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    } restore{before};
    std::thread thread(std::forward<Function>(function));
#ifdef __linux__
    pthread_setname_np(thread.native_handle(), name);
#else
    (void)name;
#endif
    return thread;
}

}  // namespace fanwire::core
