// What may stand in front of a payload so that more is known of it: what it is, who published it and as which of the
// publisher's messages on the channel, and what a hub needs. capi/docs/envelopes.md says it byte by byte.
// Payloads without one pass as they are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fanwire::core {

enum class PayloadType : std::uint8_t {
#define FANWIRE_PAYLOAD_TYPE(upper, name, code, help) name = code,
#include "core/base/names.def"
};

// What a payload turns out to be.
enum class EnvelopeKind : std::uint8_t {
#define FANWIRE_ENVELOPE_KIND(upper, name, code, help) name = code,
#include "core/base/names.def"
};

struct Envelope {
    // Of a publisher or a connection: the bytes of a UUID. All zero: none.
    using Id = std::array<unsigned char, 16>;

    // JavaScript holds numbers exactly up to here.
    static constexpr std::uint64_t number_max = (std::uint64_t{1} << 53) - 1;
    static constexpr std::size_t reply_to_max = 1024, id_max = 255;

    std::string_view payload;
    std::uint8_t type = 0;            // a PayloadType; others, which a later version may know, are read as binary
    Id publisher{};                   // who counts the sequence
    std::uint64_t sequence = 0;       // 1 for the publisher's first message on the channel; 0: not counted
    Id excluded{};                    // the connection that does not get it
    std::string_view reply_to;        // the channel where an answer goes; empty: none
    std::string_view correlation_id;  // what an answer repeats; empty: none
    std::string_view dedupe_id;       // alike for one message that was published twice; empty: none
    std::uint64_t timestamp_ms = 0;   // of publishing, since 1970 by the publisher's clock; 0: none
};

// How many bytes it takes. Throws INVALID_ARGUMENT: a type that is none, a number or a field beyond its limit, a
// sequence without a publisher.
std::size_t encoded_size(const Envelope& envelope);
// Writes them to `out`, for an envelope of which encoded_size() has been asked.
void encode(const Envelope& envelope, char* out) noexcept;
std::string encode(const Envelope& envelope);

// Copies nothing: the texts are parts of `bytes`. What is no envelope, or none that can be read, is a payload as a
// whole, and every other field is as it is by default.
EnvelopeKind decode(std::string_view bytes, Envelope& envelope) noexcept;

}  // namespace fanwire::core
