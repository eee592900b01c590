// Requests and their replies through a running Redis, also across breaks and without rights.
#include "tests/capi/asking.h"
#include "tests/integration/support.h"

namespace integration_test {
namespace {

TEST(Request, GathersTheRepliesOfAllWhoReceivedIt) {
    RedisServer server;
    Engine asker = open_on(server.url()), a = open_on(server.url()), b = open_on(server.url());
    Responder one(a, "c", "a:"), two(b, "c", "b:"), own(asker, "c", "own:");
    Inbox inbox;
    const std::string binary("\0fwr\1\1\r\n", 8), large(3000000, 'x');
    for (const std::string& payload : {std::string("q"), std::string(), binary, large}) {
        Request request;
        ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", payload, inbox));
        Seen done;
        EXPECT_EQ(replies(inbox, done), (Payloads{"a:" + payload, "b:" + payload, "own:" + payload}));
        EXPECT_EQ(FANWIRE_OK, done.status) << done.text;
        EXPECT_EQ(3u, done.count);
        EXPECT_EQ(0u, done.missing);
    }
}

// What does not speak our frame sees it in front of the payload, counts as a receiver and does not answer.
TEST(Request, ForeignClientsSeeTheFrame) {
    RedisServer server;
    Engine asker = open_on(server.url()), a = open_on(server.url());
    Responder one(a, "c", "a:");
    RawClient foreign(server.port()), all(server.port());
    foreign.call({"SUBSCRIBE", "ws:c"});
    Inbox inbox, overheard;
    Engine everything = open_on(server.url(), {{"namespace", ""}});
    Subscription pattern = psubscribe(everything, "*", overheard);
    Request request;
    ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 2, 200));
    const std::string seen = foreign.reply();
    ASSERT_EQ(seen.substr(0, std::string("[message,ws:c,").size()), "[message,ws:c,");
    const std::string frame = seen.substr(14, seen.size() - 15);
    ASSERT_EQ(33u, frame.size());
    EXPECT_EQ(frame.substr(0, 8), std::string("\0fwr\1\1\0\3", 8));
    EXPECT_EQ(frame.back(), 'q');
    // It may answer by hand: the bytes are documented.
    std::string channel = "ws:__fanwire:reply:";
    for (const char byte : frame.substr(8, 16)) {
        channel += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
        channel += "0123456789abcdef"[byte & 15];
    }
    EXPECT_EQ("2", all.call({"PUBLISH", channel, std::string("\0fwr\1\2", 6) + frame.substr(24, 8) + "by hand"}));
    Seen done;
    EXPECT_EQ(replies(inbox, done), (Payloads{"a:q", "by hand"}));
    EXPECT_EQ(FANWIRE_OK, done.status);
    EXPECT_EQ(3u, publish(a, "c", "last"));  // a, the foreign one, and the pattern
    EXPECT_EQ("q", overheard.next(FANWIRE_EVENT_MESSAGE).payload);
    EXPECT_EQ("last", overheard.next(FANWIRE_EVENT_MESSAGE).payload) << "no pattern sees replies";
    // What is published as it is stays as it is for everybody but those who would take it for a frame.
    EXPECT_EQ("1", all.call({"PUBLISH", "other", std::string("\0fwr\1\1 short", 12)}));
    EXPECT_EQ(std::string("\0fwr\1\1 short", 12), overheard.next(FANWIRE_EVENT_MESSAGE).payload);
}

TEST(Request, ABreakLeavesWhatCameAndWhatIsMissing) {
    RedisServer server;
    const Options::Settings quick{{"reconnect_delay_ms", "5"}};
    Engine asker = open_on(server.url(), quick), a = open_on(server.url(), quick);
    Responder one(a, "c", "a:");
    Inbox inbox;
    Request request, again, during;
    ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 2, 1500));
    EXPECT_EQ("a:q", inbox.next(FANWIRE_EVENT_REPLY).payload);
    server.kill();
    server.start();
    ASSERT_TRUE(until([&] { return one.resumed.load(); }));
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_TIMEOUT, done.status);
    EXPECT_EQ(1u, done.count);
    EXPECT_EQ(1u, done.missing);
    // The reply channel is subscribed again.
    ASSERT_STATUS(FANWIRE_OK, ask(again, asker, "c", "again", inbox, 1));
    Seen end;
    EXPECT_EQ(replies(inbox, end), Payloads{"a:again"});
    EXPECT_EQ(FANWIRE_OK, end.status);
    // What is asked while there is no server is asked when there is one.
    one.resumed = false;
    server.kill();
    ASSERT_STATUS(FANWIRE_OK, ask(during, asker, "c", "during", inbox, 1));
    server.start();
    const Payloads late = replies(inbox, end);
    if (end.status == FANWIRE_OK) {
        EXPECT_EQ(late, Payloads{"a:during"});
    } else {  // we were back before the responder
        EXPECT_EQ(FANWIRE_TIMEOUT, end.status) << end.text;
        EXPECT_EQ(1u, end.missing);
    }
}

// In a break nobody would hear the replies: it is not even queued.
TEST(Request, IsNotPublishedBeforeItsRepliesCanCome) {
    RedisServer server;
    Inbox inbox, messages;
    Engine asker = open_on(server.url());
    Subscription other = subscribe(asker, "other", messages);
    Request first, request;
    ASSERT_STATUS(FANWIRE_OK, ask(first, asker, "nobody", "q", inbox));
    inbox.next(FANWIRE_EVENT_REQUEST_DONE);  // the reply channel is there
    server.kill();
    next_of(messages, FANWIRE_EVENT_LOST);
    const std::uint64_t before = stats_of(asker).published;
    ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 1, 50));
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_TIMEOUT, done.status);
    EXPECT_NE(std::string::npos, done.text.find("not confirmed")) << done.text;
    EXPECT_EQ(before, stats_of(asker).published);
}

// Whether the server has published it, nobody knows: it ends in time, and says so.
TEST(Request, WhoseOutcomeIsUnknownEndsInTime) {
    RedisServer server;
    Engine asker = open_on(server.url(), {{"reconnect_delay_ms", "5"}});
    Inbox inbox;
    Request first, request;
    ASSERT_STATUS(FANWIRE_OK, ask(first, asker, "nobody", "q", inbox));
    inbox.next(FANWIRE_EVENT_REQUEST_DONE);  // the reply channel is there
    server.pause();
    ASSERT_STATUS(FANWIRE_OK, ask(request, asker, "c", "q", inbox, 0, 600));
    fanwire_engine_stats before{}, stats{};
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(asker, &before, sizeof before));
    ASSERT_TRUE(until([&] {
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_stats_get(asker, &stats, sizeof stats));
        return stats.published > 1 && stats.publish_unsent == 0;
    }));
    server.kill();
    server.start();
    const Seen done = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
    EXPECT_EQ(FANWIRE_TIMEOUT, done.status);
    EXPECT_EQ(FANWIRE_COUNT_UNKNOWN, done.missing);
    EXPECT_NE(std::string::npos, done.text.find("the request itself")) << done.text;
}

TEST(Request, NeedsNoMoreRightsThanTheNamespace) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ("OK", admin.call({"ACL", "SETUSER", "app", "on", ">secret", "resetchannels", "-@all", "&ws:*", "+publish",
                                "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe", "+ping",
                                "+client|setname", "+info"}));
    ASSERT_EQ("OK", admin.call({"ACL", "SETUSER", "narrow", "on", ">secret", "resetchannels", "-@all", "&ws:c",
                                "+publish", "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe", "+ping",
                                "+client|setname", "+info"}));
    Engine app = open_on(server.url(), {{"username", "app"}, {"password", "secret"}}),
           narrow = open_on(server.url(), {{"username", "narrow"}, {"password", "secret"}});
    Responder responder(app, "c", "app:");
    Inbox inbox;
    Request request, forbidden, other;
    ASSERT_STATUS(FANWIRE_OK, ask(request, app, "c", "q", inbox));
    Seen done;
    EXPECT_EQ(replies(inbox, done), Payloads{"app:q"});
    EXPECT_EQ(FANWIRE_OK, done.status);
    for (int i = 0; i < 2; ++i) {
        ASSERT_STATUS(FANWIRE_OK, ask(forbidden, narrow, "c", "q", inbox));
        const Seen refused = inbox.next(FANWIRE_EVENT_REQUEST_DONE);
        EXPECT_EQ(FANWIRE_NO_PERMISSION, refused.status);
        EXPECT_NE(std::string::npos, refused.text.find("replies")) << refused.text;
    }
    ASSERT_EQ("OK", admin.call({"ACL", "SETUSER", "narrow", "&ws:__fanwire:reply:*"}));
    ASSERT_TRUE(until([&] {  // it is tried again after a second
        EXPECT_STATUS(FANWIRE_OK, ask(other, narrow, "c", "q", inbox, 1));
        Seen end;
        return replies(inbox, end).size() == 1;
    }));
}

}  // namespace
}  // namespace integration_test
