// Redis's glob patterns, for the in-process backend.
#pragma once

#include <string_view>

namespace fanwire::core {

// Whether Redis would deliver a message of channel `text` to PSUBSCRIBE `pattern`. Both may hold any bytes.
// Takes time proportional to the product of the sizes at worst.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace fanwire::core
