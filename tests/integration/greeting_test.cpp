// Servers and proxies that do not take the whole greeting.
#include "tests/integration/support.h"
#include "tests/support/fault_proxy.h"

namespace integration_test {
namespace {

using fanwire::test::FaultProxy;

const Options::Settings quick = {{"reconnect_delay_ms", "1"}, {"max_reconnect_delay_ms", "20"}};

Engine open_quietly(const std::string& url, const Options::Settings& settings, Inbox& events) {
    Options options(settings);
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", url.c_str()));
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, events, nullptr));
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    return engine;
}

// A proxy that closes at a command it does not know is used without that command.
TEST(Greeting, AProxyThatClosesAtWhatIsOptional) {
    for (const char* word : {"CLIENT", "INFO"}) {
        SCOPED_TRACE(word);
        RedisServer server;
        FaultProxy proxy(server.port());
        proxy.close_new_at(word);
        Inbox inbox, events;
        Engine engine = open_quietly(proxy.url(), quick, events);
        const Seen error = events.next(FANWIRE_EVENT_ERROR);
        EXPECT_EQ(error.status, FANWIRE_CONNECTION_LOST);
        EXPECT_TRUE(error.will_reconnect);
        EXPECT_NE(error.text.find(std::string(" at ") + (*word == 'C' ? "CLIENT SETNAME" : "INFO")), std::string::npos)
            << error.text;
        next_of(events, FANWIRE_EVENT_CONNECTED);
        Subscription sub = subscribe(engine, "chat", inbox);
        EXPECT_EQ(publish(engine, "chat", "hello"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "hello");
        // Later connections come about as well, whichever way they are greeted.
        for (int i = 0; i < 3; ++i) {
            proxy.end();
            inbox.next(FANWIRE_EVENT_LOST);
            inbox.next(FANWIRE_EVENT_GAP);
            inbox.next(FANWIRE_EVENT_RESUMED);
            next_of(events, FANWIRE_EVENT_CONNECTED);
        }
        const std::uint64_t ended = proxy.counts().ended;
        proxy.end();
        inbox.next(FANWIRE_EVENT_LOST);
        next_of(inbox, FANWIRE_EVENT_RESUMED);
        next_of(events, FANWIRE_EVENT_CONNECTED);
        EXPECT_EQ(proxy.counts().ended, ended + 2) << "by then it is known: nothing was closed but by this test";
    }
}

// Who says so from the start meets no error.
TEST(Greeting, NeitherIsSentWhenTheSettingsSayNo) {
    RedisServer server;
    for (const char* word : {"CLIENT", "INFO"}) {
        FaultProxy proxy(server.port());
        proxy.close_new_at(word);
        Inbox events;
        Options::Settings settings = quick;
        settings.insert(settings.end(), {{"client_name", ""}, {"server_info", "false"}});
        Engine engine = open_quietly(proxy.url(), settings, events);
        events.next(FANWIRE_EVENT_CONNECTED);
        EXPECT_EQ(proxy.counts().ended, 0u);
    }
}

TEST(Greeting, APasswordThatEndsInANewline) {
    RedisServer server;
    RawClient(server.port()).call({"CONFIG", "SET", "requirepass", "hunter2"});
    setenv("FANWIRE_PASSWORD", "hunter2\n", 1);
    Inbox events;
    Engine engine = open_quietly(server.url(), quick, events);
    unsetenv("FANWIRE_PASSWORD");
    const Seen error = events.next(FANWIRE_EVENT_ERROR);
    EXPECT_EQ(error.status, FANWIRE_AUTH_FAILED);
    EXPECT_NE(error.text.find("the password ends in white space"), std::string::npos) << error.text;
    EXPECT_EQ(error.text.find("hunter2"), std::string::npos) << error.text;
}

}  // namespace
}  // namespace integration_test
