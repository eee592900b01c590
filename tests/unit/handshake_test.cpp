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
    Handshake handshake{{"", "first1", "", 0, true}};
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
    handshake.set_credentials("", "second2");
    EXPECT_EQ(answer("-ERR first1 is not a password\r\n"), Progress::failed);
    EXPECT_EQ(handshake.error().status, Status::AUTH_FAILED);
    EXPECT_EQ(handshake.error().text.find("first1"), std::string::npos) << handshake.error().text;
}

TEST_F(HandshakeTest, OfAServerThatDoesNotKnowAuthNothingIsRepeated) {
    start();
    EXPECT_EQ(answer("-ERR unknown command `AUTH`, with args beginning with: `fir`\r\n"), Progress::failed);
    EXPECT_EQ(handshake.error().text, "AUTH: the server does not accept the command");
}

}  // namespace
}  // namespace fanwire::core
