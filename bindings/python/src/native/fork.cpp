#include "fork.h"

#include <pthread.h>

#include "failure.h"
#include "gil.h"

namespace fanwire::python {

namespace {

std::uint64_t generation = 0;  // changed in a new process only, while it has one thread

void on_fork_in_child() {
    ++generation;
    forget_other_threads();
}

}  // namespace

std::uint64_t fork_generation() {
    return generation;
}

// Not os.register_at_fork: C libraries fork too. The module is never unloaded, so the handler stays valid.
void watch_forks() {
    if (pthread_atfork(nullptr, nullptr, on_fork_in_child) != 0)
        throw Failure{FANWIRE_NO_MEMORY, "cannot watch for forks"};
}

}  // namespace fanwire::python
