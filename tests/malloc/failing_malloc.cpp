#include "tests/malloc/failing_malloc.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

// Where the memory really comes from: the sanitizer's allocator, or glibc's.
#ifdef FANWIRE_SANITIZED
#define FANWIRE_REAL(name) __interceptor_##name
#else
#define FANWIRE_REAL(name) __libc_##name
#endif

extern "C" {
void* FANWIRE_REAL(malloc)(std::size_t);
void* FANWIRE_REAL(calloc)(std::size_t, std::size_t);
void* FANWIRE_REAL(realloc)(void*, std::size_t);
void* FANWIRE_REAL(memalign)(std::size_t, std::size_t);
void FANWIRE_REAL(free)(void*);
}

namespace {

// Constant-initialised, since allocations come before main().
std::atomic<std::size_t> counted{0}, first{0}, end{0}, failed{0};
std::atomic<std::ptrdiff_t> live{0};
std::atomic<bool> armed{false};
thread_local bool in_call = false;
// A sanitizer allocates when a thread begins, and does not stand to fail: there a thread counts from its first new on.
#ifdef FANWIRE_SANITIZED
constexpr bool begins_late = true;
#else
constexpr bool begins_late = false;
#endif

bool on_main_thread() {
    return gettid() == getpid();
}

bool fails() {
    if (!armed.load(std::memory_order_acquire)) return false;
    if (!in_call && (begins_late || on_main_thread())) return false;
    const std::size_t number = counted.fetch_add(1) + 1;
    if (number < first.load() || number >= end.load()) return false;
    ++failed;
    errno = ENOMEM;
    return true;
}

void* count(void* block) {
    if (block) ++live;
    return block;
}

void* allocate_or_throw(std::size_t size) {
    if (begins_late && !in_call && armed.load(std::memory_order_acquire)) in_call = !on_main_thread();
    void* block = malloc(size ? size : 1);
    if (!block) throw std::bad_alloc();
    return block;
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
    return fails() ? nullptr : count(FANWIRE_REAL(malloc)(size));
}

void* calloc(std::size_t n, std::size_t size) {
    return fails() ? nullptr : count(FANWIRE_REAL(calloc)(n, size));
}

void* realloc(void* block, std::size_t size) {
    if (size != 0 && fails()) return nullptr;
    void* moved = FANWIRE_REAL(realloc)(block, size);
    if (!block && moved) ++live;
    if (block && !moved && size == 0) --live;
    return moved;
}

void* memalign(std::size_t alignment, std::size_t size) {
    return fails() ? nullptr : count(FANWIRE_REAL(memalign)(alignment, size));
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
    void* block = memalign(alignment, size);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}

void free(void* block) {
    if (block) --live;
    FANWIRE_REAL(free)(block);
}

}  // extern "C"

void* operator new(std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new[](std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return malloc(size ? size : 1);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return malloc(size ? size : 1);
}
void operator delete(void* block) noexcept {
    free(block);
}
void operator delete[](void* block) noexcept {
    free(block);
}
void operator delete(void* block, std::size_t) noexcept {
    free(block);
}
void operator delete[](void* block, std::size_t) noexcept {
    free(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
    free(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
    free(block);
}

namespace malloc_test {

void arm(std::size_t at, std::size_t run) {
    counted = failed = 0;
    first = at;
    end = at + run;
    armed.store(true, std::memory_order_release);
}

std::size_t disarm() {
    armed.store(false, std::memory_order_release);
    return failed.load();
}

std::size_t live_blocks() {
    return static_cast<std::size_t>(live.load());
}

InCall::InCall() {
    in_call = true;
}
InCall::~InCall() {
    in_call = false;
}

}  // namespace malloc_test
