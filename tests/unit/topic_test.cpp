// The records of wanted names: their subscriptions, their lists, the table of them, and the index of patterns.
#include "core/message/topic.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/message/pattern_index.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

SubscriptionRef subscription() {
    return make_subscription(TargetKind::channel, "any", nullptr, nullptr, std::make_shared<EngineShare>());
}

TEST(Topic, IsAName) {
    const std::string bytes("ws:a\0b", 6);
    const TopicRef topic = Topic::make(TargetKind::pattern, bytes, 3);
    EXPECT_EQ(topic->view(), bytes);
    EXPECT_EQ(topic->view().data()[bytes.size()], '\0');
    EXPECT_EQ(topic->kind(), TargetKind::pattern);
    EXPECT_EQ(topic->user_view(), bytes.substr(3));
    EXPECT_FALSE(topic->in_use());
}

// Against a vector, through every size at which the array grows, shrinks or goes.
TEST(Topic, KeepsItsSubscriptionsSideBySide) {
    std::mt19937 random(1);
    const TopicRef topic = Topic::make(TargetKind::channel, "a", 0);
    std::vector<SubscriptionRef> all;
    for (int i = 0; i < 300; ++i) all.push_back(subscription());
    std::vector<Subscription*> model, outside;
    for (const SubscriptionRef& one : all) outside.push_back(one.get());
    const auto there = [&] { return std::vector(topic->subscriptions().begin(), topic->subscriptions().end()); };
    for (int round = 0; round < 20; ++round) {
        for (const std::size_t goal = random() % all.size(); model.size() < goal; outside.pop_back()) {
            topic->append(*outside.back());
            model.push_back(outside.back());
            ASSERT_EQ(there(), model);
        }
        while (!model.empty() && random() % 50 != 0) {
            const std::size_t place = random() % model.size();
            Subscription* const moved = topic->remove(place);
            ASSERT_EQ(moved, place + 1 == model.size() ? nullptr : model.back());
            outside.push_back(model[place]);
            model[place] = model.back();
            model.pop_back();
            ASSERT_EQ(there(), model);
        }
    }
    topic->clear();
    EXPECT_FALSE(topic->in_use());
}

TEST(TopicList, MovesTopicsAndWholeLists) {
    const TopicRef a = Topic::make(TargetKind::channel, "a", 0), b = Topic::make(TargetKind::channel, "b", 0),
                   c = Topic::make(TargetKind::channel, "c", 0);
    TopicList one, two;
    one.append(two);
    EXPECT_TRUE(one.empty());
    one.append(*a);
    one.append(*b);
    two.append(*c);
    two.append(one);
    EXPECT_TRUE(one.empty());
    std::string order;
    for (const Topic* topic = two.first(); topic; topic = two.after(*topic)) order += topic->view();
    EXPECT_EQ(order, "cab");
    a->unlink();
    EXPECT_FALSE(a->linked());
    EXPECT_EQ(&two.front(), c.get());
    EXPECT_EQ(two.after(*c), b.get());
    b->unlink();
    c->unlink();
    EXPECT_TRUE(two.empty());
}

// Against a map: names of every length, both kinds, growing to thousands and shrinking to nothing.
TEST(Topics, FindWhatIsThereAndNothingElse) {
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{0x123456789abcdef}}) {
        std::mt19937 random(7);
        Topics topics(seed);
        std::map<std::pair<TargetKind, std::string>, Topic*> model;
        const auto name = [&](std::uint32_t i) {
            return std::string(i % 40, 'x') + std::to_string(i % 40 ? i : i / 40);
        };
        for (int step = 0; step < 60000; ++step) {
            const bool growing = step % 20000 < 10000;
            const std::uint32_t i = static_cast<std::uint32_t>(random() % 6000);
            const TargetKind kind = i % 2 ? TargetKind::channel : TargetKind::pattern;
            const auto key = std::pair(kind, name(i));
            Topic* const found = topics.find(kind, key.second);
            const auto known = model.find(key);
            ASSERT_EQ(found, known == model.end() ? nullptr : known->second) << key.second;
            EXPECT_EQ(
                topics.find(kind == TargetKind::channel ? TargetKind::pattern : TargetKind::channel, key.second),
                model.contains({kind == TargetKind::channel ? TargetKind::pattern : TargetKind::channel, key.second})
                    ? model.at({kind == TargetKind::channel ? TargetKind::pattern : TargetKind::channel, key.second})
                    : nullptr);
            if (growing ? random() % 8 != 0 : random() % 8 == 0) {
                Topic& topic = topic_of(topics, kind, key.second);
                if (found) {
                    ASSERT_EQ(&topic, found);
                }
                model[key] = &topic;
            } else if (found) {
                topics.forget_if_unused(*found);
                model.erase(key);
            }
            ASSERT_EQ(topics.size(), model.size());
        }
        std::set<Topic*> seen, expected;
        topics.for_each([&](Topic& topic) { EXPECT_TRUE(seen.insert(&topic).second); });
        for (const auto& [key, topic] : model) expected.insert(topic);
        EXPECT_EQ(seen, expected);
    }
}

TEST(Topics, KeepWhatIsInUse) {
    Topics topics;
    TopicList tracked;
    std::vector<SubscriptionRef> subscriptions;
    for (int i = 0; i < 3000; ++i) {
        Topic& topic = topic_of(topics, TargetKind::channel, std::to_string(i));
        if (i % 10 == 0) tracked.append(topic);
        if (i % 10 == 1) {
            subscriptions.push_back(subscription());
            topic.append(*subscriptions.back());
        }
        topics.forget_if_unused(topic);
        EXPECT_EQ(topics.find(TargetKind::channel, std::to_string(i)) != nullptr, i % 10 < 2);
    }
    for (int i = 2; i < 3000; i += 10) topic_of(topics, TargetKind::channel, std::to_string(i));
    EXPECT_EQ(topics.size(), 900u);
    topics.forget_unused();
    EXPECT_EQ(topics.size(), 600u);
    for (int i = 0; i < 3000; ++i)
        EXPECT_EQ(topics.find(TargetKind::channel, std::to_string(i)) != nullptr, i % 10 < 2);
    while (!tracked.empty()) tracked.front().unlink();
    topics.for_each([](Topic& topic) { topic.clear(); });
    topics.forget_unused();
    EXPECT_EQ(topics.size(), 0u);
    EXPECT_EQ(topics.find(TargetKind::channel, "0"), nullptr);
}

// Every pattern that matches is found, and no other, whatever the prefixes have in common.
TEST(PatternIndex, FindsWhatAScanFinds) {
    std::mt19937 random(3);
    const auto text = [&](std::string_view alphabet, std::size_t most) {
        std::string made;
        for (std::size_t size = 1 + random() % most; size > 0; --size) made += alphabet[random() % alphabet.size()];
        return made;
    };
    std::size_t matches = 0;
    for (int round = 0; round < 300; ++round) {
        PatternIndex index;
        std::vector<TopicRef> patterns;
        for (int i = 0; i < 40; ++i) {
            patterns.push_back(Topic::make(TargetKind::pattern, text("aab*?[]\\^", 8), 0));
            index.add(*patterns.back());
        }
        for (int i = 0; i < 20; ++i) {
            const std::size_t which = random() % patterns.size();
            index.remove(*patterns[which]);
            patterns.erase(patterns.begin() + static_cast<std::ptrdiff_t>(which));
        }
        EXPECT_EQ(index.size(), patterns.size());
        for (int i = 0; i < 40; ++i) {
            const std::string channel = text("aaab*[\\", 8);
            std::multiset<const Topic*> expected, found;
            for (const auto& pattern : patterns)
                if (glob_match(pattern->view(), channel)) expected.insert(pattern.get());
            index.for_each_match(channel, [&](const Topic& pattern) { found.insert(&pattern); });
            ASSERT_EQ(found, expected) << channel;
            matches += found.size();
        }
    }
    EXPECT_GT(matches, 1000u);
}

TEST(PatternIndex, LooksOnlyAtPatternsThatBeginLikeTheChannel) {
    PatternIndex index;
    std::vector<TopicRef> patterns;
    const auto add = [&](const std::string& text) {
        patterns.push_back(Topic::make(TargetKind::pattern, text, 0));
        index.add(*patterns.back());
    };
    for (int i = 0; i < 1000; ++i) add("my\\*app:room:" + std::to_string(i) + ":*");
    add("my\\*app:*");
    add("*");
    const auto candidates = [&](std::string_view channel) {
        std::size_t count = 0;
        index.for_each_candidate(channel, [&](const Topic&) { ++count; });
        return count;
    };
    EXPECT_EQ(candidates("my*app:room:77:x"), 3u);
    EXPECT_EQ(candidates("my*app:room:77"), 2u);
    EXPECT_EQ(candidates("other"), 1u);
    for (const auto& pattern : patterns) index.remove(*pattern);
    EXPECT_EQ(index.size(), 0u);
    EXPECT_EQ(candidates("my*app:room:77:x"), 0u);
}

}  // namespace
}  // namespace fanwire::core
