// Counts the instructions of the micro-benchmarks, under callgrind: for each, callgrind dumps what a fixed number of
// calls took, after calls that warm it up. instructions.py runs it and reads the dumps.
#include <valgrind/callgrind.h>

#include <cstdio>

#include "cases.h"

int main() {
    constexpr int warm_up = 3, calls = 60;
    if (!RUNNING_ON_VALGRIND) {
        std::fprintf(stderr, "to be run under valgrind --tool=callgrind; see instructions.py\n");
        return 2;
    }
    std::puts(FANWIRE_BUILD_TYPE);
    // All are prepared before anything is counted, which is much faster; and counting begins once, since callgrind's
    // sums are wrong when it is begun again in a process with threads.
    std::vector<std::function<void()>> bodies;
    for (const fanwire::bench::Case& one : fanwire::bench::cases()) bodies.push_back(one.make());
    CALLGRIND_START_INSTRUMENTATION;
    for (int i = 0; i < warm_up; ++i)
        for (const std::function<void()>& body : bodies) body();
    CALLGRIND_DUMP_STATS_AT("warm-up");  // a dump begins all sums anew, which ZERO_STATS does for this thread only
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        const fanwire::bench::Case& one = fanwire::bench::cases()[i];
        for (int call = 0; call < calls; ++call) bodies[i]();
        const std::string label = std::to_string(static_cast<std::size_t>(calls) * one.units) + " " + one.name;
        CALLGRIND_DUMP_STATS_AT(label.c_str());
    }
    return 0;
}
