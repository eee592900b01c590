// Why messages of a subscription may be missing.
#pragma once

#include <cstdint>

namespace fanwire::core {

enum class GapReason : std::uint8_t {
    none = 0,
#define FANWIRE_GAP_REASON(upper, name, code, help) name = code,
#include "core/base/names.def"
};

}  // namespace fanwire::core
