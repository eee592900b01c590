// The first words on a connection, and what is made of their answers.
#include "core/protocol/handshake.h"

#include <gtest/gtest.h>

#include <string>

namespace fanwire::core {
namespace {

using Progress = Handshake::Progress;

struct HandshakeTest : testing::Test {
    // The answers one by one, until it is done or has failed.
    Progress answer(const std::string& bytes) {
        reader.feed(bytes);
        Progress progress = Progress::more;
        while (progress == Progress::more && reader.next() == ReplyReader::Result::reply)
            progress = handshake.reply(reader.reply());
        return progress;
    }
    void start() {
        std::string out;
        handshake.start(out);
    }
    static std::string bulk(const std::string& text) {
        return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    }

    ReplyReader reader;
    // The same handshake as another one, from its beginning.
    void replace(HandshakeConfig config, const std::string& password) {
        login.set("", password);
        handshake = Handshake(std::move(config), session);
    }
    Login login{{"", "first1"}};
    Login::Session session{login};
    Handshake handshake{{"", 0, true}, session};
};

TEST(ServerStats, FieldsStandAtTheBeginningOfALine) {
    const ServerStats stats = ServerStats::parse(
        "# Stats\r\nnot_total_connections_received:1\r\ntotal_connections_received_too:2\r\n"
        "total_connections_received:3\r\nold_client_output_buffer_limit_disconnections:4\r\n");
    EXPECT_EQ(stats.connections, 3u);
    EXPECT_FALSE(stats.output_buffer_kills);
    EXPECT_EQ(ServerStats::parse("total_connections_received:7").connections, 7u);
    EXPECT_FALSE(ServerStats::parse("total_connections_received:x").connections);
}

TEST_F(HandshakeTest, WhatAFormerServerSaidOfItselfIsForgotten) {
    start();
    EXPECT_EQ(answer("+OK\r\n" + bulk("total_connections_received:3\r\n") + "+PONG\r\n"), Progress::done);
    EXPECT_EQ(handshake.stats().connections, 3u);
    start();
    EXPECT_EQ(answer("+OK\r\n-NOPERM no INFO\r\n+PONG\r\n"), Progress::done);
    EXPECT_FALSE(handshake.stats().connections);
}

TEST_F(HandshakeTest, ThePasswordThatWasSentStaysUntoldWhenThereIsAnother) {
    start();
    login.set("", "second2");
    EXPECT_EQ(answer("-ERR first1 is not a password\r\n"), Progress::failed);
    EXPECT_EQ(handshake.error().status, Status::AUTH_FAILED);
    EXPECT_EQ(handshake.error().text.find("first1"), std::string::npos) << handshake.error().text;
}

TEST_F(HandshakeTest, OfAServerThatDoesNotKnowAuthNothingIsRepeated) {
    start();
    EXPECT_EQ(answer("-ERR unknown command `AUTH`, with args beginning with: `fir`\r\n"), Progress::failed);
    EXPECT_EQ(handshake.error().text, "AUTH: the server does not accept the command");
}

// White space at the ends of a password comes from files and variables, and nobody sees it.
TEST(HandshakeTexts, WhatDoesNotShowInAPasswordThatWasRefused) {
    struct {
        const char* password;
        const char* says;
    } const cases[] = {
        {"hunter2\n", "the password ends in white space, a newline"},
        {"hunter2\r\n", "the password ends in white space"},
        {"hunter2 ", "the password ends in white space"},
        {"hunter2\t", "the password ends in white space"},
        {"\nhunter2", "the password begins with white space"},
        {" hunter2", "the password begins with white space"},
        {"\xEF\xBB\xBFhunter2", "the password begins with a byte order mark"},
        {"\"hunter2\"", "the password stands in quotes"},
        {"'hunter2'", "the password stands in quotes"},
        {"\n", "the password ends in white space"},
    };
    for (const char* reply :
         {"WRONGPASS invalid username-password pair or user is disabled.",
          "NOAUTH HELLO must be called with the client already authenticated", "ERR invalid password"}) {
        for (const auto& one : cases) {
            const Error error = auth_error(reply, one.password);
            EXPECT_EQ(error.status, Status::AUTH_FAILED);
            EXPECT_NE(error.text.find(one.says), std::string::npos) << error.text;
            EXPECT_EQ(error.text.find("hunter2"), std::string::npos) << error.text;
        }
        for (const char* plain : {"hunter2", "hunter 2", "", "\"", "'hunter2\"", "hunter2'"})
            EXPECT_EQ(auth_error(reply, plain).text, std::string("AUTH: ") + reply) << plain;
    }
}

// ---- What is optional ---------------------------------------------------------------------------------------------

struct GreetingTest : HandshakeTest {
    GreetingTest() { replace({"worker", 2, true}, "secret"); }
    std::string greeting() {
        std::string out;
        handshake.start(out);
        reader.reset();
        return out;
    }
    static bool has(const std::string& text, const char* what) { return text.find(what) != std::string::npos; }
    bool full() {
        const std::string sent = greeting();
        EXPECT_EQ(has(sent, "SETNAME"), has(sent, "INFO"));
        EXPECT_TRUE(has(sent, "AUTH") && has(sent, "SELECT") && has(sent, "PING"));
        return has(sent, "SETNAME");
    }
    void succeed(bool in_full) {
        EXPECT_EQ(answer(std::string("+OK\r\n+OK\r\n") + (in_full ? "+OK\r\n$0\r\n\r\n" : "") + "+PONG\r\n"),
                  Progress::done);
    }
    std::string close() {
        return handshake.closed({Status::CONNECTION_LOST, "h:1 closed the connection; perhaps it speaks TLS"}).text;
    }
};

TEST_F(GreetingTest, WithoutANameOrInfoTheyAreNotSent) {
    replace({"", 0, false}, "");
    EXPECT_EQ(greeting(), "*1\r\n$4\r\nPING\r\n");
    EXPECT_EQ(close(), "h:1 closed the connection at PING; perhaps it speaks TLS");
    EXPECT_EQ(greeting(), "*1\r\n$4\r\nPING\r\n");
}

TEST_F(GreetingTest, ACloseNamesTheCommandThatWasNotAnswered) {
    const char* const names[] = {" at AUTH;", " at SELECT;", " at CLIENT SETNAME;", " at INFO;", " at PING;"};
    const char* const replies[] = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "$0\r\n\r\n"};
    for (int answered = 0; answered < 5; ++answered) {
        replace({"worker", 2, true}, "secret");
        greeting();
        for (int i = 0; i < answered; ++i) EXPECT_EQ(answer(replies[i]), Progress::more);
        const std::string text = close();
        EXPECT_TRUE(text.starts_with("h:1 closed the connection at ")) << text;
        EXPECT_TRUE(has(text, names[answered])) << text;
        EXPECT_TRUE(has(text, "without CLIENT SETNAME and INFO")) << text;
        EXPECT_TRUE(text.ends_with("; perhaps it speaks TLS")) << text;
        EXPECT_FALSE(full());
    }
}

TEST_F(GreetingTest, AfterACloseTheOptionalIsLeftOutAndThenTriedOnceMore) {
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(full());
        close();
        EXPECT_FALSE(full());
        succeed(false);
    }
    // Twice it was that: it is so.
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(full());
        succeed(false);
    }
    EXPECT_FALSE(full());
    EXPECT_TRUE(has(close(), " at AUTH; perhaps"));
    EXPECT_FALSE(full());
}

// Servers that are being restarted close greetings as well.
TEST_F(GreetingTest, OneThatIsClosedWithoutTheOptionalWasNotClosedForIt) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(full());
        close();
        EXPECT_FALSE(full());
        EXPECT_FALSE(has(close(), "without CLIENT SETNAME"));
    }
    EXPECT_TRUE(full());
    succeed(true);
    EXPECT_TRUE(full());
}

TEST_F(GreetingTest, OneThatSucceedsInFullForgetsWhatWasBefore) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(full());
        close();
        EXPECT_FALSE(full());
        succeed(false);
        EXPECT_TRUE(full());
        succeed(true);
    }
}

// Of a group only the master will do.
TEST_F(HandshakeTest, OnlyAMasterIsTakenWhereTheRoleIsAsked) {
    const std::string before = "+OK\r\n", after = "+PONG\r\n";
    const std::string address = bulk("10.0.0.1") + ":6379\r\n";
    const auto begin = [&] {
        replace({"", 0, false, true}, "first1");
        std::string out;
        handshake.start(out);
        EXPECT_NE(out.find("ROLE"), std::string::npos);
    };
    for (const std::string& good : {"*3\r\n" + bulk("master") + ":0\r\n*0\r\n", std::string("-NOPERM no ROLE\r\n"),
                                    std::string("-ERR unknown command 'ROLE'\r\n"), std::string("*0\r\n")}) {
        begin();
        EXPECT_EQ(answer(before + good + after), Progress::done) << good;
    }
    for (const char* name : {"slave", "replica"}) {
        begin();
        EXPECT_EQ(answer(before + "*5\r\n" + bulk(name) + address + bulk("connected") + ":1\r\n"), Progress::failed);
        EXPECT_EQ(handshake.error().status, Status::NOT_MASTER);
        EXPECT_EQ(handshake.error().text, "the server is a replica of 10.0.0.1:6379, not the master");
        reader.reset();
    }
    begin();
    EXPECT_EQ(answer(before + "*2\r\n" + bulk("sentinel") + "*0\r\n"), Progress::failed);
    EXPECT_EQ(handshake.error().status, Status::WRONG_SERVER);
}

}  // namespace
}  // namespace fanwire::core
