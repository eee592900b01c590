// Payloads in envelopes. Part of fanwire.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "fanwire/cpp/error.hpp"

namespace fanwire {

// A payload and what stands in front of it: see fanwire_envelope. Empty texts, 0 and ids of zeros mean "none".
struct Envelope {
    using Id = std::array<unsigned char, 16>;  // the bytes of a UUID

    std::string_view payload;
    int type = FANWIRE_PAYLOAD_BINARY;  // a fanwire_payload_type
    Id publisher{};
    std::uint64_t sequence = 0;
    Id excluded{};
    std::string_view reply_to, correlation_id, dedupe_id;
    std::uint64_t timestamp_ms = 0;
    int kind = FANWIRE_ENVELOPE_ENVELOPE;  // a fanwire_envelope_kind; encode() does not look at it

    // The bytes to publish. Throws INVALID_ARGUMENT.
    std::string encode() const {
        fanwire_envelope envelope{};
        envelope.payload = payload.data();
        envelope.payload_size = payload.size();
        envelope.reply_to = reply_to.data();
        envelope.reply_to_size = reply_to.size();
        envelope.correlation_id = correlation_id.data();
        envelope.correlation_id_size = correlation_id.size();
        envelope.dedupe_id = dedupe_id.data();
        envelope.dedupe_id_size = dedupe_id.size();
        envelope.sequence = sequence;
        envelope.timestamp_ms = timestamp_ms;
        std::memcpy(envelope.publisher, publisher.data(), publisher.size());
        std::memcpy(envelope.excluded, excluded.data(), excluded.size());
        envelope.type = type;
        std::size_t size = 0;
        detail::check(fanwire_envelope_encode(&envelope, sizeof envelope, nullptr, &size));
        std::string bytes(size, '\0');
        detail::check(fanwire_envelope_encode(&envelope, sizeof envelope, bytes.data(), &size));
        return bytes;
    }

    // What the payload of a message is; `kind` says it, and unless that is ENVELOPE, `payload` is all of it. The texts
    // are parts of `bytes`.
    static Envelope decode(std::string_view bytes) {
        fanwire_envelope from{};
        detail::check(fanwire_envelope_decode(bytes.data(), bytes.size(), &from, sizeof from));
        Envelope envelope;
        envelope.payload = {from.payload, from.payload_size};
        envelope.type = from.type;
        std::memcpy(envelope.publisher.data(), from.publisher, sizeof from.publisher);
        envelope.sequence = from.sequence;
        std::memcpy(envelope.excluded.data(), from.excluded, sizeof from.excluded);
        envelope.reply_to = {from.reply_to, from.reply_to_size};
        envelope.correlation_id = {from.correlation_id, from.correlation_id_size};
        envelope.dedupe_id = {from.dedupe_id, from.dedupe_id_size};
        envelope.timestamp_ms = from.timestamp_ms;
        envelope.kind = from.kind;
        return envelope;
    }
};

}  // namespace fanwire
