#include "core/message/names.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "core/message/glob.h"
#include "tests/unit/failures.h"
#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using core::ChannelRules;
using core::Namespace;
using core::Status;

ChannelRules rules_of(const Json& item) {
    std::string rules = item.at("rules").get<std::string>();
    EXPECT_TRUE(rules == "lax" || rules == "strict") << rules;
    return rules == "strict" ? ChannelRules::strict : ChannelRules::lax;
}

TEST(Names, ChannelsAgreeWithTheVectors) {
    for (const Json& item : read_vectors("channels.json")) {
        SCOPED_TRACE(item.at("name").dump());
        auto wire_name = [&] {
            return Namespace(item.at("namespace").get<std::string>(), rules_of(item))
                .channel(bytes_of(item, "channel"));
        };
        if (item.contains("status"))
            expect_failure(item, wire_name);
        else
            EXPECT_EQ(wire_name(), bytes_of(item, "wire"));
    }
}

TEST(Names, PatternsAgreeWithTheVectors) {
    size_t seen = 0;
    for (const Json& item : read_vectors("patterns.json")) {
        if (item.at("kind") != "wire") continue;
        ++seen;
        SCOPED_TRACE(item.at("name").dump());
        auto wire_name = [&] {
            return Namespace(item.at("namespace").get<std::string>(), rules_of(item))
                .pattern(bytes_of(item, "pattern"));
        };
        if (item.contains("status"))
            expect_failure(item, wire_name);
        else
            EXPECT_EQ(wire_name(), bytes_of(item, "wire"));
    }
    EXPECT_GT(seen, 10u);
}

TEST(Names, PrefixSizesSayWhereTheApplicationsPartBegins) {
    Namespace plain("ws", ChannelRules::lax);
    EXPECT_EQ(plain.channel("chat").substr(plain.channel_prefix_size()), "chat");
    EXPECT_EQ(plain.pattern("c*").substr(plain.pattern_prefix_size()), "c*");
    EXPECT_EQ(plain.channel_prefix_size(), 3u);

    Namespace none("", ChannelRules::lax);
    EXPECT_EQ(none.channel_prefix_size(), 0u);
    EXPECT_EQ(none.pattern_prefix_size(), 0u);

    Namespace starred("a*b", ChannelRules::lax);
    EXPECT_EQ(starred.channel_prefix_size(), 4u);
    EXPECT_EQ(starred.pattern_prefix_size(), 5u);
    EXPECT_EQ(starred.pattern("c*").substr(starred.pattern_prefix_size()), "c*");
}

TEST(Names, NamespaceInAPatternMatchesItselfOnly) {
    for (const char* name : {"a*", "a?", "[a]", "[^a]", "a\\", "\\*", "a-z", "^a", "a]", "[", "[a-", "**"}) {
        Namespace space(name, ChannelRules::lax);
        EXPECT_TRUE(core::glob_match(space.pattern("*"), space.channel("x"))) << name;
        for (const char* other : {"a", "ab", "b", "abc", "aa", "*", "\\a"}) {
            Namespace elsewhere(other, ChannelRules::lax);
            EXPECT_FALSE(core::glob_match(space.pattern("*"), elsewhere.channel("x"))) << name << " and " << other;
        }
    }
}

TEST(Names, OursAreNobodyElses) {
    for (const ChannelRules rules : {ChannelRules::lax, ChannelRules::strict}) {
        const Namespace none("", rules), ours("__fanwire", rules), other("__fanwire2", rules);
        for (const auto& refused : {std::function<void()>([&] { none.channel("__fanwire:probe:1"); }),
                                    std::function<void()>([&] { none.pattern("__fanwire:*"); }),
                                    std::function<void()>([&] { ours.channel("probe:1"); }),
                                    std::function<void()>([&] { ours.check_channel("x"); }),
                                    std::function<void()>([&] { ours.pattern("*"); })})
            EXPECT_EQ(failure_of(refused).status, Status::INVALID_CHANNEL);
        EXPECT_EQ(other.channel("probe:1"), "__fanwire2:probe:1");
        EXPECT_EQ(none.channel("__fanwire2:x"), "__fanwire2:x");
    }
}

TEST(Names, ErrorTextsStayShortAndPrintable) {
    std::string binary(5000, '\x01');
    core::Error error = failure_of([&] { Namespace("ws", ChannelRules::lax).channel(binary); });
    EXPECT_LT(error.text.size(), 500u);
    EXPECT_EQ(error.text.find('\x01'), std::string::npos);
    EXPECT_NE(error.text.find("5000 bytes"), std::string::npos) << error.text;
}

}  // namespace
}  // namespace fanwire::test
