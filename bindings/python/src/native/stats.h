// What an engine knows about itself.
#pragma once

#include <string>

#include "failure.h"

namespace fanwire::python {

// Its counters, by their names.
py::dict engine_stats(const fanwire_engine* engine);

// (verdict, status, publish_link, subscribe_link, unconfirmed, refused, silence_ms, probe_age_ms, probe_us, text), None
// for what is unknown.
py::tuple engine_health(const fanwire_engine* engine);

// (count, sum_us, max_us, buckets) of one fanwire_latency_kind.
py::tuple engine_latency(const fanwire_engine* engine, int kind);

// The text of one fanwire_metrics_format.
std::string engine_metrics(const fanwire_engine* engine, int format);

}  // namespace fanwire::python
