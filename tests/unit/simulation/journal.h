// What a schedule tells of itself: what it has come to, and, when it is replayed, what happens in it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace fanwire::core::simulation {

// What a set of schedules has come to: one that never came to it proves nothing.
struct Coverage {
    std::map<std::string, std::uint64_t, std::less<>> times;
    void operator()(std::string_view what) {
        const auto found = times.find(what);
        ++(found != times.end() ? found->second : times.emplace(what, 0).first->second);
    }
};

struct Trace {
    const bool on;
    const TimeMs& now;

    template <class... Parts>
    void operator()(const Parts&... parts) const {
        if (!on) return;
        std::ostringstream line;
        ((line << ' ' << parts), ...);
        std::printf("%7lld %s\n", static_cast<long long>(now), line.str().c_str());
    }
};

}  // namespace fanwire::core::simulation
