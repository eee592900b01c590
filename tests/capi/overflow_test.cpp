// A full inbox: messages go, a GAP with their exact number stands in their place.
#include "support.h"

namespace capi_test {
namespace {

// What a subscription got, as "0 1 [3] 5": payloads, and GAPs with their counts.
std::string shape(const std::vector<Seen>& events, const void* of = nullptr) {
    std::string text;
    for (const Seen& event : events) {
        if (event.user_data != of) continue;
        if (!text.empty()) text += ' ';
        if (event.kind == FANWIRE_EVENT_MESSAGE)
            text += event.payload;
        else if (event.kind == FANWIRE_EVENT_GAP && event.reason == FANWIRE_GAP_OVERFLOW)
            text += "[" + std::to_string(event.count) + "]";
        else
            text += "?" + std::to_string(event.kind);
    }
    return text;
}

// Publishes the numbers from..to. On memory:// the outcome follows the delivery.
void publish_numbers(fanwire_engine* engine, int from, int to) {
    for (int i = from; i <= to; ++i) publish_wait(engine, "a", std::to_string(i));
}

TEST(Overflow, DropOldest) {
    Engine engine = open_engine();
    Inbox inbox{{"inbox_count", "4"}, {"overflow", "drop_oldest"}};
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_numbers(engine, 0, 9);
    EXPECT_EQ("[6] 6 7 8 9", shape(inbox.drain()));
    EXPECT_EQ(6u, inbox.stats().dropped);
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(6u, stats.dropped);
    EXPECT_EQ(1u, stats.gaps);

    publish_numbers(engine, 10, 13);
    EXPECT_EQ("10 11 12 13", shape(inbox.drain())) << "exactly full is not over";
    publish_numbers(engine, 14, 18);
    EXPECT_EQ("[1] 15 16 17 18", shape(inbox.drain())) << "a new episode, a new count";
}

TEST(Overflow, DropNewest) {
    Engine engine = open_engine();
    Inbox inbox{{"inbox_count", "4"}, {"overflow", "drop_newest"}};
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_numbers(engine, 0, 9);
    EXPECT_EQ("0 1 2 3 [6]", shape(inbox.drain()));
    publish_numbers(engine, 10, 11);
    EXPECT_EQ("10 11", shape(inbox.drain()));
    EXPECT_EQ(6u, inbox.stats().dropped);
    const fanwire_engine_stats stats = stats_of(engine);
    EXPECT_EQ(6u, stats.delivered);
    EXPECT_EQ(6u, stats.dropped);
    EXPECT_EQ(1u, stats.gaps);
}

TEST(Overflow, RoomInBetweenEndsAnEpisode) {
    Engine engine = open_engine();
    Inbox inbox{{"inbox_count", "4"}, {"overflow", "drop_newest"}};
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_numbers(engine, 0, 5);
    std::vector<Seen> events;
    for (int i = 0; i < 3; ++i) events.push_back(inbox.next());
    publish_numbers(engine, 6, 9);
    for (const Seen& event : inbox.drain()) events.push_back(event);

    // Which of 6..9 found room depends on whether a GAP takes a place; that none is missing does not.
    int expected = 0;
    for (const Seen& event : events) {
        if (event.kind == FANWIRE_EVENT_GAP) {
            expected += static_cast<int>(event.count);
        } else {
            ASSERT_EQ(std::to_string(expected), event.payload) << shape(events);
            ++expected;
        }
    }
    EXPECT_EQ(10, expected) << shape(events);
    EXPECT_EQ("0 1 2 3 [2] 6", shape(events).substr(0, 13));
}

TEST(Overflow, OfBytes) {
    Engine engine = open_engine();
    Inbox inbox{{"inbox_bytes", "10000"}, {"overflow", "drop_oldest"}};
    Subscription subscription = subscribe(engine, "a", inbox);
    for (int i = 0; i < 10; ++i) publish_wait(engine, "a", std::string(3000, static_cast<char>('0' + i)));
    ASSERT_TRUE(until([&] { return inbox.stats().dropped == 7; }));
    EXPECT_LE(inbox.stats().queued_bytes, 10000u);
    const std::vector<Seen> events = inbox.drain();
    ASSERT_EQ(4u, events.size());
    EXPECT_EQ(FANWIRE_EVENT_GAP, events[0].kind);
    EXPECT_EQ(7u, events[0].count);
    EXPECT_EQ('7', events[1].payload[0]);
    EXPECT_EQ('9', events[3].payload[0]);
}

TEST(Overflow, AMessageLargerThanTheInbox) {
    Engine engine = open_engine();
    Inbox inbox{{"inbox_bytes", "1000"}};
    Subscription subscription = subscribe(engine, "a", inbox);
    publish_wait(engine, "a", "before");
    publish_wait(engine, "a", std::string(5000, 'x'));
    publish_wait(engine, "a", "after");
    ASSERT_TRUE(until([&] { return inbox.stats().queued == 3; }));
    EXPECT_EQ("before [1] after", shape(inbox.drain()));
}

TEST(Overflow, EachSubscriptionHasItsOwnGap) {
    Engine engine = open_engine();
    Inbox inbox{{"inbox_count", "4"}};
    int one = 0, two = 0;
    Subscription first = subscribe(engine, "a", inbox, &one), second = psubscribe(engine, "?", inbox, &two);
    publish_numbers(engine, 0, 9);
    const std::vector<Seen> events = inbox.drain();
    EXPECT_EQ("[8] 8 9", shape(events, &one));
    EXPECT_EQ("[8] 8 9", shape(events, &two));
    EXPECT_EQ(16u, inbox.stats().dropped);
}

TEST(Overflow, OutcomesAndEndsAreNeverDropped) {
    for (const char* overflow : {"drop_oldest", "drop_newest"}) {
        Engine engine = open_engine();
        Inbox inbox{{"inbox_count", "2"}, {"overflow", overflow}};
        Subscription subscription = subscribe(engine, "a", inbox);
        int outcome = 0;
        for (int i = 0; i < 5; ++i) {
            ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "b", inbox, &outcome));
            publish_wait(engine, "a", "c");
        }
        ASSERT_STATUS(FANWIRE_OK, fanwire_unsubscribe(subscription));
        for (int i = 0; i < 5; ++i) EXPECT_EQ(&outcome, inbox.next(FANWIRE_EVENT_PUBLISHED).user_data) << overflow;
        inbox.next(FANWIRE_EVENT_ENDED);  // and no message before it: the drains began after unsubscribe
        EXPECT_EQ(0u, inbox.drain().size()) << overflow;
    }
}

}  // namespace
}  // namespace capi_test
