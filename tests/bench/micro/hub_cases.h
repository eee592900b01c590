// The micro-benchmarks of who is in which topic.
#pragma once

#include "cases.h"

namespace fanwire::bench {

std::vector<Case> hub_cases();

}  // namespace fanwire::bench
