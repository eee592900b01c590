// Counts the instructions of the micro-benchmarks, under callgrind: for each, callgrind dumps what a fixed number of calls
// took, after calls that warm it up. instructions.py runs it and reads the dumps.
#include <valgrind/callgrind.h>

#include <cstdio>

#include "cases.h"

int main() {
    constexpr int warm_up = 3, calls = 20;
    if (!RUNNING_ON_VALGRIND) {
        std::fprintf(stderr, "to be run under valgrind --tool=callgrind; see instructions.py\n");
        return 2;
    }
    std::puts(FANWIRE_BUILD_TYPE);
    for (const fanwire::bench::Case& one : fanwire::bench::cases()) {
        const std::function<void()> body = one.make();
        for (int i = 0; i < warm_up; ++i) body();
        CALLGRIND_START_INSTRUMENTATION;
        body();  // callgrind translates it now
        CALLGRIND_ZERO_STATS;
        for (int i = 0; i < calls; ++i) body();
        const std::string label = std::to_string(static_cast<std::size_t>(calls) * one.units) + " " + one.name;
        CALLGRIND_DUMP_STATS_AT(label.c_str());
        CALLGRIND_STOP_INSTRUMENTATION;
    }
    return 0;
}
