// A benchmark that does not do its work is no benchmark: it ends.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fanwire::bench {

inline void must(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "micro-benchmark: %s\n", what);
    std::abort();
}

}  // namespace fanwire::bench
