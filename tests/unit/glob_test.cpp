#include "core/message/glob.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using core::glob_match;

TEST(Glob, AgreesWithTheVectors) {
    size_t seen = 0;
    for (const Json& item : read_vectors("patterns.json")) {
        if (item.at("kind") != "match") continue;
        ++seen;
        EXPECT_EQ(glob_match(bytes_of(item, "pattern"), bytes_of(item, "text")), item.at("match").get<bool>())
            << item.at("name");
    }
    EXPECT_GT(seen, 100u);
}

TEST(Glob, TreatsTheEmptyTextAsRedisDoes) {
    EXPECT_TRUE(glob_match("", ""));
    EXPECT_FALSE(glob_match("*", ""));
    EXPECT_FALSE(glob_match("", "a"));
    EXPECT_FALSE(glob_match("[", ""));
}

// By backtracking at every star this would take longer than the universe exists.
TEST(Glob, TakesNoExponentialTime) {
    std::string pattern;
    for (int i = 0; i < 500; ++i) pattern += "*a";
    std::string text(1000, 'a');
    EXPECT_TRUE(glob_match(pattern, text));
    EXPECT_FALSE(glob_match(pattern + "b", text));
    EXPECT_FALSE(glob_match(pattern + "[b-z", text));
}

TEST(Glob, CollapsesStarsHoweverMany) {
    EXPECT_TRUE(glob_match(std::string(100000, '*'), "x"));
    EXPECT_FALSE(glob_match(std::string(100000, '*') + "y", "x"));
}

}  // namespace
}  // namespace fanwire::test
