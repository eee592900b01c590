#include "core/base/keyed_hash.h"

#include <random>

namespace fanwire::core {

std::uint64_t random_seed() {
    std::random_device device;
    const std::uint64_t high = device();
    return high << 32 | device();
}

}  // namespace fanwire::core
