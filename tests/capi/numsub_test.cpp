// How many subscribers channels have, on memory://.
#include <cstring>

#include "asking.h"
#include "fanwire/fanwire.hpp"

namespace capi_test {
namespace {

Engine on_bus(const char* url, const Options::Settings& settings = {}) {
    Options options(settings);
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", url));
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    return engine;
}

TEST(Numsub, CountsEachEngineOnceAndNoPatterns) {
    Engine a = on_bus("memory://numsub"), b = on_bus("memory://numsub"), alone = open_engine();
    Inbox inbox;
    const std::string binary("b\0b", 3);
    Subscription x = subscribe(a, "x", inbox), again = subscribe(a, "x", inbox), other = subscribe(b, "x", inbox),
                 pattern = psubscribe(b, "*", inbox), bytes = subscribe(b, binary, inbox);
    EXPECT_EQ(numsub(a, {"x", "y", binary, "x"}), (Counts{2, 0, 1, 2}));
    EXPECT_EQ(numsub(alone, {"x"}), Counts{0});
    EXPECT_EQ(numsub(a, {}), Counts{});
}

TEST(Numsub, IsOneEvent) {
    Engine engine = open_engine();
    Inbox inbox, numbers;
    Subscription x = subscribe(engine, "x", inbox);
    int tag = 0;
    ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"y", "x"}, numbers, &tag));
    const Seen seen = numbers.next(FANWIRE_EVENT_NUMSUB);
    EXPECT_EQ(FANWIRE_OK, seen.status);
    EXPECT_EQ(&tag, seen.user_data);
    EXPECT_EQ(2u, seen.count);
    Counts counts(2);
    ASSERT_EQ(16u, seen.payload.size());
    std::memcpy(counts.data(), seen.payload.data(), 16);
    EXPECT_EQ(counts, (Counts{0, 1}));
    EXPECT_EQ("", seen.text);
    EXPECT_TRUE(numbers.drain().empty());
}

TEST(Numsub, RefusesWhatIsWrong) {
    Engine engine = open_engine({{"max_requests", "1"}});
    Inbox inbox;
    const Names names(std::vector<std::string>(1025, "c"));
    Counts counts(1025, 99);
    const char* const* data = names.data.data();
    const std::size_t* sizes = names.sizes.data();
    EXPECT_STATUS(FANWIRE_OK, fanwire_numsub(engine, data, sizes, 1024, counts.data(), deadline_ms));
    counts.assign(1025, 99);
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_numsub(engine, data, sizes, 1025, counts.data(), deadline_ms));
    EXPECT_NE(std::string::npos, std::string(fanwire_last_error()).find("1024"));
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_numsub_async(engine, data, sizes, SIZE_MAX, inbox, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_numsub(nullptr, data, sizes, 1, counts.data(), 0));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_numsub(engine, nullptr, sizes, 1, counts.data(), 0));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_numsub(engine, data, nullptr, 1, counts.data(), 0));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_numsub(engine, data, sizes, 1, nullptr, 0));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_numsub_async(engine, data, sizes, 1, nullptr, nullptr));
    const Names empty({"fine", ""});
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL,
                  fanwire_numsub(engine, empty.data.data(), empty.sizes.data(), 2, counts.data(), deadline_ms));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_numsub(engine, data, sizes, 1, counts.data(), deadline_ms));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_numsub_async(engine, data, sizes, 1, inbox, nullptr));
    EXPECT_TRUE(inbox.drain().empty());
    EXPECT_EQ(counts, Counts(1025, 99));
}

// Nobody there, who would answer.
TEST(Numsub, WithoutAServerItEndsInTimeAndSaysSo) {
    Options options({{"url", "unix:///nonexistent/fanwire"}, {"publish_timeout_ms", "50"}, {"max_requests", "2"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    const Names names({"x"});
    std::uint64_t count = 99;
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_numsub(engine, names.data.data(), names.sizes.data(), 1, &count, 20));
    EXPECT_NE(std::string::npos, std::string(fanwire_last_error()).find("no connection")) << fanwire_last_error();
    Inbox inbox;
    ASSERT_STATUS(FANWIRE_OK, numsub_async(engine, {"x"}, inbox));
    const Seen seen = inbox.next(FANWIRE_EVENT_NUMSUB);
    EXPECT_EQ(FANWIRE_TIMEOUT, seen.status);
    EXPECT_EQ("", seen.payload);
    EXPECT_NE(std::string::npos, seen.text.find("no connection")) << seen.text;
}

TEST(Numsub, OpenQuestionsAreLimitedAndEndWithTheEngine) {
    Options options({{"url", "unix:///nonexistent/fanwire"}, {"max_requests", "2"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    Inbox inbox;
    const auto ask = [&] { return numsub_async(engine, {"x"}, inbox); };
    ASSERT_STATUS(FANWIRE_OK, ask());
    ASSERT_STATUS(FANWIRE_OK, ask());
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, ask());
    EXPECT_NE(std::string::npos, std::string(fanwire_last_error()).find("max_requests"));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, 0));
    for (int i = 0; i < 2; ++i) EXPECT_EQ(FANWIRE_CLOSED, inbox.next(FANWIRE_EVENT_NUMSUB).status);
    EXPECT_TRUE(inbox.drain().empty());
}

TEST(Numsub, AnsweredQuestionsNoLongerCount) {
    Engine engine = open_engine({{"publish_buffer_bytes", "65536"}});
    const std::vector<std::string> long_names(20, std::string(1000, 'c'));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(numsub(engine, long_names), Counts(20, 0));
}

TEST(Numsub, OfflineFailDoesNotWait) {
    Options options({{"url", "unix:///nonexistent/fanwire"}, {"offline", "fail"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    const Names names({"x"});
    std::uint64_t count = 0;
    EXPECT_STATUS(FANWIRE_NOT_CONNECTED,
                  fanwire_numsub(engine, names.data.data(), names.sizes.data(), 1, &count, deadline_ms));
}

TEST(Numsub, InCpp) {
    fanwire::Engine engine(memory_url);
    const fanwire::Inbox inbox;
    const fanwire::Subscription x = engine.subscribe("x", inbox);
    x.wait_active();
    EXPECT_EQ(engine.numsub({"x", "y"}), (Counts{1, 0}));
    fanwire::Inbox numbers;
    engine.numsub_async({"y", "x"}, numbers);
    numbers.wait();
    fanwire::Batch batch;
    numbers.drain(batch);
    ASSERT_EQ(1u, batch.size());
    EXPECT_EQ((*batch.begin()).counts(), (Counts{0, 1}));
}

}  // namespace
}  // namespace capi_test
