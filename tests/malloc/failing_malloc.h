// This executable's malloc: counts the allocations of fanwire's calls and threads, and makes some of them fail.
#pragma once

#include <cstddef>

namespace malloc_test {

// From now on the allocations are counted from 1, and those from `first` on, `run` of them, fail.
void arm(std::size_t first, std::size_t run);
// None fails any more. How many have.
std::size_t disarm();

// Blocks that are allocated and not freed, of the whole process.
std::size_t live_blocks();

// The allocations of the thread that lives in main() count only within such a scope; those of other threads always do.
class InCall {
 public:
    InCall();
    ~InCall();
    InCall(const InCall&) = delete;
    InCall& operator=(const InCall&) = delete;
};

}  // namespace malloc_test
