#include "core/base/keyed_hash.h"

#include <random>

#ifdef __APPLE__
#include <sys/random.h>
#else
#include <unistd.h>
#endif

namespace fanwire::core {

// Asks the system first: std::random_device may be the processor's own generator, which takes 50 us for this.
std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    if (getentropy(&seed, sizeof seed) == 0) return seed;
    std::random_device device;
    const std::uint64_t high = device();
    return high << 32 | device();
}

}  // namespace fanwire::core
