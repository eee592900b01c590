// A forked child has the parent's objects, but none of its threads. The engine's own handles answer FORKED there by
// themselves; this is for what the module itself shares with such threads.
#pragma once

#include <cstdint>

namespace fanwire::python {

// How many forks this process is away from the one that loaded the module.
std::uint64_t fork_generation();

// Once, when the module is loaded. Throws Failure.
void watch_forks();

}  // namespace fanwire::python
