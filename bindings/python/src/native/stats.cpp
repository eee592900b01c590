#include "stats.h"

#include <cstdint>
#include <cstring>

namespace fanwire::python {

namespace {

py::object known(std::uint64_t value) {
    if (value == FANWIRE_COUNT_UNKNOWN) return py::none();
    return py::int_(value);
}

}  // namespace

py::dict engine_stats(const fanwire_engine* engine) {
    fanwire_engine_stats stats{};
    check(fanwire_engine_stats_get(engine, &stats, sizeof stats));
    py::dict dict;
    for (std::size_t i = 0; i < fanwire_stat_count(); ++i) {
        fanwire_stat_info info{};
        check(fanwire_stat_at(i, &info, sizeof info));
        std::uint64_t value = 0;
        std::memcpy(&value, reinterpret_cast<const char*>(&stats) + info.offset, sizeof value);
        dict[info.name] = value;
    }
    return dict;
}

py::tuple engine_health(const fanwire_engine* engine) {
    fanwire_health health{};
    check(fanwire_engine_health(engine, &health, sizeof health));
    const py::object probe_age = known(health.probe_age_ms);
    const py::object probe_us = probe_age.is_none() ? py::object(py::none()) : py::int_(health.probe_us);
    const py::object text = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(health.text, static_cast<Py_ssize_t>(std::strlen(health.text)), "replace"));
    if (!text) throw py::error_already_set();
    return py::make_tuple(health.verdict, health.status, health.publish_link != 0, health.subscribe_link != 0,
                          health.unconfirmed, health.refused, known(health.silence_ms), probe_age, probe_us, text);
}

py::tuple engine_latency(const fanwire_engine* engine, int kind) {
    fanwire_latency latency{};
    check(fanwire_engine_latency(engine, kind, &latency, sizeof latency));
    py::tuple buckets(FANWIRE_LATENCY_BUCKETS);
    for (std::size_t i = 0; i < FANWIRE_LATENCY_BUCKETS; ++i) buckets[i] = latency.buckets[i];
    return py::make_tuple(latency.count, latency.sum_us, latency.max_us, buckets);
}

std::string engine_metrics(const fanwire_engine* engine, int format) {
    std::string text(16 * 1024, '\0');
    for (;;) {  // it may grow from call to call
        std::size_t size = text.size();
        const int status = fanwire_engine_metrics(engine, format, text.data(), &size);
        if (status != FANWIRE_LIMIT_REACHED || size <= text.size()) {
            check(status);
            text.resize(std::strlen(text.c_str()));
            return text;
        }
        text.resize(size);
    }
}

}  // namespace fanwire::python
