// How publishes lie in a batch: as Redis reads them, and plainly.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/message/publish_batch.h"
#include "core/protocol/publish_command.h"

namespace fanwire::core {
namespace {

TEST(PublishFormat, OfRedisIsACommand) {
    PublishBatch batch;
    batch.add(publish_command, "ws:", "a\r\n", "payload 10");
    batch.add(publish_command, "", "", "");
    EXPECT_EQ(batch.chunks.front().view(),
              "*3\r\n$7\r\nPUBLISH\r\n$6\r\nws:a\r\n\r\n$10\r\npayload 10\r\n"
              "*3\r\n$7\r\nPUBLISH\r\n$0\r\n\r\n$0\r\n\r\n");
}

TEST(PublishFormat, ThatIsPlainCanBeReadBack) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, ByteChunk::usual}) {
        PublishBatch batch;
        batch.add(plain_publish, "", "in front", "x");
        const std::string payload(size, 'p');
        const std::size_t written = batch.add(plain_publish, "ws:", "a\r\n", payload);
        const std::string_view bytes = batch.chunks.back().view();
        const PlainPublish::Parts publish = PlainPublish::read(bytes.substr(bytes.size() - written));
        EXPECT_EQ(publish.channel, "ws:a\r\n");
        EXPECT_EQ(publish.payload, payload);
    }
}

TEST(PublishFormat, KnowsHowManyBytesItWillWrite) {
    for (const PublishFormat* const format :
         {static_cast<const PublishFormat*>(&publish_command), static_cast<const PublishFormat*>(&plain_publish)})
        for (const std::size_t size :
             {0u, 1u, 9u, 10u, 99u, 100u, 999u, 1000u, 1001u, 9999u, 10000u, 99999u, 100000u, 1234567u}) {
            const std::size_t channel_size = std::max<std::size_t>(size % 1025, 1);
            const std::string channel(channel_size - 1, 'c'), payload(size, 'x');
            std::string room(format->size(channel_size, size) + 1, '#');
            format->write(room.data(), "y", channel, payload);
            EXPECT_EQ(room.back(), '#');
            EXPECT_NE(room[room.size() - 2], '#');
            PublishBatch batch;
            EXPECT_EQ(batch.add(*format, "y", channel, payload), room.size() - 1);
            EXPECT_EQ(batch.bytes(), room.size() - 1);
            EXPECT_EQ(batch.records.front().size, room.size() - 1);
        }
}

}  // namespace
}  // namespace fanwire::core
