// The reader of replies: every type, every split, every kind of garbage.
#include "core/protocol/reply.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/heap.h"

namespace fanwire::core {
namespace {

// A reply as text, for comparison.
std::string show(const Reply& reply) {
    switch (reply.type()) {
        case ReplyType::string:
            return "'" + std::string(reply.text()) + "'";
        case ReplyType::status:
            return "+" + std::string(reply.text());
        case ReplyType::error:
            return "-" + std::string(reply.text());
        case ReplyType::integer:
            return std::to_string(reply.integer());
        case ReplyType::nil:
            return "nil";
        case ReplyType::array:
            break;
    }
    std::string text = "[";
    for (std::size_t i = 0; i < reply.size(); ++i) text += (i ? " " : "") + show(reply[i]);
    return text + "]";
}

std::vector<std::string> read_all(ReplyReader& reader) {
    std::vector<std::string> replies;
    while (true) {
        switch (reader.next()) {
            case ReplyReader::Result::reply:
                replies.push_back(show(reader.reply()));
                break;
            case ReplyReader::Result::more:
                return replies;
            case ReplyReader::Result::broken:
                replies.push_back("broken");
                return replies;
        }
    }
}

std::string whole_stream() {
    std::string bytes =
        "+PONG\r\n-ERR no\r\n:-42\r\n$-1\r\n$0\r\n\r\n*0\r\n*-1\r\n"
        "*3\r\n$7\r\nmessage\r\n$7\r\nws:chat\r\n$5\r\n";
    bytes += std::string("a\r\n\0b\r\n", 7);  // a payload with a line end and a NUL in it
    bytes += "*2\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n*2\r\n$-1\r\n+ok\r\n";
    return bytes;
}

const std::vector<std::string> expected = {"+PONG",
                                           "-ERR no",
                                           "-42",
                                           "nil",
                                           "''",
                                           "[]",
                                           "nil",
                                           std::string("['message' 'ws:chat' 'a\r\n\0b']", 29),
                                           "[[1 ['x']] [nil +ok]]"};

TEST(ReplyReader, ReadsEveryType) {
    ReplyReader reader;
    reader.feed(whole_stream());
    EXPECT_EQ(read_all(reader), expected);
}

TEST(ReplyReader, ReadsTheSameHoweverItIsSplit) {
    const std::string bytes = whole_stream();
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        ReplyReader reader;
        reader.feed(bytes.substr(0, cut));
        std::vector<std::string> replies = read_all(reader);
        reader.feed(bytes.substr(cut));
        for (auto& reply : read_all(reader)) replies.push_back(reply);
        ASSERT_EQ(replies, expected) << "cut at " << cut;
    }
    ReplyReader reader;
    std::vector<std::string> replies;
    for (const char byte : bytes) {
        reader.feed({&byte, 1});
        for (auto& reply : read_all(reader)) replies.push_back(reply);
    }
    EXPECT_EQ(replies, expected);
}

TEST(ReplyReader, ReadsAPayloadLargerThanItsBuffer) {
    const std::string payload(300000, 'x');
    const std::string bytes = "$300000\r\n" + payload + "\r\n:7\r\n";
    ReplyReader reader;
    std::vector<std::string> replies;
    for (std::size_t at = 0; at < bytes.size(); at += ReplyReader::feed_max) {
        reader.feed(std::string_view(bytes).substr(at, ReplyReader::feed_max));
        for (auto& reply : read_all(reader)) replies.push_back(reply);
    }
    EXPECT_EQ(replies, (std::vector<std::string>{"'" + payload + "'", "7"}));
}

TEST(ReplyReader, GarbageBreaksItForGoodUntilReset) {
    for (const std::string bytes : {"HTTP/1.1 400\r\n", "\r\n", "$abc\r\n", "*99999999999\r\n", "*2147483647\r\n"}) {
        ReplyReader reader;
        reader.feed(bytes);
        EXPECT_EQ(read_all(reader), std::vector<std::string>{"broken"}) << bytes;
        EXPECT_FALSE(reader.error().empty());
        EXPECT_EQ(reader.next(), ReplyReader::Result::broken);
        reader.reset();
        reader.feed("+OK\r\n");
        EXPECT_EQ(read_all(reader), std::vector<std::string>{"+OK"});
    }
}

// Nothing is collected that can come to no good: what is announced, or comes, beyond a limit breaks the stream there.
TEST(ReplyReader, SizesHaveALimit) {
    const auto broken_after = [](const std::string& beginning, const std::string& piece, std::size_t limit) {
        ReplyReader reader;
        if (limit) reader.limit(limit);
        std::size_t fed = beginning.size();
        reader.feed(beginning);
        ReplyReader::Result result = reader.next();
        for (; result == ReplyReader::Result::more && fed < (std::size_t{1} << 22); result = reader.next()) {
            reader.feed(piece);
            fed += piece.size();
        }
        EXPECT_EQ(result, ReplyReader::Result::broken) << beginning;
        return std::to_string(fed) + " " + reader.error();
    };
    const std::string piece(10000, 'x');
    EXPECT_EQ(broken_after("$536870913\r\n", piece, 0), "12 a string of more than 536870912 bytes");
    EXPECT_EQ(broken_after("*3\r\n$7\r\nmessage\r\n$2000000000\r\n", piece, 0),
              "30 a string of more than 536870912 bytes");
    EXPECT_EQ(broken_after("$400000000\r\n", piece, 65536), "12 a string of more than 65536 bytes");
    EXPECT_EQ(broken_after("*3\r\n$1\r\na\r\n$60000\r\n" + std::string(60000, 'a') + "\r\n$6000\r\n", "x", 65536),
              "65537 a reply of more than 65536 bytes");
    for (const char* beginning : {"+", "-", ":", "$", "*", "*2\r\n+"})
        EXPECT_NE(broken_after(beginning, beginning[0] == '*' && !beginning[1] ? "11111" : std::string(10000, '1'), 0)
                      .find("a line of more than 65536 bytes"),
                  std::string::npos)
            << beginning;
    EXPECT_NE(broken_after("*5000\r\n", piece, 0).find("an array of more than 4096 elements"), std::string::npos);
    EXPECT_NE(broken_after("*4096\r\n", "*1\r\n:1\r\n", 0).find("an array of more than 4096 elements"),
              std::string::npos);
}

TEST(ReplyReader, HowManyElementsAReplyMayHaveCanBeSaid) {
    const auto read = [](ReplyReader& reader, std::size_t count) {
        reader.feed("*" + std::to_string(count) + "\r\n");
        for (std::size_t i = 0; i < count; ++i) reader.feed("*1\r\n:1\r\n");
        return reader.next();
    };
    ReplyReader reader;
    reader.limit_elements(20000);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(read(reader, 10000), ReplyReader::Result::reply);
        EXPECT_EQ(reader.reply().size(), 10000u);
        reader.reset();  // does not change it
    }
    EXPECT_EQ(read(reader, 10001), ReplyReader::Result::broken);
    EXPECT_EQ(reader.error(), "an array of more than 20000 elements");
    reader.reset();
    reader.feed("*20001\r\n");
    EXPECT_EQ(reader.next(), ReplyReader::Result::broken);
}

TEST(ReplyReader, ElementsComeInTheirOrder) {
    ReplyReader reader;
    reader.feed("*4\r\n:1\r\n*2\r\n:2\r\n*0\r\n$-1\r\n+x\r\n:7\r\n");
    ASSERT_EQ(reader.next(), ReplyReader::Result::reply);
    std::string text;
    for (const Reply element : reader.reply()) text += show(element) + " ";
    EXPECT_EQ(text, "1 [2 []] nil +x ");
    for ([[maybe_unused]] const Reply element : reader.reply()[1][1]) ADD_FAILURE() << "an empty array has elements";
    ASSERT_EQ(reader.next(), ReplyReader::Result::reply);
    for ([[maybe_unused]] const Reply element : reader.reply()) ADD_FAILURE() << "a number has elements";
}

TEST(ReplyReader, ALimitIsThatOfOneReplyNotOfMany) {
    ReplyReader reader;
    reader.limit(100);
    const std::string payload(58, 'x');
    for (int i = 0; i < 100; ++i) {
        reader.feed("$58\r\n");
        reader.feed(payload);
        reader.feed("\r\n$60\r\nxx");
        ASSERT_EQ(reader.next(), ReplyReader::Result::reply);
        ASSERT_EQ(reader.next(), ReplyReader::Result::more) << reader.error();
        reader.feed(payload);
        reader.feed("\r\n");
        ASSERT_EQ(reader.next(), ReplyReader::Result::reply);
        reader.trim();
    }
}

TEST(ReplyReader, NestingHasALimit) {
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "*1\r\n";
    ReplyReader reader;
    reader.feed(deep);
    EXPECT_EQ(read_all(reader), std::vector<std::string>{"broken"});
}

#ifdef FANWIRE_COUNTS_BYTES
// A reply of many megabytes is no reason to hold as many until the connection ends.
TEST(ReplyReader, TrimGivesBackWhatALargeReplyTook) {
    constexpr std::size_t size = 8 << 20;
    ReplyReader reader;
    const std::size_t before = test::bytes_in_use();
    const std::string reply = "$" + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
    for (std::string_view rest = reply; !rest.empty();) {
        const std::string_view piece = rest.substr(0, ReplyReader::feed_max);
        rest.remove_prefix(piece.size());
        reader.feed(piece);
        reader.trim();  // in the middle of a reply it does nothing
        if (rest.empty()) break;
        ASSERT_EQ(reader.next(), ReplyReader::Result::more);
    }
    ASSERT_EQ(reader.next(), ReplyReader::Result::reply);
    EXPECT_EQ(reader.reply().text().size(), size);
    ASSERT_EQ(reader.next(), ReplyReader::Result::more);
    const std::size_t full = test::bytes_in_use();
    EXPECT_GE(full, before + 2 * size);  // the reply, and what was read of it
    reader.trim();
    EXPECT_LE(test::bytes_in_use(), full - size);
    reader.feed("+OK\r\n");
    ASSERT_EQ(reader.next(), ReplyReader::Result::reply);
    EXPECT_EQ(reader.reply().text(), "OK");
}
#endif

}  // namespace
}  // namespace fanwire::core
