// Requests and their replies, on memory://.
#include <map>

#include "asking.h"
#include "fanwire/fanwire.hpp"

namespace capi_test {
namespace {

Engine open_on(const std::string& url, Options::Settings settings = {}) {
    settings.emplace_back("url", url);
    Options options(settings);
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    return engine;
}

using Strings = std::vector<std::string>;

TEST(Request, GathersTheRepliesOfAll) {
    Engine asker = open_on("memory://gather"), a = open_on("memory://gather"), b = open_on("memory://gather");
    Responder one(a, "c", "a:"), two(b, "c", "b:"), own(asker, "c", "own:");
    Inbox inbox;
    int tag = 0;
    for (int round = 0; round < 3; ++round) {
        Request request;
        ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 0, deadline_ms, &tag));
        Seen done;
        EXPECT_EQ(replies(inbox, done), (Payloads{"a:q", "b:q", "own:q"}));
        EXPECT_EQ(FANWIRE_OK, done.status) << done.text;
        EXPECT_EQ(3u, done.count);
        EXPECT_EQ(0u, done.missing);
        EXPECT_EQ(0u, done.delay_ms);
        EXPECT_EQ(&tag, done.user_data);
    }
    EXPECT_TRUE(inbox.drain().empty());
}

TEST(Request, SaysHowManyAreMissing) {
    Engine asker = open_on("memory://partial"), a = open_on("memory://partial");
    Responder one(a, "c", "a:", 2);
    Inbox inbox;
    Request request;
    ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 5, 100));
    Seen done;
    EXPECT_EQ(replies(inbox, done), (Payloads{"a:q", "a:q"}));
    EXPECT_EQ(FANWIRE_TIMEOUT, done.status);
    EXPECT_EQ(2u, done.count);
    EXPECT_EQ(3u, done.missing);
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_request_cancel(request));
}

TEST(Request, OfNobodyEndsAtOnce) {
    Engine engine = open_engine();
    Inbox inbox;
    Request all, some;
    ASSERT_STATUS(FANWIRE_OK, ask(all, engine, "c", "q", inbox, 0, FANWIRE_FOREVER));
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_OK, done.status);
    EXPECT_EQ(0u, done.count + done.missing);
    ASSERT_STATUS(FANWIRE_OK, ask(some, engine, "c", "q", inbox, 2, FANWIRE_FOREVER));
    const Seen nobody = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_TIMEOUT, nobody.status);
    EXPECT_EQ(2u, nobody.missing);
}

TEST(Request, WithoutATimeHasThatOfAPublish) {
    Engine engine = open_on("memory://", {{"publish_timeout_ms", "30"}});
    Inbox inbox, silent;
    Subscription subscription = subscribe(engine, "c", silent);
    Request request;
    ASSERT_STATUS(FANWIRE_OK, ask(request, engine, "c", "q", inbox, 0, 0));
    EXPECT_EQ(FANWIRE_TIMEOUT, inbox.next(FANWIRE_EVENT_REQUEST_DONE).status);
}

// Whatever is published is what is received, and only a request is one.
TEST(Request, PayloadsStayAsTheyAre) {
    Engine a = open_on("memory://bytes"), b = open_on("memory://bytes");
    Inbox at_a, at_b, replies_inbox;
    Subscription of_a = subscribe(a, "c", at_a), of_b = psubscribe(b, "*", at_b), also_b = subscribe(b, "c", at_b);
    std::vector<std::string> payloads = {"",
                                         "x",
                                         std::string("\0", 1),
                                         std::string("\0fwr", 4),
                                         std::string("\0fwr\1\0", 6),
                                         std::string("\0fwr\1\1", 6) + std::string(40, '\2'),
                                         std::string("\0fwr\1\2", 6) + std::string(40, '\2'),
                                         std::string("\0fwr\2\1", 6) + std::string(40, '\2'),
                                         std::string(3000000, '\0')};
    for (const std::string& payload : payloads) {
        EXPECT_EQ(3u, publish_wait(a, "c", payload));
        Request request;
        ASSERT_STATUS(FANWIRE_OK, ask(request, a, "c", payload, replies_inbox, 3));
        for (Inbox* inbox : {&at_a, &at_b})
            for (int i = 0; i < (inbox == &at_a ? 2 : 4); ++i)
                EXPECT_TRUE(payload == inbox->next(FANWIRE_EVENT_MESSAGE).payload);
    }
}

// Also through the C++ face: what a message is, answering it, and answering what is none.
TEST(Request, InCpp) {
    fanwire::Engine engine(memory_url);
    fanwire::Inbox inbox, answers;
    const fanwire::Subscription subscription = engine.subscribe("c", inbox);
    subscription.wait_active();
    engine.publish("c", "plain");
    fanwire::Request request = engine.request("c", "q", answers, 2);
    fanwire::Message plain, asked;
    fanwire::Batch batch;
    while (!asked) {
        ASSERT_TRUE(inbox.wait(std::chrono::milliseconds(deadline_ms)));
        inbox.drain(batch);
        for (const fanwire::Event& event : batch)
            if (event.is_message()) (event.message().is_request() ? asked : plain) = event.message();
    }
    if (!plain) {
        ASSERT_TRUE(inbox.wait(std::chrono::milliseconds(deadline_ms)));
        inbox.drain(batch);
        for (const fanwire::Event& event : batch)
            if (event.is_message()) plain = event.message();
    }
    EXPECT_EQ("q", asked.payload());
    engine.reply(asked, "1");
    engine.reply(asked, "2");
    try {
        engine.reply(plain, "x");
        FAIL();
    } catch (const fanwire::Error& error) {
        EXPECT_EQ(FANWIRE_INVALID_ARGUMENT, error.status());
    }
    Strings got;
    std::uint64_t missing = 99;
    while (missing == 99) {
        ASSERT_TRUE(answers.wait(std::chrono::milliseconds(deadline_ms)));
        answers.drain(batch);
        for (const fanwire::Event& event : batch) {
            if (event.kind() == FANWIRE_EVENT_REPLY) got.emplace_back(event.payload());
            if (event.kind() == FANWIRE_EVENT_REQUEST_DONE) missing = event.missing();
        }
    }
    EXPECT_EQ(got, (Strings{"1", "2"}));
    EXPECT_EQ(0u, missing);
    EXPECT_TRUE(request);
    EXPECT_THROW(request.cancel(), fanwire::Error);
}

TEST(Request, MayBeCancelled) {
    Engine engine = open_engine();
    Inbox inbox, silent;
    Subscription subscription = subscribe(engine, "c", silent);
    Request request, other;
    ASSERT_STATUS(FANWIRE_OK, ask(request, engine, "c", "q", inbox, 0, FANWIRE_FOREVER));
    silent.next(FANWIRE_EVENT_MESSAGE);
    EXPECT_STATUS(FANWIRE_OK, fanwire_request_cancel(request));
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_UNSUBSCRIBED, done.status);
    EXPECT_EQ("cancelled", done.text);
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_request_cancel(request));
    ASSERT_STATUS(FANWIRE_OK, ask(other, engine, "c", "q", inbox, 0, FANWIRE_FOREVER));
    fanwire_request_destroy(other.out());
    EXPECT_EQ(nullptr, static_cast<fanwire_request*>(other));
    fanwire_request_destroy(other.out());
    fanwire_request_destroy(nullptr);
    EXPECT_EQ(FANWIRE_UNSUBSCRIBED, inbox.next(FANWIRE_EVENT_REQUEST_DONE).status);
    EXPECT_TRUE(inbox.drain().empty());
}

TEST(Request, EndsWithItsEngineAndItsInbox) {
    Engine engine = open_engine({{"max_requests", "1"}});
    Inbox inbox, silent;
    Subscription subscription = subscribe(engine, "c", silent);
    Request first, second;
    {
        Inbox gone;
        ASSERT_STATUS(FANWIRE_OK, ask(first, engine, "c", "q", gone, 0, FANWIRE_FOREVER));
        EXPECT_STATUS(FANWIRE_LIMIT_REACHED, ask(second, engine, "c", "q", inbox, 0, FANWIRE_FOREVER));
        EXPECT_NE(std::string::npos, std::string(fanwire_last_error()).find("max_requests"));
    }
    ASSERT_TRUE(until([&] { return ask(second, engine, "c", "q", inbox, 7, FANWIRE_FOREVER) == FANWIRE_OK; }));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, 0));
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_CLOSED, done.status);
    EXPECT_EQ(7u, done.missing);
    Request third;
    EXPECT_STATUS(FANWIRE_CLOSED, ask(third, engine, "c", "q", inbox));
    engine.reset();
    EXPECT_STATUS(FANWIRE_UNSUBSCRIBED, fanwire_request_cancel(second));
    EXPECT_TRUE(inbox.drain().empty());
}

TEST(Request, RepliesAreBoundedByTheInbox) {
    Engine engine = open_engine();
    Inbox small({{"inbox_count", "3"}});
    Responder responder(engine, "c", "", 10);
    Request request;
    ASSERT_STATUS(FANWIRE_OK, ask(request, engine, "c", "q", small, 10, FANWIRE_FOREVER));
    ASSERT_TRUE(until([&] { return small.stats().queued == 4; }));
    Seen done;
    EXPECT_EQ(replies(small, done).size(), 3u);
    EXPECT_EQ(FANWIRE_LIMIT_REACHED, done.status);
    EXPECT_EQ(3u, done.count);
    EXPECT_EQ(7u, done.missing);
    EXPECT_NE(std::string::npos, done.text.find("7")) << done.text;
    ASSERT_STATUS(FANWIRE_OK, ask(request, engine, "c", "q", small, 10, FANWIRE_FOREVER)) << "and again";
    ASSERT_TRUE(until([&] { return small.stats().queued == 4; }));
    EXPECT_EQ(replies(small, done).size(), 3u);
}

TEST(Request, RefusesWhatIsWrong) {
    Engine engine = open_engine({{"max_message_bytes", "10"}}), closed = open_engine();
    Inbox inbox;
    Subscription subscription = subscribe(engine, "c", inbox);
    Request request;
    EXPECT_STATUS(FANWIRE_INVALID_CHANNEL, ask(request, engine, "", "q", inbox));
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, ask(request, engine, "c", "12345678901", inbox));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, ask(request, engine, "c", "q", nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, ask(request, nullptr, "c", "q", inbox));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_request_open(request.out(), engine, nullptr, 0));
    fanwire_request_args args{};
    args.channel = "c";
    args.channel_size = 1;
    args.inbox = inbox;
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_request_open(nullptr, engine, &args, sizeof args));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_request_open(request.out(), engine, &args, sizeof args - 1));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_request_cancel(nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_reply(engine, nullptr, "x", 1));
    EXPECT_EQ(0, fanwire_message_is_request(nullptr));
    EXPECT_TRUE(inbox.drain().empty());

    ASSERT_STATUS(FANWIRE_OK, ask(request, engine, "c", "1234567890", inbox, 1, FANWIRE_FOREVER));
    fanwire_event event;
    std::size_t count = 0;
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_wait(inbox, deadline_ms));
    ASSERT_STATUS(FANWIRE_OK, fanwire_inbox_drain(inbox, &event, sizeof event, 1, &count));
    ASSERT_EQ(FANWIRE_EVENT_MESSAGE, event.kind);
    EXPECT_EQ(1, fanwire_message_is_request(event.message));
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, fanwire_reply(engine, event.message, "12345678901", 11));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(closed, deadline_ms));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_reply(closed, event.message, "x", 1));
    EXPECT_STATUS(FANWIRE_OK, fanwire_reply(engine, event.message, "1234567890", 10));
    EXPECT_STATUS(FANWIRE_OK, fanwire_events_release(&event, sizeof event, 1));
    EXPECT_EQ("1234567890", inbox.next(FANWIRE_EVENT_REPLY).payload);
    EXPECT_EQ(FANWIRE_OK, inbox.next(FANWIRE_EVENT_REQUEST_DONE).status);
}

// An engine without a namespace hears all of them, and its answers go where the question came from.
TEST(Request, IsAnsweredFromOutsideItsNamespace) {
    Engine asker = open_on("memory://outside"), all = open_on("memory://outside", {{"namespace", ""}});
    Responder responder(all, "ws:c", "outside:");
    Inbox inbox, overheard;
    Subscription everything = psubscribe(all, "*", overheard);
    Request request;
    ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 1));
    EXPECT_EQ("outside:q", inbox.next(FANWIRE_EVENT_REPLY).payload);
    EXPECT_EQ(FANWIRE_OK, inbox.next(FANWIRE_EVENT_REQUEST_DONE).status);
    EXPECT_EQ(2u, publish_wait(asker, "c", "last"));
    EXPECT_EQ("q", overheard.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_EQ("last", overheard.next(FANWIRE_EVENT_MESSAGE).payload) << "replies are nobody else's";
}

TEST(Request, WithoutAServerItEndsInTimeAndSaysWhy) {
    Options options({{"url", "unix:///nonexistent/fanwire"}}),
        fail({{"url", "unix:///nonexistent/fanwire"}, {"offline", "fail"}});
    Engine engine, failing;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(failing.out(), fail));
    Inbox inbox;
    Request request;
    ASSERT_STATUS(FANWIRE_OK, ask(request, engine, "c", "q", inbox, 0, 20));
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_TIMEOUT, done.status);
    EXPECT_EQ(FANWIRE_COUNT_UNKNOWN, done.missing);
    EXPECT_STATUS(FANWIRE_NOT_CONNECTED, ask(request, failing, "c", "q", inbox));
    EXPECT_TRUE(inbox.drain().empty());
}

// Many at once, from several threads, answered in any order: no reply goes to another request.
TEST(Request, ManyAtOnceDoNotMixUp) {
    Engine asker = open_on("memory://many"), a = open_on("memory://many"), b = open_on("memory://many");
    Responder one(a, "c", ""), two(b, "c", "");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            Inbox inbox;
            constexpr int count = 100;
            std::vector<Request> requests(count);
            for (int i = 0; i < count; ++i) {
                const std::string payload = std::to_string(t * count + i);
                EXPECT_STATUS(FANWIRE_OK,
                              ask(requests[static_cast<std::size_t>(i)], asker, "c", payload, inbox, 2, deadline_ms,
                                  reinterpret_cast<void*>(static_cast<std::uintptr_t>(t * count + i))));
            }
            std::map<void*, int> came;
            for (int done = 0; done < count;) {
                const Seen seen = inbox.next();
                if (seen.kind == FANWIRE_EVENT_REPLY) {
                    EXPECT_EQ(seen.payload, std::to_string(reinterpret_cast<std::uintptr_t>(seen.user_data)));
                    ++came[seen.user_data];
                } else {
                    ASSERT_EQ(FANWIRE_EVENT_REQUEST_DONE, seen.kind);
                    EXPECT_EQ(FANWIRE_OK, seen.status);
                    EXPECT_EQ(2, came[seen.user_data]);
                    ++done;
                }
            }
        });
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace capi_test
