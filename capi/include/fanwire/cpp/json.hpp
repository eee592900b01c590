// JSON for JavaScript. Part of fanwire.hpp.
#pragma once

#include <cstddef>
#include <string>

#include "fanwire/cpp/error.hpp"

namespace fanwire {

// Takes the keys "__proto__", "constructor" and "prototype" out of JSON that a JavaScript program will parse, in place;
// true if there were any. See fanwire_json_clean(). Throws NO_MEMORY.
inline bool clean_json(std::string& json) {
    std::size_t size = json.size();
    int changed = 0;
    detail::check(fanwire_json_clean(json.data(), json.size(), json.data(), &size, &changed));
    if (changed != 0) json.resize(size);
    return changed != 0;
}

}  // namespace fanwire
