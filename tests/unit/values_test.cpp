// That the vectors of the value mapping say what they claim to: core passes payloads through untouched, so the mapping
// itself is tested in Python and Node.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

std::string payload_of(const Json& item) {
    if (item.at("type") == "text") return item.at("value").get<std::string>();
    if (item.at("type") == "bytes") return from_hex(item.at("hex").get<std::string>());
    EXPECT_EQ(item.at("type"), "json");
    return item.at("value").dump();
}

TEST(Values, VectorsAreTheirOwnPayloads) {
    for (const Json& item : read_vectors("values.json"))
        EXPECT_EQ(payload_of(item), from_hex(item.at("payload_hex").get<std::string>())) << item.at("name");
}

}  // namespace
}  // namespace fanwire::test
