// What an engine knows of itself, as text for monitoring: its health, counters and latencies.
#pragma once

#include <string>
#include <string_view>

#include "core/base/metrics.h"
#include "core/engine/health.h"

namespace fanwire::core {

// One object: health, every counter and gauge, both latencies.
std::string metrics_json(const Metrics& metrics, const Health& health);
// Prometheus's text exposition format 0.0.4.
std::string metrics_prometheus(const Metrics& metrics, const Health& health, std::string_view client,
                               std::string_view name_space);

}  // namespace fanwire::core
