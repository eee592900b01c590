// A program that was compiled with the header of the next version, in which each struct has one field more, and runs
// with this library: what the library does not know is 0, and must not be asked for.
#include <array>
#include <cstring>
#include <string>

#include "../support.h"

namespace capi_test {
namespace {

template <class Struct>
Struct filled() {
    Struct value;
    std::memset(static_cast<void*>(&value), 0xAA, sizeof value);
    return value;
}

TEST(NextCaller, GetsZeroForWhatTheLibraryDoesNotKnow) {
    auto status = filled<fanwire_status_info>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_status_at(0, &status, sizeof status));
    EXPECT_STREQ("OK", status.name);
    EXPECT_EQ(0u, status.next_field);

    auto option = filled<fanwire_option_info>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_option_at(0, &option, sizeof option));
    EXPECT_STREQ("url", option.name);
    EXPECT_EQ(0u, option.next_field);

    auto name = filled<fanwire_name_info>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_name_at(FANWIRE_NAMES_GAP_REASON, 0, &name, sizeof name));
    EXPECT_STREQ("reconnect", name.name);
    EXPECT_EQ(0u, name.next_field);

    auto stat = filled<fanwire_stat_info>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_stat_at(0, &stat, sizeof stat));
    EXPECT_STREQ("connected", stat.name);
    EXPECT_EQ(0u, stat.next_field);

    auto envelope = filled<fanwire_envelope>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_envelope_decode("x", 1, &envelope, sizeof envelope));
    EXPECT_EQ(1u, envelope.payload_size);
    EXPECT_EQ(0u, envelope.next_field);

    Options options{{"url", "memory://"}};
    fanwire_engine* engine = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(&engine, options));
    auto health = filled<fanwire_health>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_health(engine, &health, sizeof health));
    EXPECT_EQ(FANWIRE_HEALTH_OK, health.verdict);
    EXPECT_EQ(0u, health.next_field);

    auto stats = filled<fanwire_engine_stats>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(engine, &stats, sizeof stats));
    EXPECT_EQ(1u, stats.connected);
    EXPECT_EQ(0u, stats.next_field);

    auto latency = filled<fanwire_latency>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_latency(engine, FANWIRE_LATENCY_PUBLISH, &latency, sizeof latency));
    EXPECT_EQ(0u, latency.count);
    EXPECT_EQ(0u, latency.next_field);
    fanwire_engine_destroy(&engine);
}

TEST(NextCaller, DrainsEventsAtItsOwnStride) {
    Options options{{"url", "memory://"}};
    fanwire_engine* engine = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(&engine, options));
    fanwire_inbox* inbox = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_create(&inbox, nullptr));
    for (int i = 0; i < 3; ++i)
        ASSERT_STATUS(FANWIRE_OK, fanwire_publish_async(engine, "c", 1, "x", 1, inbox,
                                                        reinterpret_cast<void*>(static_cast<std::uintptr_t>(i + 1))));
    auto events = filled<std::array<fanwire_event, 4>>();
    std::size_t seen = 0;
    while (seen < 3) {
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
        std::size_t count = 0;
        ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, events.data() + seen, sizeof events[0], 3 - seen, &count));
        seen += count;
    }
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(FANWIRE_EVENT_PUBLISHED, events[i].kind);
        EXPECT_EQ(reinterpret_cast<void*>(i + 1), events[i].user_data);
        EXPECT_EQ(0u, events[i].next_field);
    }
    EXPECT_EQ(0xAAAAAAAAAAAAAAAAu, events[3].next_field) << "nothing is written beyond what was drained";
    ASSERT_STATUS(FANWIRE_OK, fanwire_events_release(events.data(), sizeof events[0], 3));

    auto stats = filled<fanwire_inbox_stats>();
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_stats_get(inbox, &stats, sizeof stats));
    EXPECT_EQ(3u, stats.drained);
    EXPECT_EQ(0u, stats.next_field);
    fanwire_inbox_destroy(&inbox);
    fanwire_engine_destroy(&engine);
}

TEST(NextCaller, MustNotAskForWhatTheLibraryDoesNotKnow) {
    Options options{{"url", "memory://"}};
    fanwire_engine* engine = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(&engine, options));
    fanwire_inbox* inbox = nullptr;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_create(&inbox, nullptr));

    fanwire_publish_args publish = {};
    publish.channel = publish.payload = "c";
    publish.channel_size = publish.payload_size = 1;
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_with(engine, &publish, sizeof publish));
    publish.next_field = 1;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_with(engine, &publish, sizeof publish));

    fanwire_publish_args many[3] = {publish, publish, publish};
    many[0].next_field = 0;
    std::size_t accepted = 0;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_many(engine, many, sizeof many[0], 3, &accepted));
    EXPECT_EQ(1u, accepted) << "each at the caller's own stride";

    fanwire_envelope envelope = {};
    std::size_t size = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_envelope_encode(&envelope, sizeof envelope, nullptr, &size));
    envelope.next_field = 1;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_encode(&envelope, sizeof envelope, nullptr, &size));

    fanwire_subscribe_args subscribing = {};
    subscribing.name = "c";
    subscribing.name_size = 1;
    subscribing.inbox = inbox;
    Subscription subscription;
    EXPECT_STATUS(FANWIRE_OK, fanwire_subscribe_with(subscription.out(), engine, &subscribing, sizeof subscribing));
    subscribing.next_field = 1;
    Subscription unknown;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT,
                  fanwire_subscribe_with(unknown.out(), engine, &subscribing, sizeof subscribing));

    fanwire_request_args asked = {};
    asked.channel = asked.payload = "c";
    asked.channel_size = asked.payload_size = 1;
    asked.inbox = inbox;
    fanwire_request* request = nullptr;
    asked.next_field = 1;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_request_open(&request, engine, &asked, sizeof asked));
    EXPECT_EQ(nullptr, request);
    asked.next_field = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_request_open(&request, engine, &asked, sizeof asked));
    fanwire_request_destroy(&request);
    fanwire_inbox_destroy(&inbox);
    fanwire_engine_destroy(&engine);
}

}  // namespace
}  // namespace capi_test
