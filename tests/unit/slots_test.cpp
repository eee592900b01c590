// Slots of a Cluster.
#include "core/topology/slots.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using core::crc16;
using core::hashed_part;
using core::slot_of;

// Bit by bit, as the polynomial says it.
std::uint16_t slow_crc(std::string_view bytes) {
    unsigned crc = 0;
    for (const char c : bytes)
        for (int bit = 7; bit >= 0; --bit) {
            const bool top = ((crc >> 15) ^ (static_cast<unsigned>(static_cast<unsigned char>(c)) >> bit & 1)) != 0;
            crc = (crc << 1 & 0xffff) ^ (top ? 0x1021u : 0u);
        }
    return static_cast<std::uint16_t>(crc);
}

TEST(Slots, TheChecksumIsThatOfTheSpecification) {
    EXPECT_EQ(crc16("123456789"), 0x31c3);
    EXPECT_EQ(crc16(""), 0);
}

TEST(Slots, TheChecksumIsRightForEveryByteAndState) {
    for (int a = 0; a < 256; ++a)
        for (int b = 0; b < 256; ++b) {
            const std::string bytes{static_cast<char>(a), static_cast<char>(b), '\0', '\xff'};
            ASSERT_EQ(crc16(bytes), slow_crc(bytes)) << a << ' ' << b;
        }
}

TEST(Slots, TheHashedPartIsThatOfTheFirstBraces) {
    EXPECT_EQ(hashed_part("{user}:a"), "user");
    EXPECT_EQ(hashed_part("a{user}b"), "user");
    EXPECT_EQ(hashed_part("a{x}{y}"), "x");
    EXPECT_EQ(hashed_part("a{{x}}y"), "{x");
    EXPECT_EQ(hashed_part("a}{x}"), "x");
    for (const char* whole : {"", "{", "}", "{}", "a{}b{c}", "a{b", "a}b", "}{", "{}{x}"})
        EXPECT_EQ(hashed_part(whole), whole);
    EXPECT_EQ(hashed_part(std::string_view("a{\0}b", 5)), std::string_view("\0", 1));
}

TEST(Slots, AgreeWithTheVectors) {
    for (const Json& item : read_vectors("slots.json")) {
        SCOPED_TRACE(item.at("name").dump());
        EXPECT_EQ(slot_of(bytes_of(item, "channel")), item.at("slot").get<int>());
    }
}

}  // namespace
}  // namespace fanwire::test
