#include "core/message/envelope.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"

namespace fanwire::core {

namespace {

// 0xfc begins no character of UTF-8. The version behind it is a control character, so that no text of another encoding
// goes on like this, either.
constexpr std::string_view magic =
    "\xfc"
    "fw";
constexpr std::uint8_t version = 1, version_max = 31;
constexpr std::size_t version_at = 3, type_at = 4, head_size_at = 5, publisher_at = 7, sequence_at = 23, fields_at = 31;

// The optional fields, in the order in which they stand.
enum Tag : std::uint8_t { excluded = 1, reply_to = 2, correlation_id = 3, dedupe_id = 4, timestamp = 5 };
constexpr std::size_t field_head_size = 3;  // tag and size

constexpr bool is_none(const Envelope::Id& id) {
    return std::all_of(id.begin(), id.end(), [](unsigned char byte) { return byte == 0; });
}

template <class Number>
Number number_at(std::string_view bytes, std::size_t at) {
    Number number = 0;
    for (std::size_t i = 0; i < sizeof number; ++i)
        number = static_cast<Number>(number << 8 | static_cast<unsigned char>(bytes[at + i]));
    return number;
}

// Puts one thing behind the other.
class Writer {
 public:
    explicit Writer(char* out) : out_(out) {}
    template <class Number>
    void number(Number number) {
        for (std::size_t shift = 8 * sizeof number; shift > 0; shift -= 8)
            *out_++ = static_cast<char>(static_cast<unsigned char>(number >> (shift - 8)));
    }
    void bytes(std::string_view bytes) {
        if (!bytes.empty()) std::memcpy(out_, bytes.data(), bytes.size());
        out_ += bytes.size();
    }
    void id(const Envelope::Id& id) { bytes({reinterpret_cast<const char*>(id.data()), id.size()}); }
    void field(Tag tag, std::size_t size) {
        number(static_cast<std::uint8_t>(tag));
        number(static_cast<std::uint16_t>(size));
    }
    void text_field(Tag tag, std::string_view text) {
        if (text.empty()) return;
        field(tag, text.size());
        bytes(text);
    }

 private:
    char* out_;
};

std::size_t head_size(const Envelope& envelope) {
    std::size_t size = fields_at;
    if (!is_none(envelope.excluded)) size += field_head_size + envelope.excluded.size();
    for (const std::string_view text : {envelope.reply_to, envelope.correlation_id, envelope.dedupe_id})
        if (!text.empty()) size += field_head_size + text.size();
    if (envelope.timestamp_ms != 0) size += field_head_size + sizeof envelope.timestamp_ms;
    return size;
}

void check_text(std::string_view text, std::size_t max, const char* name) {
    if (text.size() > max)
        throw Failure(Status::INVALID_ARGUMENT, std::string(name) + " has " + std::to_string(text.size()) +
                                                    " bytes, at most " + std::to_string(max) + " are allowed");
}

void check_number(std::uint64_t number, const char* name) {
    if (number > Envelope::number_max)
        throw Failure(Status::INVALID_ARGUMENT,
                      std::string(name) + " is " + std::to_string(number) + ", above 2^53 - 1");
}

Envelope::Id id_at(std::string_view bytes, std::size_t at) {
    Envelope::Id id;
    std::memcpy(id.data(), bytes.data() + at, id.size());
    return id;
}

bool take_id(std::string_view value, Envelope::Id& id) {
    if (value.size() != id.size()) return false;
    id = id_at(value, 0);
    return !is_none(id);
}

bool take_text(std::string_view value, std::size_t max, std::string_view& text) {
    text = value;
    return !value.empty() && value.size() <= max;
}

bool take_number(std::string_view value, std::uint64_t& number) {
    if (value.size() != sizeof number) return false;
    number = number_at<std::uint64_t>(value, 0);
    return number != 0 && number <= Envelope::number_max;
}

// False: it is none that is ever written. Unknown fields are passed over.
bool take_field(std::uint8_t tag, std::string_view value, Envelope& envelope) {
    switch (tag) {
        case Tag::excluded:
            return take_id(value, envelope.excluded);
        case Tag::reply_to:
            return take_text(value, Envelope::reply_to_max, envelope.reply_to);
        case Tag::correlation_id:
            return take_text(value, Envelope::id_max, envelope.correlation_id);
        case Tag::dedupe_id:
            return take_text(value, Envelope::id_max, envelope.dedupe_id);
        case Tag::timestamp:
            return take_number(value, envelope.timestamp_ms);
        default:
            return tag != 0;
    }
}

// Of bytes that begin as an envelope of this version.
bool take_apart(std::string_view bytes, Envelope& envelope) {
    if (bytes.size() < fields_at) return false;
    const std::size_t end = number_at<std::uint16_t>(bytes, head_size_at);
    if (end < fields_at || end > bytes.size()) return false;
    envelope.payload = bytes.substr(end);
    envelope.type = number_at<std::uint8_t>(bytes, type_at);
    envelope.publisher = id_at(bytes, publisher_at);
    envelope.sequence = number_at<std::uint64_t>(bytes, sequence_at);
    if (envelope.sequence > Envelope::number_max) return false;
    if (envelope.sequence != 0 && is_none(envelope.publisher)) return false;
    std::uint8_t last = 0;
    for (std::size_t at = fields_at; at < end;) {
        if (end - at < field_head_size) return false;
        const auto tag = number_at<std::uint8_t>(bytes, at);
        const std::size_t size = number_at<std::uint16_t>(bytes, at + 1);
        at += field_head_size;
        if (tag <= last || size > end - at) return false;
        if (!take_field(tag, bytes.substr(at, size), envelope)) return false;
        last = tag;
        at += size;
    }
    return true;
}

}  // namespace

std::size_t encoded_size(const Envelope& envelope) {
    if (envelope.type > static_cast<std::uint8_t>(PayloadType::json))
        throw Failure(Status::INVALID_ARGUMENT, "there is no payload type " + std::to_string(envelope.type));
    check_number(envelope.sequence, "sequence");
    check_number(envelope.timestamp_ms, "timestamp_ms");
    check_text(envelope.reply_to, Envelope::reply_to_max, "reply_to");
    check_text(envelope.correlation_id, Envelope::id_max, "correlation_id");
    check_text(envelope.dedupe_id, Envelope::id_max, "dedupe_id");
    if (envelope.sequence != 0 && is_none(envelope.publisher))
        throw Failure(Status::INVALID_ARGUMENT, "a sequence needs the publisher that counts it");
    return head_size(envelope) + envelope.payload.size();
}

void encode(const Envelope& envelope, char* out) noexcept {
    Writer to(out);
    to.bytes(magic);
    to.number(version);
    to.number(envelope.type);
    to.number(static_cast<std::uint16_t>(head_size(envelope)));
    to.id(envelope.publisher);
    to.number(envelope.sequence);
    if (!is_none(envelope.excluded)) {
        to.field(Tag::excluded, envelope.excluded.size());
        to.id(envelope.excluded);
    }
    to.text_field(Tag::reply_to, envelope.reply_to);
    to.text_field(Tag::correlation_id, envelope.correlation_id);
    to.text_field(Tag::dedupe_id, envelope.dedupe_id);
    if (envelope.timestamp_ms != 0) {
        to.field(Tag::timestamp, sizeof envelope.timestamp_ms);
        to.number(envelope.timestamp_ms);
    }
    to.bytes(envelope.payload);
}

std::string encode(const Envelope& envelope) {
    std::string out(encoded_size(envelope), '\0');
    encode(envelope, out.data());
    return out;
}

EnvelopeKind decode(std::string_view bytes, Envelope& envelope) noexcept {
    EnvelopeKind kind = EnvelopeKind::plain;
    if (bytes.size() > version_at && bytes.starts_with(magic)) {
        const auto written = static_cast<std::uint8_t>(bytes[version_at]);
        if (written == version) {
            envelope = {};
            if (take_apart(bytes, envelope)) return EnvelopeKind::envelope;
            kind = EnvelopeKind::malformed;
        } else if (written != 0 && written <= version_max) {
            kind = EnvelopeKind::unknown_version;
        }
    }
    envelope = {};
    envelope.payload = bytes;
    return kind;
}

}  // namespace fanwire::core
