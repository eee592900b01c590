// The envelope, byte by byte.
#include "core/message/envelope.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"
#include "failures.h"
#include "vectors.h"

namespace fanwire::core {
namespace {

Envelope::Id id_in(const test::Json& item, const std::string& name) {
    Envelope::Id id{};
    if (!item.contains(name + "_hex")) return id;
    const std::string bytes = test::bytes_of(item, name);
    EXPECT_EQ(id.size(), bytes.size());
    std::copy_n(bytes.begin(), id.size(), id.begin());
    return id;
}

std::string text_in(const test::Json& item, const std::string& name) {
    return item.contains(name) || item.contains(name + "_hex") ? test::bytes_of(item, name) : "";
}

std::string type_name(std::uint8_t type) {
    switch (static_cast<PayloadType>(type)) {
        case PayloadType::binary:
            return "binary";
        case PayloadType::text:
            return "text";
        case PayloadType::json:
            return "json";
    }
    return "unknown";
}

EnvelopeKind kind_named(const std::string& name) {
    if (name == "envelope") return EnvelopeKind::envelope;
    if (name == "unknown_version") return EnvelopeKind::unknown_version;
    if (name == "malformed") return EnvelopeKind::malformed;
    EXPECT_EQ("plain", name);
    return EnvelopeKind::plain;
}

TEST(Envelope, IsAsTheVectorsSay) {
    for (const test::Json& item : test::read_vectors("envelopes.json")) {
        SCOPED_TRACE(item.at("name").get<std::string>());
        const std::string wire = test::bytes_of(item, "wire");
        Envelope envelope;
        envelope.sequence = 99;  // nothing of it stays
        envelope.dedupe_id = "before";
        const EnvelopeKind kind = decode(wire, envelope);
        EXPECT_EQ(kind_named(item.at("kind")), kind);
        EXPECT_EQ(test::bytes_of(item, "payload"), envelope.payload);
        EXPECT_EQ(item.value("type", "binary"), type_name(envelope.type));
        EXPECT_EQ(id_in(item, "publisher"), envelope.publisher);
        EXPECT_EQ(item.value("sequence", std::uint64_t{0}), envelope.sequence);
        EXPECT_EQ(id_in(item, "excluded"), envelope.excluded);
        EXPECT_EQ(text_in(item, "reply_to"), envelope.reply_to);
        EXPECT_EQ(text_in(item, "correlation_id"), envelope.correlation_id);
        EXPECT_EQ(text_in(item, "dedupe_id"), envelope.dedupe_id);
        EXPECT_EQ(item.value("timestamp_ms", std::uint64_t{0}), envelope.timestamp_ms);
        if (kind == EnvelopeKind::envelope && !item.contains("written_by_others")) {
            EXPECT_EQ(wire, encode(envelope));
        }
    }
}

TEST(Envelope, IsReadWithinItsBytes) {
    for (const test::Json& item : test::read_vectors("envelopes.json")) {
        const std::string wire = test::bytes_of(item, "wire");
        for (std::size_t size = 0; size < wire.size(); ++size) {
            const std::string cut(wire, 0, size);  // a copy, so that the address sanitizer sees its end
            Envelope envelope;
            decode(cut, envelope);
            EXPECT_GE(envelope.payload.data(), cut.data());
            EXPECT_EQ(cut.data() + cut.size(), envelope.payload.data() + envelope.payload.size());
        }
    }
}

TEST(Envelope, CopiesNothing) {
    Envelope envelope;
    envelope.dedupe_id = "d";
    envelope.payload = "payload";
    const std::string wire = encode(envelope);
    Envelope read;
    ASSERT_EQ(EnvelopeKind::envelope, decode(wire, read));
    EXPECT_EQ(wire.data() + wire.size() - 7, read.payload.data());
    EXPECT_EQ(wire.data() + wire.size() - 8, read.dedupe_id.data());
}

TEST(Envelope, NoTextBeginsLikeOne) {
    EXPECT_EQ(0xfc, static_cast<unsigned char>(encode(Envelope{}).front()));  // no first byte of UTF-8
}

TEST(Envelope, RefusesWhatCannotBeRead) {
    const std::string long_text(1025, 'x');
    const auto refused = [](const char* about, auto change) {
        Envelope envelope;
        change(envelope);
        test::expect_failure(Status::INVALID_ARGUMENT, {about}, [&] { encode(envelope); });
    };
    refused("type 3", [](Envelope& e) { e.type = 3; });
    refused("a sequence needs", [](Envelope& e) { e.sequence = 1; });
    refused("sequence", [](Envelope& e) {
        e.publisher[0] = 1;
        e.sequence = Envelope::number_max + 1;
    });
    refused("timestamp_ms", [](Envelope& e) { e.timestamp_ms = Envelope::number_max + 1; });
    refused("reply_to has 1025 bytes", [&](Envelope& e) { e.reply_to = long_text; });
    refused("correlation_id has 256",
            [&](Envelope& e) { e.correlation_id = std::string_view(long_text).substr(0, 256); });
    refused("dedupe_id has 256", [&](Envelope& e) { e.dedupe_id = std::string_view(long_text).substr(0, 256); });
}

}  // namespace
}  // namespace fanwire::core
