// How events leave an inbox: batches, descriptor, wake function.
#include <poll.h>

#include <condition_variable>
#include <mutex>

#include "support.h"

namespace capi_test {
namespace {

bool readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    return poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

TEST(Inbox, TakesNoArrayThatIsNoneOfEvents) {
    Inbox inbox;
    fanwire_event events[2];
    std::size_t count = 99;
    for (const std::size_t size : {sizeof events[0] - 8, sizeof events[0] + 1, sizeof events[0] + 4}) {
        EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_inbox_drain(inbox, events, size, 1, &count));
        EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "event_size")) << fanwire_last_error();
        EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_events_release(events, size, 0));
    }
    EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, events, sizeof events[0] + 8, 1, &count));
    EXPECT_EQ(0u, count);
}

TEST(Inbox, DrainsInBatchesInOrder) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    for (int i = 0; i < 10; ++i) publish_wait(engine, "a", std::to_string(i));
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 10; }));

    fanwire_event events[6];
    std::size_t count = 99;
    EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, events, sizeof events[0], 0, &count));
    EXPECT_EQ(0u, count) << "no room, no event";
    int expected = 0;
    for (std::size_t batch : {4u, 4u, 2u, 0u}) {
        events[batch].kind = -1;
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, events, sizeof events[0], 4, &count));
        ASSERT_EQ(batch, count);
        for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(std::to_string(expected++), Seen(events[i]).payload);
        EXPECT_EQ(-1, events[batch].kind) << "nothing written beyond count";
        ASSERT_STATUS(FANWIRE_OK, fanwire_events_release(events, sizeof events[0], count));
    }
    const fanwire_inbox_stats stats = inbox.stats();
    EXPECT_EQ(0u, stats.queued);
    EXPECT_EQ(0u, stats.queued_bytes);
    EXPECT_EQ(11u, stats.drained) << "ACTIVE and ten messages";
    EXPECT_EQ(0u, stats.dropped);
}

TEST(Inbox, QueuedBytesCountWhatWaits) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_wait(engine, "a", std::string(100000, 'x'));
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 1; }));
    EXPECT_GE(inbox.stats().queued_bytes, 100000u);
    EXPECT_LE(inbox.stats().queued_bytes, 101000u);
}

TEST(Inbox, FieldsThatAKindDoesNotNameAreEmpty) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription exact;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(exact.out(), engine, "a", 1, inbox, &exact));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    fanwire_event event;
    std::size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    ASSERT_EQ(1u, count);
    EXPECT_EQ(FANWIRE_EVENT_ACTIVE, event.kind);
    EXPECT_TRUE(event.channel == nullptr && event.pattern == nullptr && event.payload == nullptr &&
                event.text == nullptr);
    EXPECT_EQ(0u, event.channel_size + event.pattern_size + event.payload_size + event.count + event.delay_ms);
    EXPECT_TRUE(event.status == 0 && event.reason == 0 && event.will_reconnect == 0);
    EXPECT_EQ(&exact, event.user_data);
    fanwire_message_release(event.message);

    publish_wait(engine, "a", "b");
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    ASSERT_EQ(1u, count);
    EXPECT_EQ(FANWIRE_EVENT_MESSAGE, event.kind);
    EXPECT_TRUE(event.pattern == nullptr && event.pattern_size == 0 && event.text == nullptr && event.count == 0);
    ASSERT_NE(nullptr, event.message);
    EXPECT_EQ('\0', event.channel[event.channel_size]);
    EXPECT_EQ('\0', event.payload[event.payload_size]);
    const char* bytes = "";
    std::size_t size = 7;
    EXPECT_STATUS(FANWIRE_OK, fanwire_message_pattern(event.message, &bytes, &size));
    EXPECT_TRUE(bytes == nullptr && size == 0) << "an exact subscription has no pattern";
    EXPECT_STATUS(FANWIRE_OK, fanwire_message_payload(event.message, &bytes, nullptr));
    EXPECT_EQ(event.payload, bytes) << "the same bytes, not a copy";
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_message_payload(event.message, nullptr, &size));
    fanwire_message_retain(event.message);
    fanwire_message_release(event.message);
    EXPECT_STREQ("b", event.payload) << "still ours";
    fanwire_message_release(event.message);
}

TEST(Inbox, PayloadIsSharedNotCopied) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription one = subscribe(engine, "a", inbox), two = subscribe(engine, "a", inbox),
                 three = psubscribe(engine, "a*", inbox);
    publish_wait(engine, "a", "shared");
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 3; }));
    fanwire_event events[3];
    std::size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, events, sizeof events[0], 3, &count));
    ASSERT_EQ(3u, count);
    EXPECT_EQ(events[0].payload, events[1].payload);
    EXPECT_EQ(events[0].payload, events[2].payload);
    EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(events, sizeof events[0], count));
}

TEST(Inbox, WaitTimesOut) {
    Inbox inbox;
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_inbox_wait(inbox, 0));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_inbox_wait(inbox, 30));
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST(Inbox, WaitForeverEndsWithAnEvent) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    std::thread publisher([&] { EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "b")); });
    EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, FANWIRE_FOREVER));
    publisher.join();
    EXPECT_EQ("b", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
}

TEST(InboxFd, ReadableWhileEventsWait) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    int fd = -1, again = -1;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_fd(inbox, &fd));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_fd(inbox, &again));
    EXPECT_GE(fd, 0);
    EXPECT_EQ(fd, again);
    EXPECT_FALSE(readable(fd));

    for (int i = 0; i < 3; ++i) publish_wait(engine, "a", "b");
    pollfd entry{fd, POLLIN, 0};
    ASSERT_EQ(1, poll(&entry, 1, deadline_ms));
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 3; }));
    inbox.next(FANWIRE_EVENT_MESSAGE);
    EXPECT_TRUE(readable(fd)) << "two still wait";
    inbox.next(FANWIRE_EVENT_MESSAGE);
    inbox.next(FANWIRE_EVENT_MESSAGE);
    EXPECT_FALSE(readable(fd)) << "the drain that empties clears it";
    publish_wait(engine, "a", "b");
    EXPECT_EQ(1, poll(&entry, 1, deadline_ms)) << "and it comes back";
}

TEST(InboxFd, ReadableAtOnceWhenAskedForLate) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_wait(engine, "a", "b");
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    int fd = -1;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_fd(inbox, &fd));
    EXPECT_TRUE(readable(fd));
}

struct Wakes {
    std::atomic<int> count{0};
    static void wake(void* user_data) { ++static_cast<Wakes*>(user_data)->count; }
};

TEST(InboxWake, OnceForEmptyToNonEmpty) {
    Engine engine = open_engine();
    Inbox inbox;
    Wakes wakes;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, &Wakes::wake, &wakes));
    EXPECT_EQ(0, wakes.count) << "nothing waits";
    Subscription subscription;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(subscription.out(), engine, "a", 1, inbox, nullptr));
    ASSERT_TRUE(until([&] { return wakes.count == 1; }));
    inbox.next(FANWIRE_EVENT_ACTIVE);
    for (int round = 2; round <= 4; ++round) {
        for (int i = 0; i < 5; ++i) publish_wait(engine, "a", "b");
        ASSERT_TRUE(until([&] { return inbox.stats().queued == 5 && wakes.count >= round; }));
        inbox.next(FANWIRE_EVENT_MESSAGE);
        publish_wait(engine, "a", "while others wait");
        ASSERT_TRUE(until([&] { return inbox.stats().queued == 5; }));
        EXPECT_EQ(round, wakes.count) << "until a drain has emptied it there is no second wake";
        EXPECT_EQ(5u, inbox.drain().size());
    }
}

TEST(InboxWake, AtOnceWhenEventsAlreadyWait) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_wait(engine, "a", "b");
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    Wakes first, second;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, &Wakes::wake, &first));
    EXPECT_EQ(1, first.count);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, &Wakes::wake, &second));
    EXPECT_EQ(1, second.count);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(inbox, nullptr, nullptr));
    inbox.drain();
    publish_wait(engine, "a", "b");
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    EXPECT_TRUE(first.count == 1 && second.count == 1) << "removed ones are not called";
}

// Drains only when woken, as a binding does, while others publish: nothing is left behind.
TEST(InboxWake, NoWakeIsLost) {
    struct Signal {
        std::mutex mutex;
        std::condition_variable changed;
        int wakes = 0;
    } signal;  // outlives the inbox that wakes it
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_set_wake(
                                  inbox,
                                  [](void* user_data) {
                                      auto* to = static_cast<Signal*>(user_data);
                                      const std::lock_guard lock(to->mutex);
                                      ++to->wakes;
                                      to->changed.notify_one();
                                  },
                                  &signal));
    constexpr std::size_t total = 20000;
    std::thread publisher([&] {
        for (std::size_t i = 0; i < total; ++i) EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "b"));
    });
    std::size_t received = 0;
    while (received < total) {
        {
            std::unique_lock lock(signal.mutex);
            if (!signal.changed.wait_for(lock, std::chrono::milliseconds(deadline_ms),
                                         [&] { return signal.wakes > 0; }))
                break;
            signal.wakes = 0;
        }
        received += inbox.drain().size();
    }
    publisher.join();
    EXPECT_EQ(total, received);
}

// queued_bytes is what inbox_bytes limits: names and payload, and the same for each message.
TEST(Inbox, QueuedBytesAreThoseOfNamesAndPayloads) {
    Engine engine = open_engine();
    Inbox inbox, by_pattern;
    Subscription one = subscribe(engine, "channel", inbox), two = psubscribe(engine, "chan*", by_pattern);
    const auto queued = [](fanwire_inbox* of) {
        fanwire_inbox_stats stats{};
        EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_stats_get(of, &stats, sizeof stats));
        return stats.queued_bytes;
    };
    EXPECT_EQ(0u, queued(inbox));
    publish_wait(engine, "channel", "");
    const std::uint64_t each = queued(inbox) - 7;
    EXPECT_LE(each, 96u);
    publish_wait(engine, "channel", std::string(1000, 'x'));
    EXPECT_EQ(2 * (each + 7) + 1000, queued(inbox));
    EXPECT_EQ(2 * (each + 7 + 5) + 1000, queued(by_pattern));
    inbox.drain();
    EXPECT_EQ(0u, queued(inbox));
}

}  // namespace
}  // namespace capi_test
