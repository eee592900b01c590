#include "core/base/url.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/base/settings.h"
#include "tests/unit/failures.h"
#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using namespace core;

std::optional<std::string> no_environment(const char*) {
    return std::nullopt;
}

TEST(Url, GoodOnesAgreeWithTheVectors) {
    for (const Json& item : read_vectors("urls.json")) {
        if (item.contains("status")) continue;
        SCOPED_TRACE(item.at("name").dump());
        Options options;
        options.set("url", item.at("url").get<std::string>());
        for (const auto& [setting, value] : item.at("get").items())
            EXPECT_EQ(options.effective(setting, no_environment), value.get<std::string>()) << setting;

        Settings settings = options.resolve(no_environment);
        EXPECT_EQ(settings.url, item.at("url").get<std::string>());
        EXPECT_EQ(settings.password, item.value("password", ""));
        bool memory = item.value("backend", "redis") == "memory";
        EXPECT_EQ(settings.backend, memory ? BackendKind::memory : BackendKind::redis);
        EXPECT_EQ(settings.memory_name, item.value("memory_name", ""));
    }
}

TEST(Url, BadOnesAgreeWithTheVectors) {
    for (const Json& item : read_vectors("urls.json")) {
        if (!item.contains("status")) continue;
        SCOPED_TRACE(item.at("name").dump());
        Options options;
        expect_failure(item, [&] { options.set("url", item.at("url").get<std::string>()); });
        EXPECT_STREQ(options.source("url", no_environment), "default");
    }
}

TEST(Url, RefusesRawBytesThatCannotStandInAUrl) {
    for (char byte = 0; byte <= 0x20; ++byte)
        EXPECT_THROW(parse_url(std::string("redis://h/") + byte), Failure) << static_cast<int>(byte);
    EXPECT_THROW(parse_url("redis://h\x7F"), Failure);
}

TEST(Url, TakesTheLongestAndNoMore) {
    std::string url = "redis://h?namespace=";
    EXPECT_NO_THROW(parse_url(url + std::string(8192 - url.size(), 'a')));
    EXPECT_THROW(parse_url(url + std::string(8193 - url.size(), 'a')), Failure);
}

TEST(Url, HidesThePassword) {
    EXPECT_EQ(redact_url("redis://h:1/2?db=3"), "redis://h:1/2?db=3");
    EXPECT_EQ(redact_url("redis://u:p@h"), "redis://u:***@h");
    EXPECT_EQ(redact_url("redis://u:@h"), "redis://u:@h");
    EXPECT_EQ(redact_url("redis://u:p@h?client_name=a%40b"), "redis://u:***@h?client_name=a%40b");
    EXPECT_EQ(redact_url("redis://[::1]:6379"), "redis://[::1]:6379");
    EXPECT_EQ(redact_url("redis://h?password=p&db=1"), "redis://h?password=***&db=1");
    EXPECT_EQ(redact_url("redis://h?db=1&p%61ssword=p"), "redis://h?db=1&p%61ssword=***");
    EXPECT_EQ(redact_url("redis://h?password="), "redis://h?password=");
    EXPECT_EQ(redact_url("unix:///run/a@b:c.sock"), "unix:///run/a@b:c.sock");
    EXPECT_EQ(redact_url("memory://x"), "memory://x");
    EXPECT_EQ(redact_url("redis-sentinel://s1:26379,s2:26379/1?master=m"),
              "redis-sentinel://s1:26379,s2:26379/1?master=m");
    EXPECT_EQ(redact_url("redis-sentinel://u:p@s1:26379,s2?sentinels=m&sentinel_password=q"),
              "redis-sentinel://u:***@s1:26379,s2?sentinels=m&sentinel_password=***");
    EXPECT_EQ(redact_url("redis://h?sentinels=m"), "redis://h?sentinels=***");  // of nothing that is known there
}

TEST(Url, HidesThePasswordOfWhatIsNoUrl) {
    EXPECT_EQ(redact_url(""), "");
    EXPECT_EQ(redact_url("http://u:p@h:1/x"), "http://u:***@h:1/x");
    EXPECT_EQ(redact_url("redis://:p@ss@h"), "redis://:***@h");
    EXPECT_EQ(redact_url("redis://:p/a?s#s@h/0"), "redis://:***@h/0");
    EXPECT_EQ(redact_url("u:p@h:6379"), "u:***@h:6379");
    EXPECT_EQ(redact_url("redis:p@h"), "redis:***@h");
    EXPECT_EQ(redact_url("redis://u:pass"), "redis://u:***");
    EXPECT_EQ(redact_url("redis://u:pa/ss"), "redis://u:***");
    EXPECT_EQ(redact_url("redis://:123456789"), "redis://:***");
    EXPECT_EQ(redact_url("redis://u:p%zz@h"), "redis://u:***@h");
    EXPECT_EQ(redact_url("redis://h:1:2?password%zz=p"), "redis://h:***");
    EXPECT_EQ(redact_url("redis://h?pass%zzword=p&db=1"), "redis://h?pass%zzword=***&db=1");
    EXPECT_EQ(redact_url("redis://h?db=1&passwor%6=p"), "redis://h?db=1&passwor%6=***");
    EXPECT_EQ(redact_url("nonsense?password=p"), "nonsense?password=***");
    EXPECT_EQ(redact_url("redis://h /?password=pa:s@s"), "redis://h /***");
    EXPECT_EQ(redact_url("@"), "@");
    EXPECT_EQ(redact_url(":@"), ":@");
    EXPECT_EQ(redact_url("://"), "://");
    EXPECT_EQ(redact_url("redis://"), "redis://");
}

// Whatever is wrong around it, a password between ':' and '@' is neither in the error text nor in the redacted URL.
TEST(Url, NeverShowsAPasswordHoweverMangledTheRest) {
    std::mt19937 random(7);
    const std::string alphabet = "ab:/?#[]@%&=0 .";
    auto scraps = [&](size_t most) {
        std::string text;
        for (size_t size = random() % (most + 1); size > 0; --size) text += alphabet[random() % alphabet.size()];
        return text;
    };
    const std::string secret = "hunter2";
    size_t refused = 0;
    for (int round = 0; round < 50000; ++round) {
        std::string url = "redis://u:" + scraps(4) + secret + scraps(4) + "@h" + scraps(6);
        EXPECT_EQ(redact_url(url).find(secret), std::string::npos) << url;
        try {
            Options().set("url", url);
        } catch (const Failure& failure) {
            ++refused;
            EXPECT_EQ(failure.error().text.find(secret), std::string::npos) << url << "\n" << failure.error().text;
        }
    }
    EXPECT_GT(refused, 10000u);
}

}  // namespace
}  // namespace fanwire::test
