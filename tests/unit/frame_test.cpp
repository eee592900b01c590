// The frame of requests and replies, byte by byte.
#include "core/message/frame.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/base/error.h"
#include "core/message/names.h"
#include "vectors.h"

namespace fanwire::core {
namespace {

TEST(Frame, IsAsTheVectorsSay) {
    for (const test::Json& item : test::read_vectors("frames.json")) {
        SCOPED_TRACE(item.at("name").get<std::string>());
        const std::string wire = test::bytes_of(item, "wire"), kind = item.at("kind");
        const auto head = frame::head_of(wire);
        ASSERT_EQ(head.has_value(), kind != "none");
        if (!head) continue;
        const std::string payload = test::bytes_of(item, "payload");
        EXPECT_EQ(wire.substr(head->size), payload);
        if (kind == "plain") {
            EXPECT_EQ(head->kind, frame::Kind::plain);
            EXPECT_EQ(frame::plain(payload), wire);
        } else if (kind == "reply") {
            EXPECT_EQ(head->kind, frame::Kind::reply);
            EXPECT_EQ(frame::number_of(wire), item.at("number").get<std::uint64_t>());
            EXPECT_EQ(frame::reply(item.at("number"), payload), wire);
        } else {
            EXPECT_EQ(head->kind, frame::Kind::request);
            const frame::Address address = frame::address_of(wire);
            const std::string id = test::bytes_of(item, "id");
            EXPECT_EQ(address.prefix_size, item.at("prefix_size").get<int>());
            EXPECT_EQ(std::string(address.id.begin(), address.id.end()), id);
            EXPECT_EQ(address.number, item.at("number").get<std::uint64_t>());
            EXPECT_EQ(frame::reply_channel(address.id), item.at("reply_channel").get<std::string>());
            EXPECT_EQ(frame::request(address, payload), wire);
        }
    }
}

TEST(Frame, ReplyChannelsAreKnownInEveryNamespace) {
    const std::string channel = frame::reply_channel(frame::random_id());
    ASSERT_EQ(channel.size(), frame::reply_channel_size);
    EXPECT_TRUE(frame::is_reply_channel(channel));
    EXPECT_TRUE(frame::is_reply_channel("ws:" + channel));
    EXPECT_TRUE(frame::is_reply_channel("a:b:" + channel));
    EXPECT_FALSE(frame::is_reply_channel("ws" + channel));
    EXPECT_FALSE(frame::is_reply_channel(channel + "0"));
    EXPECT_FALSE(frame::is_reply_channel(channel.substr(1)));
    std::string other = channel;
    other.back() = 'g';
    EXPECT_FALSE(frame::is_reply_channel(other));
    EXPECT_FALSE(frame::is_reply_channel(std::string(48, '_')));
}

TEST(Frame, NobodyElseMayNameAReplyChannel) {
    const std::string channel = frame::reply_channel(frame::random_id());
    for (const char* space : {"", "ws"}) {
        const Namespace names(space, ChannelRules::lax);
        EXPECT_THROW(names.channel(channel), Failure);
        EXPECT_THROW(names.check_channel("ws:" + channel), Failure);
        EXPECT_THROW(names.pattern(channel), Failure);
        EXPECT_NO_THROW(names.channel("x" + channel));
    }
}

TEST(Frame, IdsAreNotForeseeable) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) seen.insert(frame::reply_channel(frame::random_id()));
    EXPECT_EQ(seen.size(), 100u);
}

}  // namespace
}  // namespace fanwire::core
