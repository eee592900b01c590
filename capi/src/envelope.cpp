// Envelopes.
#include "core/message/envelope.h"

#include <cstring>

#include "capi/src/handle.h"

using namespace fanwire::capi;
using fanwire::core::Envelope;

namespace {

Envelope::Id id_of(const unsigned char (&bytes)[16]) {
    Envelope::Id id;
    std::memcpy(id.data(), bytes, id.size());
    return id;
}

Envelope from_c(const fanwire_envelope& envelope) {
    if (envelope.type < 0 || envelope.type > UINT8_MAX)
        reject("there is no payload type " + std::to_string(envelope.type));
    return {bytes(envelope.payload, envelope.payload_size, "payload"),
            static_cast<std::uint8_t>(envelope.type),
            id_of(envelope.publisher),
            envelope.sequence,
            id_of(envelope.excluded),
            bytes(envelope.reply_to, envelope.reply_to_size, "reply_to"),
            bytes(envelope.correlation_id, envelope.correlation_id_size, "correlation_id"),
            bytes(envelope.dedupe_id, envelope.dedupe_id_size, "dedupe_id"),
            envelope.timestamp_ms};
}

void set_text(const char*& bytes, size_t& size, std::string_view text) {
    bytes = text.empty() ? nullptr : text.data();
    size = text.size();
}

fanwire_envelope to_c(const Envelope& envelope, fanwire::core::EnvelopeKind kind) {
    fanwire_envelope c{};
    c.payload = envelope.payload.data();
    c.payload_size = envelope.payload.size();
    set_text(c.reply_to, c.reply_to_size, envelope.reply_to);
    set_text(c.correlation_id, c.correlation_id_size, envelope.correlation_id);
    set_text(c.dedupe_id, c.dedupe_id_size, envelope.dedupe_id);
    c.sequence = envelope.sequence;
    c.timestamp_ms = envelope.timestamp_ms;
    std::memcpy(c.publisher, envelope.publisher.data(), envelope.publisher.size());
    std::memcpy(c.excluded, envelope.excluded.data(), envelope.excluded.size());
    c.kind = static_cast<int>(kind);
    c.type = envelope.type;
    return c;
}

}  // namespace

int fanwire_envelope_encode(const fanwire_envelope* envelope, size_t envelope_size, char* buffer, size_t* size) {
    return guarded([&] {
        const Envelope from = from_c(copy_in(envelope, envelope_size, "envelope"));
        required(size, "size");
        const size_t needed = fanwire::core::encoded_size(from);
        const size_t room = buffer ? *size : 0;
        *size = needed;
        if (!buffer) return;
        if (room < needed)
            throw Failure(Status::LIMIT_REACHED, "the buffer has " + std::to_string(room) +
                                                     " bytes, the envelope needs " + std::to_string(needed));
        fanwire::core::encode(from, buffer);
    });
}

int fanwire_envelope_decode(const char* bytes_of_payload, size_t size, fanwire_envelope* envelope,
                            size_t envelope_size) {
    return guarded([&] {
        Envelope decoded;
        const auto kind = fanwire::core::decode(bytes(bytes_of_payload, size, "bytes"), decoded);
        copy_out(envelope, envelope_size, to_c(decoded, kind), "envelope");
    });
}
