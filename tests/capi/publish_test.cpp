#include "support.h"

namespace capi_test {
namespace {

TEST(Publish, ReceiversAreCountedAsRedisDoes) {
    Engine engine = open_engine();
    Inbox one, two, three, four, five;
    EXPECT_EQ(0u, publish_wait(engine, "news", "x")) << "nobody is there";
    Subscription exact = subscribe(engine, "news", one);
    EXPECT_EQ(1u, publish_wait(engine, "news", "x"));
    Subscription again = subscribe(engine, "news", two);
    EXPECT_EQ(1u, publish_wait(engine, "news", "x")) << "one Redis subscription for both";
    Subscription pattern = psubscribe(engine, "n*", three), same = psubscribe(engine, "n*", four);
    EXPECT_EQ(2u, publish_wait(engine, "news", "x"));
    Subscription second = psubscribe(engine, "*s", five);
    EXPECT_EQ(3u, publish_wait(engine, "news", "x"));
    EXPECT_EQ(1u, publish_wait(engine, "nobody", "x")) << "n*";
}

TEST(Publish, AsyncGivesOneOutcome) {
    Engine engine = open_engine();
    Inbox inbox, outcomes;
    Subscription subscription = subscribe(engine, "a", inbox);
    int tags[3];
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "1", outcomes, &tags[0]));
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "nobody", "2", outcomes, &tags[1]));
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "3", outcomes, &tags[2]));
    const std::uint64_t receivers[] = {1, 0, 1};
    for (int i = 0; i < 3; ++i) {
        const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(FANWIRE_OK, outcome.status);
        EXPECT_EQ(&tags[i], outcome.user_data);
        EXPECT_EQ(receivers[i], outcome.count);
        EXPECT_EQ("", outcome.text);
    }
    EXPECT_EQ("1", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_EQ("3", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_EQ(0u, outcomes.drain().size()) << "exactly one for each";
}

fanwire_publish_args args_of(std::string_view channel, std::string_view payload) {
    fanwire_publish_args args{};
    args.channel = channel.data();
    args.channel_size = channel.size();
    args.payload = payload.data();
    args.payload_size = payload.size();
    return args;
}

TEST(Publish, WithArguments) {
    Engine engine = open_engine();
    Inbox inbox, outcomes;
    Subscription subscription = subscribe(engine, "a", inbox);
    int tag = 0;
    fanwire_publish_args args = args_of("a", "1");
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish_with(engine, &args, sizeof args));
    EXPECT_EQ("1", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    args = args_of("a", "2");
    args.timeout_ms = FANWIRE_FOREVER;
    args.inbox = outcomes;
    args.user_data = &tag;
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish_with(engine, &args, sizeof args));
    EXPECT_EQ("2", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    const Seen outcome = outcomes.next(FANWIRE_EVENT_PUBLISHED);
    EXPECT_EQ(FANWIRE_OK, outcome.status);
    EXPECT_EQ(1u, outcome.count);
    EXPECT_EQ(&tag, outcome.user_data);

    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_with(engine, nullptr, sizeof args));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_with(engine, &args, sizeof args - 1));
    args.channel_size = 0;
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, fanwire_publish_with(engine, &args, sizeof args));
    args.channel = nullptr;
    args.channel_size = 1;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_with(engine, &args, sizeof args));

    struct {
        fanwire_publish_args args;
        uint64_t fields[2];  // the last of them also beyond a library that has one field more
    } later{args_of("a", "3"), {0, 0}};
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_with(engine, &later.args, sizeof later)) << "nothing new is asked for";
    later.fields[1] = 1;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_with(engine, &later.args, sizeof later));
    EXPECT_EQ("3", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_EQ(0u, outcomes.drain().size());
    EXPECT_EQ(0u, inbox.drain().size() - 1) << "ENDED only";
}

TEST(Publish, ManyAtOnce) {
    Engine engine = open_engine();
    Inbox inbox, outcomes, others;
    Subscription subscription = subscribe(engine, "a", inbox);
    std::vector<std::string> payloads;
    for (int i = 0; i < 200; ++i) payloads.push_back(std::to_string(i));
    std::vector<fanwire_publish_args> all;
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        all.push_back(args_of("a", payloads[i]));
        if (i % 3 != 2) all.back().inbox = i % 3 == 0 ? outcomes : others;
        all.back().user_data = &payloads[i];
    }
    std::size_t accepted = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish_many(engine, all.data(), sizeof all[0], all.size(), &accepted));
    EXPECT_EQ(200u, accepted);
    for (const std::string& payload : payloads) EXPECT_EQ(payload, inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        if (i % 3 == 2) continue;
        const Seen outcome = (i % 3 == 0 ? outcomes : others).next(FANWIRE_EVENT_PUBLISHED);
        EXPECT_EQ(FANWIRE_OK, outcome.status);
        EXPECT_EQ(&payloads[i], outcome.user_data);
    }

    all[100].channel_size = 0;  // those before it are published, and nothing behind it
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL,
                  fanwire_publish_many(engine, all.data(), sizeof all[0], all.size(), &accepted));
    EXPECT_EQ(100u, accepted);
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(payloads[i], inbox.next(FANWIRE_EVENT_MESSAGE).payload);
    all[0].channel = nullptr;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT,
                  fanwire_publish_many(engine, all.data(), sizeof all[0], all.size(), nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_many(engine, all.data(), 8, 1, &accepted));
    EXPECT_EQ(0u, accepted);
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_many(engine, nullptr, sizeof all[0], 1, &accepted));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_publish_many(nullptr, all.data(), sizeof all[0], 1, &accepted));
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_many(engine, nullptr, 0, 0, &accepted)) << "nothing is asked for";
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_publish_many(engine, all.data() + 1, sizeof all[0], 3, &accepted));
    EXPECT_EQ(0u, accepted);
    EXPECT_EQ(67u, outcomes.drain().size() + others.drain().size()) << "of the hundred, two of three asked for theirs";
}

TEST(Publish, ManyStopWhereTheQueueIsFull) {
    Options options{{"url", "redis://127.0.0.1:1"}, {"offline_count", "70"}};
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    Inbox outcomes;
    std::vector<fanwire_publish_args> all(100, args_of("a", "x"));
    for (fanwire_publish_args& args : all) args.inbox = outcomes;
    std::size_t accepted = 0;
    EXPECT_STATUS(FANWIRE_QUEUE_FULL, fanwire_publish_many(engine, all.data(), sizeof all[0], all.size(), &accepted));
    EXPECT_EQ(70u, accepted);
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_close(engine, 0));
    EXPECT_EQ(70u, outcomes.drain().size()) << "one outcome for each that was accepted";
}

TEST(Publish, WhatIsPutOffArrivesInOrder) {
    for (const char* buffer : {"64MiB", "200", "1"}) {
        SCOPED_TRACE(buffer);
        Engine engine = open_engine({{"max_flush_delay_us", "4000"}, {"publish_buffer_bytes", buffer}});
        Inbox inbox{{"inbox_count", "1000000"}};
        Subscription subscription = subscribe(engine, "a", inbox);
        constexpr int count = 3000;
        std::uint64_t refused = 0;
        for (int i = 0; i < count; ++i) {
            const std::string payload = std::to_string(i);
            ASSERT_TRUE(until([&] {
                const int status = publish(engine, "a", payload);
                if (status == FANWIRE_QUEUE_FULL) ++refused;
                return status == FANWIRE_OK;
            }));
        }
        for (int i = 0; i < count; ++i) ASSERT_EQ(std::to_string(i), inbox.next(FANWIRE_EVENT_MESSAGE).payload);
        EXPECT_EQ(refused, stats_of(engine).publish_rejected);
    }
}

TEST(Publish, CloseWritesWhatIsPutOff) {
    for (int repeat = 0; repeat < 20; ++repeat) {
        Engine engine = open_engine({{"max_flush_delay_us", "4000"}});
        Inbox outcomes;
        constexpr std::size_t count = 300;
        for (std::size_t i = 0; i < count; ++i) ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "x", outcomes));
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
        const std::vector<Seen> all = outcomes.drain();
        ASSERT_EQ(count, all.size());
        for (const Seen& outcome : all) EXPECT_EQ(FANWIRE_OK, outcome.status);
    }
}

TEST(Publish, RefusedOnesHaveNoOutcome) {
    Engine engine = open_engine({{"max_message_bytes", "4"}});
    Inbox outcomes;
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, publish_async(engine, "a", "12345", outcomes));
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, publish_async(engine, "", "1", outcomes));
    ASSERT_STATUS(FANWIRE_OK, publish_async(engine, "a", "1234", outcomes, &outcomes));
    EXPECT_EQ(&outcomes, outcomes.next(FANWIRE_EVENT_PUBLISHED).user_data);
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_EQ(0u, outcomes.drain().size());
    EXPECT_EQ(1u, stats_of(engine).published);
}

TEST(Publish, MessageOverTheLimit) {
    Engine engine = open_engine({{"max_message_bytes", "10"}});
    EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "0123456789"));
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, publish(engine, "a", "0123456789x"));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "11")) << fanwire_last_error();
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "max_message_bytes")) << fanwire_last_error();
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, fanwire_publish_wait(engine, "a", 1, "0123456789x", 11, 0, nullptr));
    EXPECT_EQ(1u, stats_of(engine).published);
}

TEST(Publish, ChannelEmptyOrTooLong) {
    Engine engine = open_engine();
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, publish(engine, "", "x"));
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, fanwire_publish(engine, nullptr, 0, "x", 1));
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, publish(engine, std::string(1025, 'c'), "x"));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "1024")) << fanwire_last_error();
    EXPECT_STATUS(FANWIRE_OK, publish(engine, std::string(1024, 'c'), "x"));

    Engine strict = open_engine({{"channel_rules", "strict"}});
    EXPECT_STATUS(FANWIRE_OK, publish(strict, "room:1_a.b-C", "x"));
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, publish(strict, "room 1", "x"));
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, publish(strict, std::string(257, 'c'), "x"));
}

TEST(Publish, WaitWithoutReceivers) {
    Engine engine = open_engine();
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_wait(engine, "a", 1, "b", 1, FANWIRE_FOREVER, nullptr));
}

TEST(Publish, BinaryChannelsAndPayloads) {
    Engine engine = open_engine();
    Inbox inbox;
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
    const std::string channel("with\0nul\r\n\xff", 11);
    Subscription exact = subscribe(engine, channel, inbox);
    EXPECT_EQ(0u, publish_wait(engine, "with", "not this one"));
    for (const std::string& payload : {every_byte, std::string(), std::string(1, '\0'), std::string("\r\n")}) {
        EXPECT_EQ(1u, publish_wait(engine, channel, payload));
        const Seen message = inbox.next(FANWIRE_EVENT_MESSAGE);
        EXPECT_EQ(channel, message.channel);
        EXPECT_EQ(payload, message.payload);
    }
}

TEST(Publish, EmptyPayloadHasAPointer) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "a", 1, nullptr, 0));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    fanwire_event event;
    std::size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    ASSERT_EQ(1u, count);
    ASSERT_NE(nullptr, event.payload) << "empty is not absent";
    EXPECT_EQ('\0', event.payload[0]);
    EXPECT_EQ(0u, event.payload_size);
    fanwire_message_release(event.message);
}

TEST(Publish, LargeMessages) {
    Engine engine = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "a", inbox);
    std::string payload(16 << 20, 'x');  // the default limit
    payload.front() = '<';
    payload.back() = '>';
    EXPECT_EQ(1u, publish_wait(engine, "a", payload));
    EXPECT_TRUE(payload == inbox.next(FANWIRE_EVENT_MESSAGE).payload);
}

TEST(Publish, EnginesKnowNothingOfEachOther) {
    Engine one = open_engine(), two = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(one, "a", inbox);
    EXPECT_EQ(0u, publish_wait(two, "a", "on another bus"));
    EXPECT_EQ(1u, publish_wait(one, "a", "here"));
    EXPECT_EQ("here", inbox.next(FANWIRE_EVENT_MESSAGE).payload);
}

// The limit of outcomes that wait is 2^20.
TEST(Publish, ARefusedOneKeepsNoPlaceForItsOutcome) {
    Engine engine = open_engine({{"publish_buffer_bytes", "1GiB"}});
    Inbox inbox;
    const int limit = 1 << 20, refused = 32;
    for (int i = 0; i < limit - refused; ++i)
        ASSERT_EQ(FANWIRE_OK, fanwire_publish_async(engine, "a", 1, "x", 1, inbox, nullptr));
    for (int i = 0; i < refused; ++i) EXPECT_EQ(FANWIRE_INVALID_CHANNEL, publish_async(engine, "", "x", inbox));
    for (int i = 0; i < refused; ++i) EXPECT_STATUS(FANWIRE_OK, publish_async(engine, "a", "x", inbox));
    EXPECT_STATUS(FANWIRE_QUEUE_FULL, publish_async(engine, "a", "x", inbox));
}

}  // namespace
}  // namespace capi_test
