// The micro-benchmarks: small parts of core, each without threads and sockets. main.cpp times them with Google Benchmark,
// count.cpp counts their instructions under callgrind.
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
