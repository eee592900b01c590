#include "bindings/cli/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bindings/cli/failure.h"

namespace fanwire::cli {
namespace {

// What a handler may touch has to be global.
volatile std::sig_atomic_t caught_signal = 0;
int wake_pipe[2] = {-1, -1};

extern "C" void on_signal(int number) {
    const int saved_errno = errno;
    caught_signal = number;
    [[maybe_unused]] const ssize_t written = ::write(wake_pipe[1], "!", 1);
    errno = saved_errno;
}

}  // namespace

Signals::Signals() {
    if (::pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        throw runtime_error(std::string("cannot make a pipe: ") + std::strerror(errno));
    }
    struct sigaction action = {};
    action.sa_handler = on_signal;
    // No SA_RESTART: a write() to a full pipe must give up.
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

int Signals::fd() const {
    return wake_pipe[0];
}

int Signals::caught() const {
    return caught_signal;
}

int signal_fd() {
    return wake_pipe[0];
}

int signal_caught() {
    return caught_signal;
}

SignalsBlocked::SignalsBlocked() {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &former_);
}

SignalsBlocked::~SignalsBlocked() {
    pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

}  // namespace fanwire::cli
