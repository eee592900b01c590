// Messages read in place: exactly the frames that Redis writes, and the same events as by the reader, however the bytes
// are cut.
#include "core/protocol/push_scanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "core/protocol/command.h"
#include "core/protocol/link.h"
#include "core/protocol/subscribing.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

std::string message(std::string_view channel, std::string_view payload) {
    std::string out;
    append_command(out, {"message", channel, payload});
    return out;
}
std::string pmessage(std::string_view pattern, std::string_view channel, std::string_view payload) {
    std::string out;
    append_command(out, {"pmessage", pattern, channel, payload});
    return out;
}

PushScan scan(std::string_view bytes) {
    PushFrame frame;
    return scan_push(bytes, frame);
}

TEST(ScanPush, ReadsAMessage) {
    const std::string bytes = message("ws:a", "hello\r\n*3") + "*3";
    PushFrame frame;
    ASSERT_EQ(scan_push(bytes, frame), PushScan::message);
    EXPECT_EQ(frame.kind, TargetKind::channel);
    EXPECT_EQ(frame.name, "ws:a");
    EXPECT_EQ(frame.channel, "ws:a");
    EXPECT_EQ(frame.payload, "hello\r\n*3");
    EXPECT_EQ(frame.size, bytes.size() - 2);
}

TEST(ScanPush, ReadsAPatternsMessage) {
    const std::string bytes = pmessage("ws:*", "ws:a", "");
    PushFrame frame;
    ASSERT_EQ(scan_push(bytes, frame), PushScan::message);
    EXPECT_EQ(frame.kind, TargetKind::pattern);
    EXPECT_EQ(frame.name, "ws:*");
    EXPECT_EQ(frame.channel, "ws:a");
    EXPECT_EQ(frame.payload, "");
    EXPECT_EQ(frame.size, bytes.size());
}

TEST(ScanPush, EveryBeginningIsPartial) {
    for (const std::string& bytes : {message("ws:abc", "0123456789"), pmessage("ws:*", "ws:a", "x"), message("", "")})
        for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_EQ(scan(bytes.substr(0, n)), PushScan::partial) << n;
}

TEST(ScanPush, LeavesEverythingElseToTheReader) {
    for (const char* bytes : {"+OK\r\n",
                              "*3\r\n$9\r\nsubscribe\r\n",
                              "*3\r\n$7\r\nmessagf",
                              "*4\r\n$7\r\nmessage\r\n",
                              "*3\r\n$8\r\npmessage",
                              "*2\r\n$7\r\nmessage\r\n",
                              "*3\r\n$7\r\nmessage\r\n$-1\r\n",
                              "*3\r\n$7\r\nmessage\r\n:1\r\n",
                              "*3\r\n$7\r\nmessage\r\n$01\r\na\r\n",
                              "*3\r\n$7\r\nmessage\r\n$+1\r\na\r\n",
                              "*3\r\n$7\r\nmessage\r\n$\r\n",
                              "*3\r\n$7\r\nmessage\r\n$1x",
                              "*3\r\n$7\r\nmessage\r\n$1\rx",
                              "*3\r\n$7\r\nmessage\r\n$1\r\nax",
                              "*3\r\n$7\r\nmessage\r\n$1\r\na\rx",
                              "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1234567890",
                              "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nbxx",
                              "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nbx",
                              "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n*1\r\n:1\r\n",
                              "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$-1\r\n"})
        EXPECT_EQ(scan(bytes), PushScan::other) << bytes;
}

TEST(ScanAcknowledgement, ReadsTheFourKindsAndNothingElse) {
    struct Case {
        const char* what;
        bool subscribed;
        TargetKind kind;
    };
    for (const Case& one :
         {Case{"subscribe", true, TargetKind::channel}, Case{"psubscribe", true, TargetKind::pattern},
          Case{"unsubscribe", false, TargetKind::channel}, Case{"punsubscribe", false, TargetKind::pattern}}) {
        std::string bytes;
        append_command(bytes, {one.what, "ws:a\r\n"});
        bytes[1] = '3';
        bytes += ":12\r\n";
        Acknowledgement found;
        const std::string stream = bytes + "*3";
        ASSERT_TRUE(scan_acknowledgement(stream, found)) << bytes;
        EXPECT_EQ(found.subscribed, one.subscribed);
        EXPECT_EQ(found.kind, one.kind);
        EXPECT_EQ(found.name, "ws:a\r\n");
        EXPECT_EQ(found.size, bytes.size());
        for (std::size_t n = 0; n < bytes.size(); ++n)
            EXPECT_FALSE(scan_acknowledgement(bytes.substr(0, n), found)) << n;
        for (std::size_t n = 0; n < bytes.size(); ++n) {
            std::string other = bytes;
            other[n] = '!';
            if (scan_acknowledgement(other, found)) {  // it was of the name
                EXPECT_NE(found.name, "ws:a\r\n");
            }
        }
    }
    Acknowledgement found;
    for (const char* bytes :
         {"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:-1\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:\r\n",
          "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:007\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
          "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n$1\r\n1\r\n"})
        EXPECT_FALSE(scan_acknowledgement(bytes, found)) << bytes;
}

TEST(PushScanner, ADeclaredSizeIsNotBelievedBeforeItsBytesCome) {
    PushScanner scanner;
    const auto none = [](std::span<const PushFrame>) { return std::size_t{0}; };
    const std::string bytes = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870912\r\nxxxx";
    EXPECT_EQ(scanner.scan(bytes, none), bytes.size());
    EXPECT_TRUE(scanner.partial());
    EXPECT_EQ(scanner.left(), "");
    EXPECT_LE(scanner.room().size(), std::size_t{1} << 20);
}

TEST(ScanPush, WhatIsLargerThanRedisTakesIsLeftToTheReader) {
    PushFrame frame;
    for (const char* bytes :
         {"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870913\r\nxxxx", "*3\r\n$7\r\nmessage\r\n$536870913\r\n",
          "*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$999999999\r\n"})
        EXPECT_EQ(scan_push(bytes, frame), PushScan::other) << bytes;
}

TEST(PushScanner, AMessageOfMostlyNamesIsNotKeptWhole) {
    PushScanner scanner;
    const std::string bytes = pmessage("*", std::string(30000, 'c'), std::string(20000, 'x'));
    std::size_t messages = 0;
    const auto take = [&](std::span<const PushFrame> frames) {
        EXPECT_EQ(frames[0].payload, std::string(20000, 'x'));
        EXPECT_EQ(frames[0].storage, nullptr);
        messages += frames.size();
        return frames.size();
    };
    for (std::size_t at = 0; at < bytes.size(); at += 10000)
        scanner.scan(std::string_view(bytes).substr(at, 10000), take);
    EXPECT_EQ(messages, 1u);
}

TEST(PushScanner, ALargeMessageIsCollectedWhereItStays) {
    const auto pool = MessagePool::make();
    PushScanner scanner(pool.get());
    for (const std::size_t size : {std::size_t{20000}, std::size_t{300000}, std::size_t{5} << 20}) {
        std::string payload(size, ' ');
        for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 7 + i / 251);
        const std::string bytes = pmessage("ws:*", "ws:a", payload) + message("ws:b", "next");
        MessageRef kept;
        std::string_view seen;
        std::size_t in_place = 0, messages = 0;
        const auto take = [&](std::span<const PushFrame> frames) {
            for (const PushFrame& frame : frames) {
                EXPECT_EQ(frame.storage != nullptr, messages++ == 0);
                if (!frame.storage) continue;
                EXPECT_EQ(frame.channel, "ws:a");
                seen = frame.payload;
                kept = MessageRef::share(frame.storage);
            }
            return frames.size();
        };
        std::string_view rest = bytes;
        for (std::size_t turn = 0; !rest.empty(); ++turn) {
            const std::span<char> room = scanner.room();
            std::string_view piece = rest.substr(0, turn == 0 ? 100 : 7000);
            if (!room.empty() && turn % 2 == 0) {
                piece = rest.substr(0, std::min<std::size_t>(room.size(), 100000));
                std::copy(piece.begin(), piece.end(), room.begin());
                ASSERT_EQ(scanner.scan({room.data(), piece.size()}, take), piece.size());
                in_place += piece.size();
            } else {
                ASSERT_EQ(scanner.scan(piece, take), piece.size());
            }
            rest.remove_prefix(piece.size());
        }
        EXPECT_EQ(messages, 2u);
        if (size > 100000) {
            EXPECT_GT(in_place, size / 2);
        }
        EXPECT_FALSE(scanner.partial());
        EXPECT_TRUE(scanner.room().empty());
        ASSERT_TRUE(kept);
        EXPECT_TRUE(seen == payload);  // kept alive, though the scanner has forgotten it
        EXPECT_EQ(seen.data()[size], '\0');
    }
    EXPECT_GT(pool->kept(), 0u);
}

TEST(PushScanner, ALargeMessageThatIsNoneIsLeftWhole) {
    PushScanner scanner;
    const auto none = [](std::span<const PushFrame> frames) { return frames.size(); };
    std::string bytes = message("a", std::string(40000, 'x'));
    bytes[bytes.size() - 2] = '!';
    ASSERT_EQ(scanner.scan(bytes.substr(0, 10000), none), 10000u);
    const std::span<char> room = scanner.room();
    ASSERT_EQ(room.size(), bytes.size() - 10000);
    std::copy(bytes.begin() + 10000, bytes.end(), room.begin());
    EXPECT_EQ(scanner.scan({room.data(), room.size()}, none), room.size());
    EXPECT_TRUE(scanner.left() == bytes);
    EXPECT_TRUE(scanner.room().empty());
}

TEST(PushScanner, WhatIsNoMessageAfterAllIsLeftWhole) {
    PushScanner scanner;
    int messages = 0;
    const auto count = [&](std::span<const PushFrame> frames) {
        return messages += static_cast<int>(frames.size()), frames.size();
    };
    const std::string first = message("a", "b") + "*3\r\n$7\r\nmess", second = "y\r\n";
    EXPECT_EQ(scanner.scan(first, count), first.size());
    EXPECT_EQ(scanner.scan(second, count), 0u);
    EXPECT_EQ(messages, 1);
    EXPECT_EQ(scanner.left(), "*3\r\n$7\r\nmess");
    scanner.forget();
    EXPECT_FALSE(scanner.partial());
}

// A conversation whose messages are all read by the reader.
class ByReader : public Subscribing {
    using Subscribing::Subscribing;
    std::size_t scan(std::string_view, TimeMs) override { return 0; }
    bool can_scan(std::string_view) const override { return false; }
};

struct Heard : Link::Listener, Subscribing::Listener {
    void link_ready() override { text += "ready\n"; }
    void link_lost(const Error& why) override { text += "lost " + why.text + "\n"; }
    void link_failed(const Error&, bool) override { text += "failed\n"; }
    void link_retry(std::uint32_t, TimeMs) override {}
    void confirmed(Topic& topic) override { text += "+" + std::string(topic.view()) + "\n"; }
    void lost(std::span<Topic* const>, const Error&) noexcept override {}
    void refused(Topic& topic, const Error&) override { text += "!" + std::string(topic.view()) + "\n"; }
    void message(const PushFrame& frame, Topic*) override {
        text += frame.kind == TargetKind::pattern ? "p " : "m ";
        for (const std::string_view part : {frame.name, frame.channel, frame.payload}) {
            text += part;
            text += '|';
        }
        text += '\n';
    }
    std::string text;
};

constexpr int wanted = 60;
std::string name_of(int i) {
    return "name\r\n" + std::to_string(i);
}
TargetKind kind_of(int i) {
    return i < wanted / 2 ? TargetKind::channel : TargetKind::pattern;
}

template <class Talk>
std::string hear(const std::vector<std::string>& pieces) {
    Heard heard;
    LinkConfig config;
    config.handshake = {"fanwire", 0};
    Topics topics;
    Login login;
    Talk talk(500, config.reconnect.max, topics, heard);
    Link link(
        config, [] { return 0.5; }, login, talk, heard);
    for (int i = 0; i < wanted; ++i) talk.want(topic_of(topics, kind_of(i), name_of(i)), 0);
    link.start(0);
    link.request();
    link.opened(0);
    link.wrote(link.output(0).size(), 0);
    bool greeted = false;
    std::size_t turn = 0;
    for (const std::string& piece : pieces) {
        std::string_view rest = piece;
        if (const std::span<char> room = link.room(); !room.empty() && ++turn % 3 != 0) {  // as from a socket
            const std::size_t size = std::min(room.size(), rest.size());
            std::copy_n(rest.data(), size, room.data());
            link.received({room.data(), size}, 0);
            rest.remove_prefix(size);
        }
        link.received(rest, 0);
        if (!greeted && link.state() == Link::State::ready) {
            greeted = true;
            link.wrote(link.output(0).size(), 0);
        }
    }
    return heard.text;
}

std::string random_frame(std::mt19937& random, int& acknowledged) {
    static const char* const odd[] = {
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$-1\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:17\r\n",
        "*3\r\n+message\r\n+a\r\n+b\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n*2\r\n:1\r\n+x\r\n",
        "*3\r\n$7\r\nmessage\r\n$01\r\na\r\n$1\r\nb\r\n",
        "*4\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nbxy",
        "*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nb\r\n",
        "*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$-1\r\n$1\r\nc\r\n",
    };
    static const char* const fatal[] = {"*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
                                        "what\r\n",
                                        "*3\r\n$7\r\nmessage\r\n$x\r\n",
                                        ":1\r\n",
                                        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
                                        "*3\r\n$9\r\nsubscribe\r\n$1\r\nz\r\n:1\r\n",
                                        "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n",
                                        "*3\r\n$7\r\nmessagf\r\n$1\r\na\r\n$1\r\nb\r\n",
                                        "*99999999\r\n"};
    static const char* const odd_counts[] = {"17", "-1", "0", "007", "+3", "1234567890123"};
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const auto bytes = [&] {
        std::string out(below(20) == 0 ? below(90000) : below(40), ' ');
        for (char& c : out) c = "\r\n$*3:ax"[below(8)];
        return out;
    };
    switch (below(40)) {
        case 0:
            return odd[below(std::size(odd))];
        case 1:
            return below(20) == 0 ? fatal[below(std::size(fatal))] : odd[below(std::size(odd))];
        case 2:
        case 3:
        case 4: {
            std::string out;
            for (std::size_t n = below(20); n > 0 && acknowledged < wanted; --n, ++acknowledged) {
                out += kind_of(acknowledged) == TargetKind::channel ? "*3\r\n$9\r\nsubscribe\r\n"
                                                                    : "*3\r\n$10\r\npsubscribe\r\n";
                append_bulk(out, name_of(acknowledged));
                out += ':' + std::string(odd_counts[below(40) == 0 ? below(std::size(odd_counts)) : 0]) + "\r\n";
            }
            return out;
        }
        case 5:
        case 6:
        case 7:
        case 8:
            return pmessage(bytes(), bytes(), bytes());
        default:
            return message(bytes(), bytes());
    }
}

TEST(PushScanner, SaysWhatTheReaderWouldHoweverTheBytesAreCut) {
    std::size_t messages = 0, confirmations = 0, breaks = 0;
    for (unsigned seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        std::string stream = "+OK\r\n+PONG\r\n";
        std::vector<std::string> pieces{stream};
        stream.clear();
        int acknowledged = 0;
        for (std::size_t i = random() % 120; i > 0; --i) stream += random_frame(random, acknowledged);
        const std::size_t most = seed % 3 == 0 ? 7 : seed % 3 == 1 ? 300 : 65536;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t size = std::min<std::size_t>(stream.size() - at, 1 + random() % most);
            pieces.push_back(stream.substr(at, size));
            at += size;
        }
        const std::string heard = hear<Subscribing>(pieces);
        ASSERT_TRUE(heard == hear<ByReader>(pieces)) << "seed " << seed;
        confirmations += static_cast<std::size_t>(std::count(heard.begin(), heard.end(), '+'));
        messages += static_cast<std::size_t>(std::count(heard.begin(), heard.end(), '|')) / 3;
        breaks += heard.find("lost") != heard.npos ? 1 : 0;
    }
    EXPECT_GT(messages, 5000u);
    EXPECT_GT(confirmations, 5000u);
    EXPECT_GT(breaks, 10u);
}

}  // namespace
}  // namespace fanwire::core
