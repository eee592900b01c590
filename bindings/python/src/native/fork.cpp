#include "fork.h"

#include "gil.h"

namespace fanwire::python {

namespace {
std::uint64_t generation = 0;  // changed in a new process only, while it has one thread
}

std::uint64_t fork_generation() {
    return generation;
}

void note_fork() {
    ++generation;
    forget_other_threads();
}

}  // namespace fanwire::python
