// fanwire_json_clean(): what it takes out is tested in core; here is the boundary.
#include <cstring>

#include "fanwire/fanwire.hpp"
#include "support.h"

namespace capi_test {
namespace {

constexpr std::string_view dirty = R"({"a":1,"\u005f_proto__":{"b":2}})";
constexpr std::string_view cleaned = R"({"a":1})";

TEST(Json, CleansIntoABuffer) {
    char buffer[64];
    std::memset(buffer, '?', sizeof buffer);
    std::size_t size = sizeof buffer;
    int changed = 7;
    ASSERT_STATUS(FANWIRE_OK, fanwire_json_clean(dirty.data(), dirty.size(), buffer, &size, &changed));
    EXPECT_EQ(1, changed);
    EXPECT_EQ(cleaned, std::string_view(buffer, size));
    EXPECT_EQ('?', buffer[size]) << "no NUL, nothing beyond";
}

TEST(Json, CleansInPlace) {
    std::string json(dirty);
    std::size_t size = json.size();
    int changed = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_json_clean(json.data(), json.size(), json.data(), &size, &changed));
    EXPECT_EQ(1, changed);
    EXPECT_EQ(cleaned, json.substr(0, size));
}

TEST(Json, SaysWhatItNeeds) {
    std::size_t size = 0;
    int changed = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_json_clean(dirty.data(), dirty.size(), nullptr, &size, &changed));
    EXPECT_EQ(1, changed);
    EXPECT_EQ(cleaned.size(), size);
    char buffer[] = "untouched";
    size = cleaned.size() - 1;
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_json_clean(dirty.data(), dirty.size(), buffer, &size, &changed));
    EXPECT_EQ(cleaned.size(), size);
    EXPECT_STREQ("untouched", buffer);
    EXPECT_STATUS(FANWIRE_OK, fanwire_json_clean(dirty.data(), dirty.size(), buffer, &size, &changed));
    EXPECT_EQ(cleaned, std::string_view(buffer, size));
}

TEST(Json, LeavesWhatNeedsNothing) {
    for (const std::string_view text : {R"({"a":"__proto__"})", "no JSON: \"__proto__\":1", ""}) {
        char buffer[] = "untouched";
        std::size_t size = sizeof buffer;
        int changed = 7;
        EXPECT_STATUS(FANWIRE_OK, fanwire_json_clean(text.data(), text.size(), buffer, &size, &changed));
        EXPECT_EQ(0, changed);
        EXPECT_EQ(text.size(), size);
        EXPECT_STREQ("untouched", buffer);
    }
    std::size_t size = 5;
    int changed = 7;
    EXPECT_STATUS(FANWIRE_OK, fanwire_json_clean(nullptr, 0, nullptr, &size, &changed));
    EXPECT_EQ(0, changed);
    EXPECT_EQ(0u, size);
}

TEST(Json, RefusesWhatIsMissing) {
    std::size_t size = 0;
    int changed = 7;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_json_clean(nullptr, 1, nullptr, &size, &changed));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_json_clean("1", 1, nullptr, nullptr, &changed));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_json_clean("1", 1, nullptr, &size, nullptr));
    EXPECT_EQ(7, changed);
    EXPECT_EQ(0u, size);
}

TEST(Json, InCpp) {
    std::string json(dirty);
    EXPECT_TRUE(fanwire::clean_json(json));
    EXPECT_EQ(cleaned, json);
    EXPECT_FALSE(fanwire::clean_json(json));
    EXPECT_EQ(cleaned, json);
}

}  // namespace
}  // namespace capi_test
