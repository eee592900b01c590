#include "core/message/json_guard.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/vectors.h"

namespace fanwire::test {
namespace {

using core::json_certainly_clean;
using core::JsonGuard;

std::string clean(const std::string& text) {
    JsonGuard guard(text);
    if (!guard.changes()) {
        EXPECT_EQ(guard.size(), text.size());
        return text;
    }
    std::string apart(guard.size(), '?');
    guard.write(apart.data());
    std::string in_place = text;
    JsonGuard second(in_place);
    second.write(in_place.data());
    in_place.resize(second.size());
    EXPECT_EQ(in_place, apart);
    return apart;
}

bool is_forbidden(const std::string& key) {
    return key == "__proto__" || key == "constructor" || key == "prototype";
}

// What the guard should leave, on the parsed value.
Json without_forbidden(const Json& value) {
    if (value.is_array()) {
        Json kept = Json::array();
        for (const Json& item : value) kept.push_back(without_forbidden(item));
        return kept;
    }
    if (!value.is_object()) return value;
    Json kept = Json::object();
    for (const auto& [key, item] : value.items())
        if (!is_forbidden(key)) kept[key] = without_forbidden(item);
    return kept;
}

// Also in members that a later one of the same key replaces.
bool has_forbidden(const std::string& text) {
    bool found = false;
    const auto look = [&](int, Json::parse_event_t event, const Json& parsed) {
        if (event == Json::parse_event_t::key) found = found || is_forbidden(parsed.get<std::string>());
        return true;
    };
    EXPECT_FALSE(Json::parse(text, look).is_discarded());
    return found;
}

TEST(JsonGuard, AgreesWithTheVectors) {
    for (const Json& item : read_vectors("json_guard.json")) {
        const std::string text = bytes_of(item, "text"), expected = bytes_of(item, "clean");
        EXPECT_EQ(clean(text), expected) << item.at("name");
        EXPECT_EQ(clean(expected), expected) << item.at("name");
        if (text != expected) {
            EXPECT_FALSE(json_certainly_clean(text)) << item.at("name");
        }
    }
}

// Wherever in a text of whatever size the suspicious part stands, and whatever stands around it.
TEST(JsonGuard, TheScanSeesEveryPlace) {
    for (const std::string suspicious :
         {"\"__proto__\"", "\"constructor\"", "\"prototype\"", "\\u005f", "\\u0063", "\\u0079"}) {
        for (std::size_t before = 0; before < 70; ++before) {
            for (std::size_t behind = 0; behind < 70; ++behind) {
                for (const char filler : {'x', 'o', 'c', '\\', '"', '\xff'}) {
                    const std::string text = std::string(before, filler) + suspicious + std::string(behind, filler);
                    ASSERT_FALSE(json_certainly_clean(text)) << text;
                }
            }
        }
    }
}

TEST(JsonGuard, TheScanIsNotFooledByLikenesses) {
    for (const std::string harmless :
         {"", "u", "\\", "\\u", "\\u0", "\\u00", "cto", "oto", "\"__proto__", "__proto__\"", "\"constructor'",
          "prototype", "\\u00e9", "\\u0430", "\\u8bad", "\\u0022", "\\u0045", "doctor photo actor"}) {
        for (std::size_t size = 0; size < 60; ++size) {
            EXPECT_TRUE(json_certainly_clean(std::string(size, ' ') + harmless));
            EXPECT_TRUE(json_certainly_clean(harmless + std::string(size, ' ')));
        }
    }
}

// Random JSON, often damaged: against nlohmann's parser. It is stricter than JSON.parse about UTF-8, surrogates and the
// range of numbers, none of which these texts have.
TEST(JsonGuard, AgreesWithAnotherParser) {
    std::mt19937 random(1);
    const auto pick = [&](std::size_t n) { return random() % n; };
    const auto space = [&] { return pick(4) ? std::string() : std::string(1 + pick(2), " \t\n\r"[pick(4)]); };
    const auto spelled = [&](const std::string& text) {
        std::string out = "\"";
        for (const char c : text) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, pick(2) ? "\\u%04x" : "\\u%04X", static_cast<unsigned>(c));
            out += pick(12) == 0 ? std::string(escaped) : std::string(1, c);
        }
        return out + "\"";
    };
    const auto word = [&] {
        return spelled(
            std::vector<std::string>{"__proto__", "constructor", "prototype", "a", "b", "", "protos", "ctor"}[pick(8)]);
    };
    const std::function<std::string(std::size_t)> value = [&](std::size_t depth) -> std::string {
        switch (depth > 5 ? pick(4) : pick(8)) {
            case 0:
                return word();
            case 1:
                return std::vector<std::string>{"0", "-1", "2.5", "1e3", "0.1E-2", "-0"}[pick(6)];
            case 2:
                return std::vector<std::string>{"true", "false", "null"}[pick(3)];
            case 3:
                return pick(2) ? "[]" : "{" + space() + "}";
            case 4:
            case 5: {
                std::string out = "[" + space();
                for (std::size_t i = 0, n = 1 + pick(3); i < n; ++i)
                    out += (i ? "," : "") + space() + value(depth + 1) + space();
                return out + "]";
            }
            default: {
                std::string out = "{" + space();
                for (std::size_t i = 0, n = 1 + pick(5); i < n; ++i)
                    out += (i ? "," : "") + space() + word() + space() + ":" + space() + value(depth + 1) + space();
                return out + "}";
            }
        }
    };
    std::size_t cleaned = 0, invalid = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string text = space() + value(0) + space();
        for (std::size_t damage = pick(3) ? 0 : 1 + pick(2); damage > 0 && !text.empty(); --damage) {
            const std::size_t at = pick(text.size());
            switch (pick(3)) {
                case 0:
                    text.erase(at, 1);
                    break;
                case 1:
                    text.insert(at, 1, "{}[],:\"\\0e-u"[pick(12)]);
                    break;
                default:
                    text[at] = "{}[],:\"\\0e-u"[pick(12)];
                    break;
            }
        }
        const std::string result = clean(text);
        const Json before = Json::parse(text, nullptr, false);
        if (before.is_discarded()) {
            ++invalid;
            ASSERT_EQ(result, text);
            continue;
        }
        const Json after = Json::parse(result, nullptr, false);
        ASSERT_FALSE(after.is_discarded()) << text << " became " << result;
        ASSERT_EQ(after, without_forbidden(before)) << text << " became " << result;
        ASSERT_EQ(result != text, has_forbidden(text)) << text << " became " << result;
        ASSERT_EQ(clean(result), result);
        cleaned += result != text;
    }
    EXPECT_GT(cleaned, 2000u);
    EXPECT_GT(invalid, 2000u);
}

// As deep as the text is long, and no slower for it.
TEST(JsonGuard, HasNoLimitOfDepth) {
    constexpr std::size_t depth = 1000000;
    std::string text, expected;
    for (std::size_t i = 0; i < depth; ++i) text += "{\"a\":";
    expected = text + "{}" + std::string(depth, '}');
    text += "{\"__proto__\":" + std::string(depth, '[') + std::string(depth, ']') + "}" + std::string(depth, '}');
    EXPECT_EQ(clean(text), expected);
    text.pop_back();
    EXPECT_EQ(clean(text), text);
}

}  // namespace
}  // namespace fanwire::test
