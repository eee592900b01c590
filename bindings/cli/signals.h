// SIGINT and SIGTERM as something a poll loop can see.
#pragma once

#include <csignal>

namespace fanwire::cli {

// Exists once. The first signal is noted, and ends a system call that is under way; a second one kills as usual.
class Signals {
 public:
    Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    int fd() const;      // readable once a signal was caught; never read from it
    int caught() const;  // its number, or 0
};

// The same as Signals::fd() and caught(), for those who have none at hand; -1 and 0 while there is none.
int signal_fd();
int signal_caught();

// Threads that are started while this lives leave the signals to the main thread.
class SignalsBlocked {
 public:
    SignalsBlocked();
    ~SignalsBlocked();
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
    sigset_t former_;
};

}  // namespace fanwire::cli
