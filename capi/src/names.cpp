// Names of numbers, and of statistics.
#include <cstddef>
#include <iterator>
#include <span>

#include "capi/src/handle.h"

using namespace fanwire::capi;

namespace {

// The header's enumerations and the table are the same.
template <int InHeader, int InTable>
constexpr fanwire_name_info row(const char* name, const char* help) {
    static_assert(InHeader == InTable, "fanwire.h and names.def differ");
    return {InHeader, name, help};
}

constexpr fanwire_name_info event_kinds[] = {
#define FANWIRE_EVENT_KIND(upper, name, code, help) row<FANWIRE_EVENT_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info gap_reasons[] = {
#define FANWIRE_GAP_REASON(upper, name, code, help) row<FANWIRE_GAP_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info subscription_states[] = {
#define FANWIRE_SUBSCRIPTION_STATE(upper, name, code, help) row<FANWIRE_SUBSCRIPTION_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info engine_states[] = {
#define FANWIRE_ENGINE_STATE(upper, name, code, help) row<FANWIRE_ENGINE_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info health_verdicts[] = {
#define FANWIRE_HEALTH_VERDICT(upper, name, code, help) row<FANWIRE_HEALTH_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info log_levels[] = {
#define FANWIRE_LOG_LEVEL(upper, name, code, help) row<FANWIRE_LOG_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info latency_kinds[] = {
#define FANWIRE_LATENCY_KIND(upper, name, code, help) row<FANWIRE_LATENCY_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info metrics_formats[] = {
#define FANWIRE_METRICS_FORMAT(upper, name, code, help) row<FANWIRE_METRICS_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info payload_types[] = {
#define FANWIRE_PAYLOAD_TYPE(upper, name, code, help) row<FANWIRE_PAYLOAD_##upper, code>(#name, help),
#include "core/base/names.def"
};
constexpr fanwire_name_info envelope_kinds[] = {
#define FANWIRE_ENVELOPE_KIND(upper, name, code, help) row<FANWIRE_ENVELOPE_##upper, code>(#name, help),
#include "core/base/names.def"
};

// Those of options.def are core's.
#define FANWIRE_LOG_LEVEL(upper, name, code, help) \
    static_assert(static_cast<int>(fanwire::core::LogLevel::name) == (code));
#include "core/base/names.def"

std::span<const fanwire_name_info> rows_of(int set) noexcept {
    switch (set) {
        case FANWIRE_NAMES_EVENT_KIND:
            return event_kinds;
        case FANWIRE_NAMES_GAP_REASON:
            return gap_reasons;
        case FANWIRE_NAMES_SUBSCRIPTION_STATE:
            return subscription_states;
        case FANWIRE_NAMES_ENGINE_STATE:
            return engine_states;
        case FANWIRE_NAMES_HEALTH_VERDICT:
            return health_verdicts;
        case FANWIRE_NAMES_LOG_LEVEL:
            return log_levels;
        case FANWIRE_NAMES_LATENCY_KIND:
            return latency_kinds;
        case FANWIRE_NAMES_METRICS_FORMAT:
            return metrics_formats;
        case FANWIRE_NAMES_PAYLOAD_TYPE:
            return payload_types;
        case FANWIRE_NAMES_ENVELOPE_KIND:
            return envelope_kinds;
        default:
            return {};
    }
}

constexpr fanwire_stat_info stats[] = {
#define FANWIRE_METRIC(member, kind, help) {#member, #kind, help, offsetof(fanwire_engine_stats, member)},
#include "core/base/metrics.def"
#undef FANWIRE_METRIC
};

}  // namespace

size_t fanwire_name_count(int set) {
    return rows_of(set).size();
}

int fanwire_name_at(int set, size_t index, fanwire_name_info* info, size_t info_size) {
    return guarded([&] {
        const auto rows = rows_of(set);
        if (rows.empty()) reject("there is no set of names " + std::to_string(set));
        if (index >= rows.size()) reject("index is beyond the set of names");
        copy_out(info, info_size, rows[index], "info");
    });
}

const char* fanwire_name(int set, int code) {
    for (const fanwire_name_info& info : rows_of(set))
        if (info.code == code) return info.name;
    return "unknown";
}

size_t fanwire_stat_count(void) {
    return std::size(stats);
}

int fanwire_stat_at(size_t index, fanwire_stat_info* info, size_t info_size) {
    return guarded([&] {
        if (index >= std::size(stats)) reject("index is beyond the table of statistics");
        copy_out(info, info_size, stats[index], "info");
    });
}
