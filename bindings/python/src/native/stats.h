// An engine's counters as a dict.
#pragma once

#include "failure.h"

namespace fanwire::python {

py::dict engine_stats(const fanwire_engine* engine);

}  // namespace fanwire::python
