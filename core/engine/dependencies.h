// The libraries that the engine is built on, with the versions that are loaded.
#pragma once

#include <cstddef>

namespace fanwire::core {

struct Dependency {
    const char* name;
    const char* version;  // static
};

// Returns null when `index` is beyond the last of them.
const Dependency* dependency_at(std::size_t index);

}  // namespace fanwire::core
