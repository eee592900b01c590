#include "core/base/decimal.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <random>
#include <string>

namespace fanwire::test {
namespace {

using core::show_decimal;
using core::take_decimal;

TEST(Decimal, IsTakenOffTheFront) {
    struct {
        const char* text;
        double number;
        const char* rest;
    } const cases[] = {{"1.5", 1.5, ""},
                       {"2", 2, ""},
                       {"0", 0, ""},
                       {".5", 0.5, ""},
                       {"7.", 7, ""},
                       {"5s", 5, "s"},
                       {"1.5.2", 1.5, ".2"},
                       {"1e3", 1, "e3"},
                       {"0.1 ", 0.1, " "},
                       {"007.250", 7.25, ""},
                       {"0.00000000000000000000000001", 0, ""},
                       {"1.00000000000000000000000001", 1, ""},
                       {"999999999999999999", 999999999999999999.0, ""}};
    for (const auto& row : cases) {
        SCOPED_TRACE(row.text);
        std::string_view text = row.text;
        const std::optional<double> number = take_decimal(text);
        ASSERT_TRUE(number);
        EXPECT_DOUBLE_EQ(*number, row.number);
        EXPECT_EQ(text, row.rest);
    }
}

TEST(Decimal, WhatIsNoneStays) {
    for (const char* text :
         {"", ".", "-1", "+1", " 1", "inf", "nan", "x", ",5", "1000000000000000000", "1000000000000000000.5"}) {
        SCOPED_TRACE(text);
        std::string_view rest = text;
        EXPECT_FALSE(take_decimal(rest));
        EXPECT_EQ(rest, text);
    }
}

// As the standard library does, to the last bit, for whatever has up to 15 digits.
TEST(Decimal, IsExact) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 200'000; ++i) {
        const int places = static_cast<int>(random() % 16);
        std::string text = std::to_string(random() % 1'000'000'000'000'000 >> random() % 50);
        if (text.size() <= static_cast<std::size_t>(places))
            text.insert(0, static_cast<std::size_t>(places) + 1 - text.size(), '0');
        if (places > 0) text.insert(text.size() - static_cast<std::size_t>(places), ".");
        if (text.size() > 17) continue;  // 15 digits, the point and a zero in front of it
        double expected = 0;
        std::from_chars(text.data(), text.data() + text.size(), expected, std::chars_format::fixed);
        std::string_view rest = text;
        const std::optional<double> number = take_decimal(rest);
        ASSERT_TRUE(number && *number == expected) << text;

        char shortest[64];
        const auto end = std::to_chars(shortest, shortest + sizeof shortest, expected, std::chars_format::fixed).ptr;
        ASSERT_EQ(show_decimal(expected), std::string(shortest, end)) << text;
    }
}

}  // namespace
}  // namespace fanwire::test
