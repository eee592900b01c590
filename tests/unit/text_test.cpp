#include "core/base/text.h"

#include <gtest/gtest.h>

#include <string>

namespace fanwire::test {
namespace {

using namespace core;

TEST(Text, KnowsUtf8) {
    char32_t code_point = 0;
    EXPECT_EQ(utf8_character("a", &code_point), 1u);
    EXPECT_EQ(code_point, U'a');
    EXPECT_EQ(utf8_character("\xC3\xA9x", &code_point), 2u);
    EXPECT_EQ(code_point, U'\u00E9');
    EXPECT_EQ(utf8_character("\xE8\x8C\xB6", &code_point), 3u);
    EXPECT_EQ(code_point, U'\u8336');
    EXPECT_EQ(utf8_character("\xF0\x9F\x8D\xB5", &code_point), 4u);
    EXPECT_EQ(code_point, U'\U0001F375');
}

TEST(Text, RefusesWhatOnlyLooksLikeUtf8) {
    for (const char* bytes :
         {"", "\x80", "\xC3", "\xC3(", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",
          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE8\x8C"})
        EXPECT_EQ(utf8_character(bytes), 0u) << quote(bytes);
}

TEST(Text, PlainTextHasNoControlCharacters) {
    EXPECT_TRUE(is_plain_text(""));
    EXPECT_TRUE(is_plain_text("a \xC3\xA9 \xF0\x9F\x8D\xB5"));
    for (std::string text : {std::string("a\nb"), std::string("\x7F"), std::string("a\0b", 3), std::string("\xC2\x9B"),
                             std::string("\xFF")})
        EXPECT_FALSE(is_plain_text(text)) << quote(text);
}

TEST(Text, QuotesAnything) {
    EXPECT_EQ(quote("chat"), "\"chat\"");
    EXPECT_EQ(quote(""), "\"\"");
    EXPECT_EQ(quote("a\"b\\c"), "\"a\\\"b\\\\c\"");
    EXPECT_EQ(quote("\xC3\xA9"), "\"\xC3\xA9\"");
    EXPECT_EQ(quote(std::string("a\0\n\xFF\x1B", 5)), "\"a\\x00\\x0a\\xff\\x1b\"");
}

TEST(Text, CutsBetweenCharacters) {
    EXPECT_EQ(quote("abcdef", 6), "\"abcdef\"");
    EXPECT_EQ(quote("abcdefg", 6), "\"abcdef...\" (7 bytes)");
    EXPECT_EQ(quote("\xC3\xA9\xC3\xA9\xC3\xA9", 3), "\"\xC3\xA9\xC3\xA9...\" (6 bytes)");
}

TEST(Text, CutsNoCharacterInTwo) {
    const std::string_view text = "a\xC3\xA9\xF0\x9F\x98\x80z";
    for (const auto& [size, kept] :
         {std::pair{0u, 0u}, {1u, 1u}, {2u, 1u}, {3u, 3u}, {4u, 3u}, {6u, 3u}, {7u, 7u}, {8u, 8u}, {99u, 8u}})
        EXPECT_EQ(cut_utf8(text, size), text.substr(0, kept)) << size;
    EXPECT_EQ(cut_utf8("\x80\x80", 1), "") << "nothing but continuations";
}

TEST(Text, MeasuresEditDistance) {
    EXPECT_EQ(edit_distance("port", "port"), 0u);
    EXPECT_EQ(edit_distance("prot", "port"), 2u);
    EXPECT_EQ(edit_distance("pot", "port"), 1u);
    EXPECT_EQ(edit_distance("porrt", "port"), 1u);
    EXPECT_EQ(edit_distance("db", ""), 2u);
    EXPECT_EQ(edit_distance("", "db"), 2u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

}  // namespace
}  // namespace fanwire::test
