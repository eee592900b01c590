// Envelopes: their bytes are tested in core; here is the boundary.
#include <cstring>
#include <string>

#include "fanwire/fanwire.hpp"
#include "support.h"

namespace capi_test {
namespace {

fanwire_envelope example() {
    fanwire_envelope envelope{};
    envelope.payload = "{}";
    envelope.payload_size = 2;
    envelope.reply_to = "answers";
    envelope.reply_to_size = 7;
    envelope.correlation_id = "c";
    envelope.correlation_id_size = 1;
    envelope.dedupe_id = "dd";
    envelope.dedupe_id_size = 2;
    envelope.sequence = 7;
    envelope.timestamp_ms = 8;
    std::memset(envelope.publisher, 1, sizeof envelope.publisher);
    std::memset(envelope.excluded, 2, sizeof envelope.excluded);
    envelope.type = FANWIRE_PAYLOAD_JSON;
    return envelope;
}

std::string encoded(const fanwire_envelope& envelope) {
    std::size_t size = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_envelope_encode(&envelope, sizeof envelope, nullptr, &size));
    std::string bytes(size, '?');
    EXPECT_STATUS(FANWIRE_OK, fanwire_envelope_encode(&envelope, sizeof envelope, bytes.data(), &size));
    EXPECT_EQ(bytes.size(), size);
    return bytes;
}

TEST(Envelopes, ComeOutAsTheyWentIn) {
    const fanwire_envelope in = example();
    const std::string bytes = encoded(in);
    fanwire_envelope out;
    std::memset(static_cast<void*>(&out), 0xaa, sizeof out);
    ASSERT_STATUS(FANWIRE_OK, fanwire_envelope_decode(bytes.data(), bytes.size(), &out, sizeof out));
    EXPECT_EQ(FANWIRE_ENVELOPE_ENVELOPE, out.kind);
    EXPECT_EQ(FANWIRE_PAYLOAD_JSON, out.type);
    EXPECT_EQ("{}", std::string(out.payload, out.payload_size));
    EXPECT_EQ("answers", std::string(out.reply_to, out.reply_to_size));
    EXPECT_EQ("c", std::string(out.correlation_id, out.correlation_id_size));
    EXPECT_EQ("dd", std::string(out.dedupe_id, out.dedupe_id_size));
    EXPECT_EQ(7u, out.sequence);
    EXPECT_EQ(8u, out.timestamp_ms);
    EXPECT_EQ(0, std::memcmp(in.publisher, out.publisher, sizeof in.publisher));
    EXPECT_EQ(0, std::memcmp(in.excluded, out.excluded, sizeof in.excluded));
    EXPECT_EQ(bytes.data() + bytes.size(), out.payload + out.payload_size) << "nothing is copied";
    EXPECT_EQ(bytes, encoded(out));
}

TEST(Envelopes, WhatIsNoneIsAPayload) {
    const auto kind_of = [](std::string_view bytes) {
        fanwire_envelope out{};
        EXPECT_STATUS(FANWIRE_OK, fanwire_envelope_decode(bytes.data(), bytes.size(), &out, sizeof out));
        EXPECT_EQ(bytes, std::string_view(out.payload, out.payload_size));
        EXPECT_EQ(nullptr, out.reply_to);
        return out.kind;
    };
    EXPECT_EQ(FANWIRE_ENVELOPE_PLAIN, kind_of("hello"));
    EXPECT_EQ(FANWIRE_ENVELOPE_PLAIN, kind_of({}));
    EXPECT_EQ(FANWIRE_ENVELOPE_UNKNOWN_VERSION, kind_of("\xfc"
                                                        "fw\x02 and more"));
    EXPECT_EQ(FANWIRE_ENVELOPE_MALFORMED, kind_of("\xfc"
                                                  "fw\x01 and more"));
}

TEST(Envelopes, SayWhatTheyNeed) {
    const fanwire_envelope in = example();
    const std::string bytes = encoded(in);
    std::string buffer(bytes.size(), '?');
    std::size_t size = bytes.size() - 1;
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_envelope_encode(&in, sizeof in, buffer.data(), &size));
    EXPECT_EQ(bytes.size(), size);
    EXPECT_EQ(std::string(bytes.size(), '?'), buffer);
    EXPECT_STATUS(FANWIRE_OK, fanwire_envelope_encode(&in, sizeof in, buffer.data(), &size));
    EXPECT_EQ(bytes, buffer);
}

TEST(Envelopes, BadArguments) {
    std::size_t size = 0;
    fanwire_envelope good = example();
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_encode(nullptr, sizeof good, nullptr, &size));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_encode(&good, sizeof good, nullptr, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_encode(&good, 100, nullptr, &size));
    const auto refused = [&](auto change, const char* about) {
        fanwire_envelope bad = example();
        change(bad);
        EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_encode(&bad, sizeof bad, nullptr, &size));
        EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), about)) << fanwire_last_error();
    };
    refused([](fanwire_envelope& e) { e.type = 3; }, "type 3");
    refused([](fanwire_envelope& e) { e.type = 256; }, "type 256");
    refused([](fanwire_envelope& e) { e.type = -1; }, "type -1");
    refused([](fanwire_envelope& e) { e.payload = nullptr; }, "payload");
    refused([](fanwire_envelope& e) { e.reply_to = nullptr; }, "reply_to");
    refused([](fanwire_envelope& e) { e.correlation_id = nullptr; }, "correlation_id");
    refused([](fanwire_envelope& e) { e.dedupe_id = nullptr; }, "dedupe_id");
    refused([](fanwire_envelope& e) { e.sequence = UINT64_MAX; }, "sequence");
    refused([](fanwire_envelope& e) { std::memset(e.publisher, 0, sizeof e.publisher); }, "publisher");
    EXPECT_EQ(0u, size);

    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_decode(nullptr, 1, &good, sizeof good));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_decode("x", 1, nullptr, sizeof good));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_envelope_decode("x", 1, &good, 100));
}

TEST(Envelopes, InCpp) {
    fanwire::Envelope in;
    in.payload = "hello";
    in.type = FANWIRE_PAYLOAD_TEXT;
    in.publisher[15] = 1;
    in.sequence = 3;
    in.excluded[0] = 2;
    in.reply_to = "r";
    in.correlation_id = "c";
    in.dedupe_id = "d";
    in.timestamp_ms = 4;
    const std::string bytes = in.encode();
    const fanwire::Envelope out = fanwire::Envelope::decode(bytes);
    EXPECT_EQ(FANWIRE_ENVELOPE_ENVELOPE, out.kind);
    EXPECT_EQ("hello", out.payload);
    EXPECT_EQ(FANWIRE_PAYLOAD_TEXT, out.type);
    EXPECT_EQ(in.publisher, out.publisher);
    EXPECT_EQ(3u, out.sequence);
    EXPECT_EQ(in.excluded, out.excluded);
    EXPECT_EQ("r", out.reply_to);
    EXPECT_EQ("c", out.correlation_id);
    EXPECT_EQ("d", out.dedupe_id);
    EXPECT_EQ(4u, out.timestamp_ms);
    EXPECT_EQ(bytes, out.encode());
    EXPECT_EQ(FANWIRE_ENVELOPE_PLAIN, fanwire::Envelope::decode("hello").kind);
    in.sequence = UINT64_MAX;
    EXPECT_THROW(in.encode(), fanwire::Error);
}

}  // namespace
}  // namespace capi_test
