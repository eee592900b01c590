#include "core/base/fork_guard.h"

#include <sys/mman.h>
#include <unistd.h>

namespace fanwire::core {

ForkGuard::ForkGuard([[maybe_unused]] bool often) : pid_(getpid()) {
#ifdef MADV_WIPEONFORK
    if (!often) return;
    const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    if (madvise(page, size, MADV_WIPEONFORK) != 0) {
        munmap(page, size);
        return;
    }
    *static_cast<unsigned char*>(page) = 1;
    page_ = static_cast<unsigned char*>(page);
    size_ = size;
#endif
}

ForkGuard::~ForkGuard() {
    if (page_) munmap(const_cast<unsigned char*>(page_), size_);
}

bool ForkGuard::forked() const {
    return page_ ? *page_ == 0 : getpid() != pid_;
}

}  // namespace fanwire::core
