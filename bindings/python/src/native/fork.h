// A forked child has the parent's objects, but none of the engine's threads: it must not wait for them.
#pragma once

#include <cstdint>

#include "failure.h"

namespace fanwire::python {

// How many forks this process is away from the one that loaded the module.
std::uint64_t fork_generation();
void note_fork();

inline void refuse_forked(std::uint64_t generation) {
    if (generation != fork_generation())
        throw Failure{FANWIRE_CLOSED, "the bus was opened before a fork: open another one in this process"};
}

}  // namespace fanwire::python
