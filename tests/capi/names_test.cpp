#include <map>
#include <set>
#include <string>

#include "header.h"
#include "support.h"

namespace capi_test {
namespace {

struct Set {
    int set;
    const char *enumeration, *prefix;
};

constexpr Set sets[] = {
    {FANWIRE_NAMES_EVENT_KIND, "fanwire_event_kind", "EVENT_"},
    {FANWIRE_NAMES_GAP_REASON, "fanwire_gap_reason", "GAP_"},
    {FANWIRE_NAMES_SUBSCRIPTION_STATE, "fanwire_subscription_state", "SUBSCRIPTION_"},
    {FANWIRE_NAMES_ENGINE_STATE, "fanwire_engine_state", "ENGINE_"},
    {FANWIRE_NAMES_HEALTH_VERDICT, "fanwire_health_verdict", "HEALTH_"},
    {FANWIRE_NAMES_LOG_LEVEL, "fanwire_log_level", "LOG_"},
    {FANWIRE_NAMES_LATENCY_KIND, "fanwire_latency_kind", "LATENCY_"},
    {FANWIRE_NAMES_METRICS_FORMAT, "fanwire_metrics_format", "METRICS_"},
    {FANWIRE_NAMES_PAYLOAD_TYPE, "fanwire_payload_type", "PAYLOAD_"},
    {FANWIRE_NAMES_ENVELOPE_KIND, "fanwire_envelope_kind", "ENVELOPE_"},
};

std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

TEST(Names, EachSetAndItsEnumAreTheSame) {
    EXPECT_EQ(enum_of_header("fanwire_name_set").size(), std::size(sets)) << "a set is missing in this test";
    for (const Set& set : sets) {
        SCOPED_TRACE(set.enumeration);
        std::map<int, std::string> table;
        for (std::size_t i = 0; i < fanwire_name_count(set.set); ++i) {
            fanwire_name_info row{};
            ASSERT_STATUS(FANWIRE_OK, fanwire_name_at(set.set, i, &row, sizeof row));
            table.emplace(row.code, set.prefix + upper(row.name));
            EXPECT_STREQ(fanwire_name(set.set, row.code), row.name);
            EXPECT_NE('\0', row.help[0]);
        }
        EXPECT_EQ(fanwire_name_count(set.set), table.size());
        EXPECT_EQ(enum_of_header(set.enumeration), table);
    }
}

TEST(Names, BadArguments) {
    fanwire_name_info row{};
    const std::size_t count = fanwire_name_count(FANWIRE_NAMES_GAP_REASON);
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_name_at(FANWIRE_NAMES_GAP_REASON, count, &row, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_name_at(FANWIRE_NAMES_GAP_REASON, 0, nullptr, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_name_at(FANWIRE_NAMES_GAP_REASON, 0, &row, sizeof row - 1));
    for (int set : {-1, 0, 11, INT32_MAX}) {
        EXPECT_EQ(0u, fanwire_name_count(set));
        EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_name_at(set, 0, &row, sizeof row));
        EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), std::to_string(set).c_str()));
        EXPECT_STREQ("unknown", fanwire_name(set, 1));
    }
    EXPECT_STREQ("unknown", fanwire_name(FANWIRE_NAMES_GAP_REASON, 0));
}

TEST(Stats, TheTableIsTheStruct) {
    std::set<std::string> names;
    std::size_t offset = 0;
    for (std::size_t i = 0; i < fanwire_stat_count(); ++i, offset += sizeof(std::uint64_t)) {
        fanwire_stat_info row{};
        ASSERT_STATUS(FANWIRE_OK, fanwire_stat_at(i, &row, sizeof row));
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_EQ(offset, row.offset) << row.name;
        const std::string kind = row.kind;
        EXPECT_TRUE(kind == "counter" || kind == "gauge" || kind == "flag") << row.name << ": " << kind;
        EXPECT_NE('\0', row.help[0]);
    }
    EXPECT_GE(offset, 28 * sizeof(std::uint64_t));
    fanwire_stat_info row{};
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_stat_at(fanwire_stat_count(), &row, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_stat_at(0, nullptr, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_stat_at(0, &row, sizeof row - 1));
}

TEST(Stats, ARowLeadsToItsField) {
    Options options{{"url", "memory://"}};
    fanwire_engine* engine = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(&engine, options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "c", 1, "x", 1));
    fanwire_engine_stats stats{};
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine, &stats, sizeof stats));
    fanwire_stat_info row{};
    for (std::size_t i = 0; fanwire_stat_at(i, &row, sizeof row) == FANWIRE_OK; ++i) {
        std::uint64_t value = 0;
        std::memcpy(&value, reinterpret_cast<const char*>(&stats) + row.offset, sizeof value);
        if (std::string(row.name) == "published") {
            EXPECT_EQ(1u, value);
        }
        if (std::string(row.kind) == "flag") {
            EXPECT_LE(value, 1u) << row.name;
        }
    }
    fanwire_engine_destroy(&engine);
}

}  // namespace
}  // namespace capi_test
