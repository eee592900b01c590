// FANWIRE_SANITIZED: whether a sanitizer's run time is here. It takes malloc's place, and does not hold its own
// allocator's locks across fork() (those of GCC 12 and Clang 14): after one in the midst of other threads, a child may
// hang in malloc.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FANWIRE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define FANWIRE_SANITIZED 1
#endif
#endif
