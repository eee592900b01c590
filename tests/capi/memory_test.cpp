// What a subscription costs, with its channel and its handle, and that it is given back.
#include "../support/heap.h"
#include "support.h"

namespace capi_test {
namespace {

#ifdef FANWIRE_COUNTS_BYTES

TEST(Memory, AnInboxKeepsNothingOfEnginesThatAreGone) {
    Inbox inbox;
    const auto live = [&] {
        Engine engine = open_engine();
        Subscription subscription = subscribe(engine, "a", inbox);
        engine.reset();
        subscription.reset();
        while (!inbox.drain().empty()) {
        }
    };
    constexpr int engines = 100;
    for (int i = 0; i < 10; ++i) live();
    const double before = static_cast<double>(fanwire::test::bytes_in_use());
    for (int i = 0; i < engines; ++i) live();
    EXPECT_LT((static_cast<double>(fanwire::test::bytes_in_use()) - before) / engines, 500) << "bytes for each";
}

double bytes_in_use() {
    return static_cast<double>(fanwire::test::bytes_in_use());
}

struct Cost {
    double each = 0, left = 0;
};

Cost cost_of(std::size_t channels, std::size_t subscriptions_each, bool patterns = false) {
    Inbox inbox({{"inbox_count", "1000"}});  // so that events are folded, too
    Engine engine = open_engine();
    const std::size_t count = channels * subscriptions_each;
    std::vector<fanwire_subscription*> all(count);
    const auto drain_until = [&](int kind) {
        std::vector<fanwire_event> events(1024);
        for (std::size_t seen = 0; seen < count;) {
            ASSERT_EQ(FANWIRE_OK, fanwire_inbox_wait(inbox, 30000)) << seen;
            std::size_t n = 0;
            ASSERT_EQ(FANWIRE_OK, fanwire_inbox_drain(inbox, events.data(), sizeof events[0], events.size(), &n));
            for (std::size_t i = 0; i < n; ++i) seen += events[i].kind == kind ? 1 : 0;
            fanwire_events_release(events.data(), sizeof events[0], n);
        }
    };
    // What is made once.
    Subscription first = subscribe(engine, "first", inbox);
    Cost cost;
    const double before = bytes_in_use();
    for (std::size_t i = 0; i < count; ++i) {
        char name[24];
        const int size =
            std::snprintf(name, sizeof name, patterns ? "pattern:%09zu:*" : "channel:%012zu", i / subscriptions_each);
        EXPECT_EQ(FANWIRE_OK, (patterns ? fanwire_psubscribe : fanwire_subscribe)(
                                  &all[i], engine, name, static_cast<std::size_t>(size), inbox, nullptr));
    }
    drain_until(FANWIRE_EVENT_ACTIVE);
    cost.each = (bytes_in_use() - before) / static_cast<double>(count);
    for (fanwire_subscription*& one : all) fanwire_subscription_destroy(&one);
    drain_until(FANWIRE_EVENT_ENDED);
    cost.left = (bytes_in_use() - before) / static_cast<double>(count);
    return cost;
}

TEST(Memory, AChannelWithItsSubscriptionTakesAtMost200Bytes) {
    const Cost cost = cost_of(100000, 1);
    EXPECT_LE(cost.each, 200.0);
    EXPECT_GE(cost.each, 100.0) << "it is not counted";
    EXPECT_LE(cost.left, 10.0);
}

TEST(Memory, OneMoreSubscriptionOfAChannelTakesAtMost100Bytes) {
    const Cost cost = cost_of(1000, 100);
    EXPECT_LE(cost.each, 100.0);
    EXPECT_GE(cost.each, 50.0) << "it is not counted";
    EXPECT_LE(cost.left, 10.0);
}

TEST(Memory, APatternOfMemoryTakesAtMost400Bytes) {
    const Cost cost = cost_of(20000, 1, true);
    EXPECT_LE(cost.each, 400.0);
    EXPECT_LE(cost.left, 10.0);
}

#endif

}  // namespace
}  // namespace capi_test
