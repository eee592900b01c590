// The micro-benchmarks: what one message costs in one part of the engine. All but the reader and the hub's go through
// fanwire.h, so that they stay what they are when the core is rebuilt, and a count from before can be compared with one
// from after. main.cpp times them with Google Benchmark, count.cpp counts their instructions under callgrind.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace fanwire::bench {

struct Case {
    std::string name;
    std::size_t units;  // how many messages (or texts) one call of the body handles
    // Prepares everything and returns the body, which may be called any number of times.
    std::function<std::function<void()>()> make;
};

const std::vector<Case>& cases();

}  // namespace fanwire::bench
