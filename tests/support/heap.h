// How much malloc has handed out, for tests that count memory.
#pragma once

#include <cstddef>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define FANWIRE_FOREIGN_MALLOC 1
#endif
#endif
#if defined(__GLIBC__) && !defined(FANWIRE_FOREIGN_MALLOC) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
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
