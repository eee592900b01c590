// How much malloc has handed out, for tests that count memory.
#pragma once

#include <cstddef>
#include <cstdlib>

#include "sanitized.h"

#if defined(__GLIBC__) && !defined(FANWIRE_SANITIZED)
#if __GLIBC_PREREQ(2, 33)
#define FANWIRE_COUNTS_BYTES 1
#include <malloc.h>
#endif
#endif

#ifdef FANWIRE_COUNTS_BYTES
namespace fanwire::test {

// By all arenas, and what was mapped for itself, as large pieces are.
inline std::size_t bytes_in_use() {
    const struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

}  // namespace fanwire::test
#endif
