// The door for publishes: what it refuses, whom it wakes, and when the IO thread finds something to write.
#include "core/engine/outbox.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace fanwire::core {
namespace {

Settings settings_of(const char* key, const char* value) {
    Options options;
    if (key) options.set(key, value);
    Settings settings = options.resolve([](const char*) { return std::optional<std::string>(); });
    // More than may be set: however slow the machine is, publishes come within a third of it.
    if (settings.max_flush_delay_us > 0) settings.max_flush_delay_us = 600'000'000;
    return settings;
}

struct Door {
    explicit Door(const char* key = nullptr, const char* value = nullptr) : settings(settings_of(key, value)) {}

    Status publish(const std::string& payload = "x", const std::string& channel = "c") {
        try {
            outbox.publish(channel, payload, nullptr, nullptr, 0);
            return Status::OK;
        } catch (const Failure& failure) {
            return failure.status();
        }
    }
    // What the backend does with what it is given.
    std::size_t take_and_write() {
        if (!outbox.take()) return 0;
        const std::size_t count = outbox.taken().records.size();
        outbox.unqueued(count, outbox.taken().bytes());
        outbox.taken().clear();
        return count;
    }

    const Settings settings;
    const Namespace names{"", settings.channel_rules};
    Metrics metrics;
    int wakes = 0;
    std::vector<std::uint32_t> holds;
    Outbox outbox{settings, names, metrics, [this] { ++wakes; }, [this](std::uint32_t us) { holds.push_back(us); }};
};

TEST(Outbox, WakesOnceForABatch) {
    Door door;
    door.outbox.set_publishable(true);
    EXPECT_FALSE(door.outbox.take()) << "nothing is there";
    for (int i = 0; i < 5; ++i) EXPECT_EQ(door.publish(), Status::OK);
    EXPECT_EQ(door.wakes, 1);
    EXPECT_EQ(door.take_and_write(), 5u);
    EXPECT_FALSE(door.outbox.take());
    EXPECT_EQ(door.publish(), Status::OK);
    EXPECT_EQ(door.wakes, 2);
}

TEST(Outbox, TakesManyAtOnceAndWakesOnce) {
    Door door("max_message_bytes", "16");
    door.outbox.set_publishable(true);
    const std::string large(17, 'x');
    const std::vector<Outbox::Publish> all{
        {"a", "1", nullptr}, {"b", "2", nullptr}, {"c", large, nullptr}, {"d", "3", nullptr}};
    Error why;
    EXPECT_EQ(door.outbox.publish_many(all, why), 2u);
    EXPECT_EQ(why.status, Status::MESSAGE_TOO_LARGE);
    EXPECT_EQ(door.wakes, 1);
    EXPECT_EQ(door.take_and_write(), 2u);
    EXPECT_EQ(door.outbox.publish_many({}, why), 0u);
    EXPECT_EQ(door.wakes, 1);
    door.outbox.shut();
    Error closed;
    EXPECT_EQ(door.outbox.publish_many(all, closed), 0u);
    EXPECT_EQ(closed.status, Status::CLOSED);
}

TEST(Outbox, WithoutAConnectionSoManyWait) {
    Door door("offline_count", "2");
    EXPECT_EQ(door.publish(), Status::OK);
    EXPECT_EQ(door.publish(), Status::OK);
    EXPECT_EQ(door.publish(), Status::QUEUE_FULL);
    EXPECT_EQ(door.metrics.publish_rejected.get(), 1u);
    door.outbox.set_publishable(true);
    EXPECT_EQ(door.publish(), Status::OK);
    door.outbox.count();
    EXPECT_EQ(door.metrics.published.get(), 3u);
    EXPECT_EQ(door.metrics.publish_unsent.get(), 3u);
    EXPECT_EQ(door.take_and_write(), 3u);
    door.outbox.count();
    EXPECT_EQ(door.metrics.publish_unsent.get(), 0u);
    EXPECT_EQ(door.metrics.publish_unsent_bytes.get(), 0u);
}

TEST(Outbox, WithoutAConnectionSoManyBytesWait) {
    Door door("offline_bytes", "1000");
    EXPECT_EQ(door.publish(std::string(900, 'x')), Status::OK);
    EXPECT_EQ(door.publish(std::string(100, 'x')), Status::QUEUE_FULL);
}

TEST(Outbox, APublishThatIsRefusedAsksForAConnectionOnce) {
    Door door("offline", "fail");
    EXPECT_EQ(door.publish(), Status::NOT_CONNECTED);
    EXPECT_EQ(door.publish(), Status::NOT_CONNECTED);
    EXPECT_EQ(door.wakes, 1);
    EXPECT_THROW(door.outbox.check_offline(), Failure);
    EXPECT_TRUE(door.outbox.connection_needed());
    EXPECT_FALSE(door.outbox.connection_needed());
    door.outbox.set_publishable(true);
    door.outbox.check_offline();
    EXPECT_EQ(door.publish(), Status::OK);
}

TEST(Outbox, RefusesForTheReasonThatItIsGiven) {
    Door door;
    door.outbox.set_refusal({Status::CONNECT_FAILED, "gave up"});
    EXPECT_EQ(door.publish(), Status::CONNECT_FAILED);
    door.outbox.set_refusal({});
    EXPECT_EQ(door.publish(), Status::OK);
}

TEST(Outbox, RefusesWhatIsTooLarge) {
    Door door("max_message_bytes", "10");
    door.outbox.set_publishable(true);
    EXPECT_EQ(door.publish(std::string(10, 'x')), Status::OK);
    EXPECT_EQ(door.publish(std::string(11, 'x')), Status::MESSAGE_TOO_LARGE);
}

// The first batches come close enough to each other to be a stream.
TEST(Outbox, AStreamIsHeldBackUntilItIsTimeOrThereIsMuch) {
    Door door("max_flush_delay_us", "1");
    door.outbox.set_publishable(true);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(door.publish(), Status::OK);
        EXPECT_EQ(door.take_and_write(), 1u);
    }
    ASSERT_EQ(door.holds.size(), 1u);
    const int wakes = door.wakes;
    EXPECT_EQ(door.publish(), Status::OK);
    EXPECT_EQ(door.wakes, wakes) << "held back";
    EXPECT_FALSE(door.outbox.take());
    door.outbox.hold_over();
    EXPECT_EQ(door.take_and_write(), 1u);
    ASSERT_EQ(door.holds.size(), 2u);
    EXPECT_EQ(door.publish(std::string(ByteChunk::usual, 'x')), Status::OK);
    EXPECT_EQ(door.wakes, wakes + 1) << "much";
    EXPECT_EQ(door.take_and_write(), 1u);
}

TEST(Outbox, WhatIsLeftWhenItIsShutIsSettled) {
    Door door("max_flush_delay_us", "1");
    EXPECT_EQ(door.publish(), Status::OK);
    ASSERT_TRUE(door.outbox.take());
    EXPECT_EQ(door.publish(), Status::OK);
    door.outbox.shut();
    EXPECT_EQ(door.publish(), Status::CLOSED);
    std::size_t settled = 0;
    const std::size_t refused = door.outbox.refuse({Status::CLOSED, "closed"}, [&](const SettledRun& run) {
        settled += run.publishes.size();
        EXPECT_EQ(run.error.status, Status::CLOSED);
    });
    EXPECT_EQ(refused, 2u);
    EXPECT_EQ(settled, 2u);
    door.outbox.count();
    EXPECT_EQ(door.metrics.publish_unsent.get(), 0u);
}

}  // namespace
}  // namespace fanwire::core
