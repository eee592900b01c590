#include "stats.h"

#include <cstdint>

namespace fanwire::python {

namespace {

struct Counter {
    const char* name;
    std::uint64_t fanwire_engine_stats::*field;
};

#define FANWIRE_COUNTER(name) \
    { #name, &fanwire_engine_stats::name }
constexpr Counter counters[] = {
    FANWIRE_COUNTER(connected),
    FANWIRE_COUNTER(connects),
    FANWIRE_COUNTER(disconnects),
    FANWIRE_COUNTER(connect_errors),
    FANWIRE_COUNTER(published),
    FANWIRE_COUNTER(publish_ok),
    FANWIRE_COUNTER(publish_failed),
    FANWIRE_COUNTER(publish_unknown),
    FANWIRE_COUNTER(publish_queued),
    FANWIRE_COUNTER(received),
    FANWIRE_COUNTER(delivered),
    FANWIRE_COUNTER(dropped),
    FANWIRE_COUNTER(gaps),
    FANWIRE_COUNTER(bytes_in),
    FANWIRE_COUNTER(bytes_out),
    FANWIRE_COUNTER(subscriptions),
    FANWIRE_COUNTER(subscriptions_desired),
    FANWIRE_COUNTER(subscriptions_confirmed),
};
#undef FANWIRE_COUNTER

// A counter added to the header must be added here.
static_assert(sizeof counters / sizeof *counters == sizeof(fanwire_engine_stats) / sizeof(std::uint64_t));

}  // namespace

py::dict engine_stats(const fanwire_engine* engine) {
    fanwire_engine_stats stats{};
    check(fanwire_engine_stats_get(engine, &stats, sizeof stats));
    py::dict dict;
    for (const Counter& counter : counters) dict[counter.name] = stats.*counter.field;
    return dict;
}

}  // namespace fanwire::python
