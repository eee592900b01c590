// When publishes that wait, or wait for their answer, have waited too long; and what looking for them costs.
#include "tests/support/heap.h"
#include "tests/unit/command_queue_fixture.h"

namespace fanwire::core {
namespace {

struct PublishExpiry : CommandQueueTest {};

TEST_F(PublishExpiry, APublishMayHaveATimeoutOfItsOwn) {
    const auto publish_for = [&](const char* payload, std::uint32_t timeout) {
        batch.taken_at = 1000;
        batch.deadline = 6000;
        unsent_bytes +=
            batch.add(publish_command, "", "a", payload, nullptr, reinterpret_cast<void*>(++accepted), timeout);
        ++unsent;
    };
    publish_for("usual", 0);
    publish_for("short", 100);
    publish_for("long", 60000);
    publish_for("shorter", 50);
    queue.append(batch);
    EXPECT_EQ(queue.deadline(), 1050);
    queue.tick(1050);
    EXPECT_EQ(take(), Strings{"4 TIMEOUT"});
    EXPECT_EQ(queue.deadline(), 1100);
    EXPECT_EQ(write(), command("a", "usual") + command("a", "short") + command("a", "long"));
    queue.tick(1100);
    EXPECT_EQ(take(), Strings{"2 OUTCOME_UNKNOWN"});
    EXPECT_EQ(queue.scan(":1\r\n:2\r\n"), 4u) << "the next answer is nobody's";
    EXPECT_FALSE(queue.can_scan(":2\r\n"));
    EXPECT_TRUE(reply(":2\r\n"));
    EXPECT_EQ(take(), Strings{"1 OK 1"});
    queue.tick(6000);
    EXPECT_TRUE(take().empty()) << "its own is longer";
    EXPECT_EQ(queue.deadline(), 61000);
    queue.tick(61000);
    EXPECT_EQ(take(), Strings{"3 OUTCOME_UNKNOWN"});
    EXPECT_TRUE(reply(":3\r\n"));
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(queue.deadline(), never);
    EXPECT_TRUE(queue.idle());
    EXPECT_EQ(unsent, 0u);
    EXPECT_EQ(unsent_bytes, 0u);
}

// They are due in any order, but looking at all of them for each would cost the square of their number.
TEST_F(PublishExpiry, ManyTimeoutsOfTheirOwnCostNoLookAtAllForEach) {
    constexpr std::uint32_t count = 100000;
    batch.taken_at = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        unsent_bytes += batch.add(publish_command, "", "a", "", nullptr, nullptr, 1 + i % 1000);
        ++unsent;
    }
    queue.append(batch);
    const std::uint64_t before = queue.looked_at();
    TimeMs now = 0;
    while (queue.deadline() != never) {
        now = queue.deadline();
        queue.tick(now);
    }
    EXPECT_EQ(outcomes.size(), count);
    EXPECT_LT(now, 1000 + 30) << "hardly late";
    EXPECT_LT(queue.looked_at() - before, std::uint64_t{count} * 100) << "1000 times as many without a limit";
    EXPECT_EQ(unsent, 0u);
}

TEST_F(PublishExpiry, WhatWaitsTooLongExpires) {
    publish("ws:a", "sent", 100);
    write();
    publish("ws:a", "unsent", 200);
    publish("ws:a", "later", 300);
    EXPECT_EQ(queue.deadline(), 100);
    queue.tick(99);
    EXPECT_TRUE(take().empty());
    queue.tick(100);
    EXPECT_EQ(take(), Strings{"1 OUTCOME_UNKNOWN"});
    EXPECT_EQ(queue.deadline(), 200);
    queue.tick(200);
    EXPECT_EQ(take(), Strings{"2 TIMEOUT"});
    EXPECT_EQ(unsent, 1u);
    EXPECT_EQ(write(), command("ws:a", "later"));
    EXPECT_TRUE(reply(":5\r\n"));  // the late answer to the first is not taken for the third's
    EXPECT_TRUE(take().empty());
    EXPECT_TRUE(reply(":7\r\n"));
    EXPECT_EQ(take(), Strings{"3 OK 7"});
    EXPECT_EQ(queue.deadline(), never);
}

TEST_F(PublishExpiry, AHalfWrittenOneDoesNotExpire) {
    publish("ws:a", "one", 100);
    write(10);
    queue.tick(1000);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(write(), command("ws:a", "one").substr(10));
    EXPECT_TRUE(reply(":0\r\n"));
    EXPECT_EQ(take(), Strings{"1 OK 0"});
}

TEST_F(PublishExpiry, WhatStandsBehindAPartOrAnOwnCommandExpiresToo) {
    publish("ws:a", "one", 100);
    publish("ws:a", "two", 100);
    publish("ws:a", "three", 100);
    publish("ws:a", "four", 200);
    write(10);
    EXPECT_EQ(queue.deadline(), 100);
    queue.tick(100);
    EXPECT_EQ(take(), (Strings{"2 TIMEOUT", "3 TIMEOUT"}));
    EXPECT_EQ(unsent, 2u);
    EXPECT_EQ(queue.deadline(), 200);
    EXPECT_EQ(write(), command("ws:a", "one").substr(10) + command("ws:a", "four"));
    EXPECT_TRUE(reply(":1\r\n"));
    EXPECT_TRUE(reply(":4\r\n"));
    EXPECT_EQ(take(), (Strings{"1 OK 1", "4 OK 4"}));

    publish("ws:a", "five", 300);
    queue.append_own(CommandRecord::Purpose::probe, "PROBE");
    publish("ws:a", "six", 300);
    EXPECT_EQ(queue.deadline(), 300);
    queue.tick(300);
    EXPECT_EQ(take(), (Strings{"5 TIMEOUT", "6 TIMEOUT"}));
    EXPECT_EQ(queue.deadline(), never);
    EXPECT_EQ(write(), "PROBE");
    EXPECT_EQ(unsent, 0u);
    EXPECT_EQ(unsent_bytes, 0u);
}

// In an outage everything that waits may be much, and what expires is always in front.
TEST_F(PublishExpiry, WhatExpiresWithoutALinkCostsNoLookAtTheRest) {
    const int batches = 5000, each = 13;
    for (int i = 0; i < batches; ++i) {
        for (int k = 0; k < each; ++k) {
            unsent_bytes += batch.add(publish_command, "", "channel", std::string(100, 'x'), nullptr,
                                      reinterpret_cast<void*>(++accepted));
            ++unsent;
        }
        batch.deadline = 1000 + i;
        queue.append(batch);
    }
    const std::size_t size = unsent_bytes / unsent;
    for (int i = 0; i < 3000; ++i) {
        ASSERT_EQ(queue.deadline(), 1000 + i);
        queue.tick(1000 + i);
        ASSERT_EQ(outcomes.size(), static_cast<std::size_t>(each) * (static_cast<std::size_t>(i) + 1));
    }
    EXPECT_EQ(queue.looked_at(), 3000u * each);
    EXPECT_EQ(take().back(), std::to_string(3000 * each) + " TIMEOUT");
    EXPECT_EQ(unsent, 2000u * each);
    EXPECT_EQ(unsent_bytes, unsent * size);
    EXPECT_EQ(queue.unsettled(), unsent);
    // What is left is whole and in order.
    const std::size_t left = unsent_bytes;
    const std::string bytes = write();
    EXPECT_EQ(bytes.size(), left);
    EXPECT_EQ(bytes.substr(0, size), command("channel", std::string(100, 'x')));
    for (int i = 0; i < 2000 * each; ++i) ASSERT_EQ(queue.scan(":1\r\n"), 4u);
    EXPECT_EQ(take().front(), std::to_string(3000 * each + 1) + " OK 1");
    EXPECT_TRUE(queue.idle());
}

#ifdef FANWIRE_COUNTS_BYTES
TEST_F(PublishExpiry, APeakOfWhatWaitsIsNotKept) {
    outcomes.reserve(200000);
    for (const int how : {0, 1, 2}) {
        const std::size_t before = test::bytes_in_use();
        if (how == 2) {  // with something sent in front, which is the slow way
            publish("c", "sent", 1000);
            write();
        }
        for (int i = 0; i < 100000; ++i) publish("c", "p", 1000);
        EXPECT_GT(test::bytes_in_use(), before + (std::size_t{4} << 20));
        if (how == 0)
            queue.fail_unsent({Status::NOT_CONNECTED, "offline"});
        else
            queue.tick(1000);
        if (how == 2) {
            EXPECT_TRUE(reply(":1\r\n"));
        }
        EXPECT_TRUE(queue.idle());
        EXPECT_EQ(outcomes.size(), how == 2 ? 100001u : 100000u);
        outcomes.clear();
        EXPECT_LT(test::bytes_in_use(), before + (std::size_t{3} << 20)) << how;
    }
}
#endif

TEST_F(PublishExpiry, AllThatWaitsMayExpireAtOnce) {
    for (int round = 0; round < 3; ++round) {
        for (const std::size_t size : {std::size_t{1}, std::size_t{60000}, std::size_t{200000}, std::size_t{5}})
            publish("c", std::string(size, 'x'), 100);
        queue.tick(99);
        EXPECT_TRUE(take().empty());
        queue.tick(100);
        EXPECT_EQ(take().size(), 4u);
        EXPECT_TRUE(queue.idle());
        EXPECT_TRUE(queue.output().empty());
        EXPECT_EQ(queue.deadline(), never);
        EXPECT_EQ(unsent, 0u);
        EXPECT_EQ(unsent_bytes, 0u);
    }
}

}  // namespace
}  // namespace fanwire::core
