// Messages and the memory of small ones: what they hold, where their memory goes, and what may be kept of it.
#include "core/message/message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace fanwire::core {
namespace {

TEST(Message, HoldsCopiesOfItsParts) {
    const auto pool = MessagePool::make();
    for (const std::size_t size : {0u, 1u, 3u, 7u, 15u, 31u, 33u, 100u, 900u, 1024u, 5000u}) {
        std::string channel(size, 'c'), pattern(size / 2, 'p'), payload(size, 'x');
        const MessageRef by_name = Message::make({channel, {}}, payload, 17, pool.get());
        const MessageRef by_pattern = Message::make({channel, pattern, true}, payload, 17, pool.get());
        const MessageRef sharing =
            Message::make_sharing({pattern, channel, true}, by_name, by_name->payload(), 18, pool.get());
        channel.assign(size, '!');
        payload = channel;
        for (const MessageRef& message : {by_name, by_pattern}) {
            EXPECT_EQ(message->channel(), std::string(size, 'c'));
            EXPECT_EQ(message->payload(), std::string(size, 'x'));
            EXPECT_EQ(message->channel().data()[size], '\0');
            EXPECT_EQ(message->payload().data()[size], '\0');
            EXPECT_EQ(message->received_us(), 17u);
            EXPECT_TRUE(message->has_tag());
        }
        EXPECT_FALSE(by_name->has_pattern());
        ASSERT_TRUE(by_pattern->has_pattern());
        EXPECT_EQ(by_pattern->pattern(), pattern);
        EXPECT_EQ(by_pattern->pattern().data()[size / 2], '\0');
        EXPECT_EQ(sharing->payload().data(), by_name->payload().data());
        EXPECT_EQ(sharing->channel(), pattern);
        EXPECT_EQ(sharing->pattern(), std::string(size, 'c'));
    }
}

TEST(Message, ATextHasNoNames) {
    const MessageRef text = Message::make_text("why");
    EXPECT_EQ(text->payload(), "why");
    EXPECT_EQ(text->channel(), "");
    EXPECT_FALSE(text->has_pattern());
}

TEST(MessagePool, GivesTheSameMemoryAgain) {
    const auto pool = MessagePool::make();
    std::set<const Message*> first;
    for (int round = 0; round < 50; ++round) {
        std::vector<Message*> messages;
        for (int i = 0; i < 20; ++i)
            messages.push_back(Message::make({"a", {}}, std::string(100, 'x'), 0, pool.get()).detach());
        for (const Message* message : messages) {
            if (round == 0) first.insert(message);
            EXPECT_TRUE(first.contains(message));
        }
        MessageReleaser releaser;
        for (Message* message : messages) releaser.release(message);
    }
}

TEST(MessagePool, RoundsUpByAnEighthAtMost) {
    std::size_t before = 0;
    for (std::size_t size = 1; size <= MessagePool::piece_max; size += size < 5000 ? 1 : 97) {
        const std::size_t rounded = MessagePool::rounded(size);
        ASSERT_GE(rounded, size);
        ASSERT_GE(rounded, before);
        ASSERT_EQ(MessagePool::rounded(rounded), rounded);
        ASSERT_LE(rounded, size <= MessagePool::small_max ? size + MessagePool::granule - 1 : size + size / 8) << size;
        before = rounded;
    }
    EXPECT_EQ(MessagePool::rounded(MessagePool::piece_max), MessagePool::piece_max);
}

// However many there were at once, not more than this stays.
TEST(MessagePool, KeepsNoMoreThanItsBound) {
    const auto pool = MessagePool::make();
    std::vector<MessageRef> messages;
    for (int i = 0; i < 20000; ++i)
        messages.push_back(
            Message::make({"a", {}}, std::string(static_cast<std::size_t>(i % 900), 'x'), 0, pool.get()));
    EXPECT_EQ(pool->kept(), 0u);
    messages.clear();
    EXPECT_LE(pool->kept(), MessagePool::kept_max);
    EXPECT_GT(pool->kept(), MessagePool::kept_max / 2);
}

// A kept message keeps its own memory and nothing beside it: all others can be used again.
// The bound is one for all sizes together, on the taking thread as well.
TEST(MessagePool, KeepsNoMoreThanItsBoundWhateverTheSizes) {
    const auto pool = MessagePool::make();
    for (std::size_t size = MessagePool::granule; size <= MessagePool::piece_max;
         size += std::max(MessagePool::granule, size / 9)) {
        for (int round = 0; round < 3; ++round) {
            std::vector<MessagePool::Piece> pieces;
            for (std::size_t bytes = 0; bytes < MessagePool::kept_max; bytes += size)
                pieces.push_back({pool->take(size), size});
            pool->give_back(pieces.data(), pieces.size());
            ASSERT_LE(pool->kept(), MessagePool::kept_max);
            ASSERT_LE(pool->ready(), MessagePool::kept_max);
        }
    }
}

// What was large once and is not wanted any more does not keep out what is.
TEST(MessagePool, OtherSizesDoNotKeepItFull) {
    const auto pool = MessagePool::make();
    for (const std::size_t size : {std::size_t{1000000}, std::size_t{100}, std::size_t{300000}, std::size_t{60}}) {
        std::vector<MessageRef> many;
        for (std::size_t bytes = 0; bytes < 2 * MessagePool::kept_max; bytes += size)
            many.push_back(Message::make({"a", {}}, std::string(size, 'x'), 0, pool.get()));
        many.clear();
        const auto three = [&] {
            std::vector<MessageRef> some;
            for (int i = 0; i < 3; ++i) some.push_back(Message::make({"b", {}}, std::string(500, 'y'), 0, pool.get()));
            return some;
        };
        for (int i = 0; i < 20000; ++i) three();
        const std::size_t before = pool->kept() + pool->ready();
        const auto some = three();
        EXPECT_GE(before, pool->kept() + pool->ready() + 3 * 500) << "nothing was used again after " << size;
        EXPECT_LE(pool->kept(), MessagePool::kept_max);
    }
}

TEST(MessagePool, AKeptMessageKeepsNothingElse) {
    const auto pool = MessagePool::make();
    std::vector<MessageRef> kept;
    for (int i = 0; i < 1000; ++i) {
        std::vector<MessageRef> others;
        for (int j = 0; j < 9; ++j) others.push_back(Message::make({"a", {}}, std::string(50, 'x'), 0, pool.get()));
        kept.push_back(Message::make({"a", {}}, std::string(50, 'k'), 0, pool.get()));
    }
    std::set<const Message*> different;
    for (int i = 0; i < 100; ++i) different.insert(Message::make({"a", {}}, std::string(50, 'y'), 0, pool.get()).get());
    EXPECT_LE(different.size(), 9u);
    EXPECT_LE(pool->kept(), 9u * 128u);
    for (const MessageRef& message : kept) EXPECT_EQ(message->payload(), std::string(50, 'k'));
}

TEST(MessagePool, LivesUntilItsLastMessageIsReleasedByAnyThread) {
    for (int round = 0; round < 20; ++round) {
        std::vector<Message*> messages;
        {
            const auto pool = MessagePool::make();
            for (int i = 0; i < 300; ++i)
                messages.push_back(Message::make({"a", {}}, "payload", 0, pool.get()).detach());
            messages[0]->release();
            messages.erase(messages.begin());
            Message::make({"a", {}}, "payload", 0, pool.get())->retain(0);
        }
        EXPECT_EQ(messages.back()->payload(), "payload");
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < 3; ++t)
            threads.emplace_back([&, t] {
                MessageReleaser releaser;
                for (std::size_t i = t; i < messages.size(); i += 3) {
                    messages[i]->retain();
                    messages[i]->release();
                    releaser.release(messages[i]);
                }
            });
        for (std::thread& thread : threads) thread.join();
    }
}

TEST(MessagePool, TakesBackWhileItGives) {
    const auto pool = MessagePool::make();
    std::vector<Message*> passed;
    std::mutex mutex;
    bool done = false;
    std::thread consumer([&] {
        for (bool last = false; !last;) {
            std::vector<Message*> taken;
            {
                std::lock_guard lock(mutex);
                last = done;
                taken.swap(passed);
            }
            MessageReleaser releaser;
            for (Message* message : taken) {
                EXPECT_EQ(message->channel(), "channel");
                releaser.release(message);
            }
        }
    });
    for (int i = 0; i < 20000; ++i) {
        Message* const message =
            Message::make({"channel", {}}, std::string(static_cast<std::size_t>(i % 200), 'x'), 0, pool.get()).detach();
        std::lock_guard lock(mutex);
        passed.push_back(message);
    }
    {
        std::lock_guard lock(mutex);
        done = true;
    }
    consumer.join();
}

}  // namespace
}  // namespace fanwire::core
