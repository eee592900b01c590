// Payloads that may have an envelope in front, from anybody; and envelopes of any fields.
//
// Input: bytes. What must hold:
//  - whatever the bytes are, they are read, and what is read lies within them; what is no envelope is a payload as a
//    whole;
//  - an envelope that is read and written again is read as the same, and is the same bytes if it has nothing of a later
//    version;
//  - no JSON and no UTF-8 is taken for anything but plain;
//  - fields made of the bytes are refused, or come out as they went in;
//  - sequences never say that more is missing than lies between two numbers.
#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/message/envelope.h"
#include "core/message/sequences.h"
#include "tests/fuzz/script.h"

using namespace fanwire::core;
using fanwire::fuzz::require;

namespace {

bool within(std::string_view part, std::string_view all) {
    return part.empty() || (part.data() >= all.data() && part.data() + part.size() <= all.data() + all.size());
}

bool same(const Envelope& a, const Envelope& b) {
    return a.payload == b.payload && a.type == b.type && a.publisher == b.publisher && a.sequence == b.sequence &&
           a.excluded == b.excluded && a.reply_to == b.reply_to && a.correlation_id == b.correlation_id &&
           a.dedupe_id == b.dedupe_id && a.timestamp_ms == b.timestamp_ms;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t size = utf8_character(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

void read(std::string_view bytes) {
    Envelope envelope;
    const EnvelopeKind kind = decode(bytes, envelope);
    for (const std::string_view part :
         {envelope.payload, envelope.reply_to, envelope.correlation_id, envelope.dedupe_id})
        require(within(part, bytes), "what is read lies within the bytes");
    if (is_utf8(bytes)) require(kind == EnvelopeKind::plain, "text is plain");
    if (kind != EnvelopeKind::envelope) {
        Envelope whole;
        whole.payload = bytes;
        require(same(envelope, whole), "what is no envelope is a payload as a whole");
        return;
    }
    if (envelope.type > static_cast<std::uint8_t>(PayloadType::json)) return;
    const std::string written = encode(envelope);
    Envelope again;
    require(decode(written, again) == EnvelopeKind::envelope, "what is written can be read");
    require(same(envelope, again), "it comes out as it went in");
    require(written.size() <= bytes.size(), "only fields of a later version are left out");
    if (written.size() == bytes.size()) require(written == bytes, "there is one way to write it");
}

// Takes fields off the bytes.
class Source {
 public:
    explicit Source(std::string_view bytes) : rest_(bytes) {}
    std::string_view text(std::size_t size) {
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(taken.size());
        return taken;
    }
    std::uint8_t byte() {
        const std::string_view one = text(1);
        return one.empty() ? 0 : static_cast<std::uint8_t>(one.front());
    }
    std::uint64_t number() {
        std::uint64_t number = 0;
        const std::string_view bytes = text(byte() % 9);
        if (!bytes.empty()) std::memcpy(&number, bytes.data(), bytes.size());
        return number;
    }
    Envelope::Id id() {
        Envelope::Id id{};
        const std::string_view bytes = text(byte() % 17);
        if (!bytes.empty()) std::memcpy(id.data(), bytes.data(), bytes.size());
        return id;
    }
    bool empty() const { return rest_.empty(); }

 private:
    std::string_view rest_;
};

void write(std::string_view bytes) {
    Source from(bytes);
    Envelope envelope;
    envelope.type = from.byte() % 4;
    envelope.publisher = from.id();
    envelope.sequence = from.number();
    envelope.excluded = from.id();
    envelope.reply_to = from.text(std::size_t{from.byte()} * 5);
    envelope.correlation_id = from.text(std::size_t{from.byte()} + from.byte() % 2);
    envelope.dedupe_id = from.text(std::size_t{from.byte()} + from.byte() % 2);
    envelope.timestamp_ms = from.number();
    envelope.payload = from.text(bytes.size());
    std::string written;
    try {
        written = encode(envelope);
    } catch (const Failure& failure) {
        return require(failure.status() == Status::INVALID_ARGUMENT, "a bad field is a bad argument", failure.what());
    }
    Envelope again;
    require(decode(written, again) == EnvelopeKind::envelope, "what is written can be read");
    require(same(envelope, again), "it comes out as it went in");
}

void listen(std::string_view bytes) {
    Source from(bytes);
    Sequences sequences(3, 1);
    std::uint64_t highest = 0;
    while (!from.empty()) {
        Envelope envelope;
        envelope.publisher[0] = from.byte() % 4;
        envelope.sequence = from.number();
        const Sequences::Heard heard = sequences.hear(from.byte() % 2, envelope);
        require(sequences.size() <= 3, "memory is bounded");
        require((heard.kind == Sequences::Kind::gap) == (heard.missing > 0), "only a gap is missing something");
        require(heard.missing < std::max<std::uint64_t>(envelope.sequence, 1), "no more than lies before it");
        highest = std::max(highest, envelope.sequence);
        if (heard.kind == Sequences::Kind::late) require(envelope.sequence < highest, "what is late is not the last");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = fanwire::fuzz::text_of(data, size);
    read(bytes);
    write(bytes);
    listen(bytes);
    return 0;
}
