#include "core/protocol/push_scanner.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/protocol/reply.h"

namespace fanwire::core {

namespace {

constexpr std::string_view message_head = "*3\r\n$7\r\nmessage\r\n", pmessage_head = "*4\r\n$8\r\npmessage\r\n";
// A large frame gets its memory at once up to this; beyond, as its bytes come in.
constexpr std::size_t reserved_max = std::size_t{1} << 20;
// How much is added to a kept beginning that does not say its size yet. The rest goes back if it was too much.
constexpr std::size_t step = 512;
constexpr std::size_t names_max = 4096;  // of a large frame that is kept whole: all of it but the payload
constexpr std::size_t digits_max = 9;    // of ReplyReader::string_max

// A bulk string's "$<size>\r\n" at `at`, which moves behind it.
PushScan read_size(std::string_view bytes, std::size_t& at, std::size_t& size) {
    std::size_t i = at;
    if (i == bytes.size()) return PushScan::partial;
    if (bytes[i] != '$') return PushScan::other;
    const std::size_t first = ++i;
    std::size_t value = 0;
    for (; i < bytes.size(); ++i) {
        const auto digit = static_cast<unsigned char>(bytes[i] - '0');
        if (digit > 9) break;
        if (i - first == digits_max) return PushScan::other;
        value = value * 10 + digit;
    }
    if (i - first > 1 && bytes[first] == '0') return PushScan::other;
    if (i == bytes.size()) return PushScan::partial;
    if (i == first || bytes[i] != '\r') return PushScan::other;
    if (i + 1 == bytes.size()) return PushScan::partial;
    if (bytes[i + 1] != '\n' || value > ReplyReader::string_max) return PushScan::other;
    at = i + 2;
    size = value;
    return PushScan::message;
}

// The bytes of a bulk string of `size` at `at`, which moves behind their line's end.
PushScan read_bytes(std::string_view bytes, std::size_t& at, std::size_t size, std::string_view& out) {
    const std::size_t left = bytes.size() - at;
    if (left < size + 2) return left == size + 1 && bytes.back() != '\r' ? PushScan::other : PushScan::partial;
    const char* const end = bytes.data() + at + size;
    if (end[0] != '\r' || end[1] != '\n') return PushScan::other;
    out = bytes.substr(at, size);
    at += size + 2;
    return PushScan::message;
}

// Whether 16 bytes and one more are the same.
bool same_head(const char* bytes, std::string_view head) {
    std::uint64_t a[2], b[2];
    std::memcpy(a, bytes, 16);
    std::memcpy(b, head.data(), 16);
    return a[0] == b[0] && a[1] == b[1] && std::memcmp(bytes + 16, head.data() + 16, head.size() - 16) == 0;
}

constexpr std::size_t size_line_max = 1 + digits_max + 2;

// read_size() where size_line_max bytes can be looked at. False: see there.
inline bool read_size_fast(const char*& at, std::size_t& size) {
    if (at[0] != '$') return false;
    const char* const first = ++at;
    std::size_t value = static_cast<unsigned char>(*at++ - '0');
    if (value > 9) return false;
    for (unsigned digit; (digit = static_cast<unsigned char>(*at - '0')) <= 9; ++at) {
        if (static_cast<std::size_t>(at - first) == digits_max || value == 0) return false;
        value = value * 10 + digit;
    }
    if (at[0] != '\r' || at[1] != '\n') return false;
    at += 2;
    size = value;
    return true;
}

// scan_push() for a whole message with so much behind it that no size needs to be looked at byte by byte. False: it may
// be anything.
bool scan_fast(std::string_view bytes, PushFrame& frame) {
    if (bytes.size() < pmessage_head.size() + size_line_max) return false;
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    std::size_t size = 0;
    // Of a string whose size stands at `at`, and behind it `more` bytes.
    const auto read = [&](std::string_view& out, std::size_t more) {
        if (!read_size_fast(at, size) || static_cast<std::size_t>(end - at) < size + 2 + more) return false;
        out = {at, size};
        at += size + 2;
        return at[-2] == '\r' && at[-1] == '\n';
    };
    frame.kind = at[1] == '4' ? TargetKind::pattern : TargetKind::channel;
    if (frame.kind == TargetKind::channel) {
        if (!same_head(at, message_head)) return false;
        at += message_head.size();
        if (!read(frame.name, size_line_max)) return false;
        frame.channel = frame.name;
    } else {
        if (!same_head(at, pmessage_head)) return false;
        at += pmessage_head.size();
        if (!read(frame.name, size_line_max) || !read(frame.channel, size_line_max)) return false;
    }
    if (!read(frame.payload, 0)) return false;
    frame.size = static_cast<std::size_t>(at - bytes.data());
    return true;
}

}  // namespace

bool begins_push(std::string_view bytes) {
    return bytes.starts_with(message_head) || bytes.starts_with(pmessage_head);
}

PushScan scan_push(std::string_view bytes, PushFrame& frame) {
    frame.storage = nullptr;
    if (scan_fast(bytes, frame)) return PushScan::message;
    frame.size = 0;
    const bool by_pattern = bytes.size() > 1 && bytes[1] == '4';
    frame.kind = by_pattern ? TargetKind::pattern : TargetKind::channel;
    const std::string_view head = by_pattern ? pmessage_head : message_head;
    if (bytes.size() < head.size()) return head.starts_with(bytes) ? PushScan::partial : PushScan::other;
    if (std::memcmp(bytes.data(), head.data(), head.size()) != 0) return PushScan::other;
    std::size_t at = head.size(), size = 0;
    PushScan found = read_size(bytes, at, size);
    if (found == PushScan::message) found = read_bytes(bytes, at, size, frame.name);
    frame.channel = frame.name;
    if (found == PushScan::message && by_pattern) {
        found = read_size(bytes, at, size);
        if (found == PushScan::message) found = read_bytes(bytes, at, size, frame.channel);
    }
    if (found != PushScan::message) return found;
    found = read_size(bytes, at, size);
    if (found != PushScan::message) return found;
    frame.size = at + size + 2;
    return read_bytes(bytes, at, size, frame.payload);
}

bool scan_acknowledgement(std::string_view bytes, Acknowledgement& acknowledgement) {
    struct Head {
        std::string_view bytes;
        bool subscribed;
        TargetKind kind;
    };
    static constexpr Head heads[] = {
        {"*3\r\n$9\r\nsubscribe\r\n", true, TargetKind::channel},
        {"*3\r\n$10\r\npsubscribe\r\n", true, TargetKind::pattern},
        {"*3\r\n$11\r\nunsubscribe\r\n", false, TargetKind::channel},
        {"*3\r\n$12\r\npunsubscribe\r\n", false, TargetKind::pattern},
    };
    if (!bytes.starts_with("*3\r\n$") || bytes.size() < 8) return false;
    const Head& head = heads[bytes[5] == '9' ? 0 : bytes[6] == '0' ? 1 : bytes[6] == '1' ? 2 : 3];
    if (!bytes.starts_with(head.bytes)) return false;
    std::size_t at = head.bytes.size(), size = 0;
    if (read_size(bytes, at, size) != PushScan::message) return false;
    if (read_bytes(bytes, at, size, acknowledgement.name) != PushScan::message) return false;
    if (at == bytes.size() || bytes[at] != ':') return false;
    const std::size_t first = ++at;
    while (at < bytes.size() && at - first < digits_max && bytes[at] >= '0' && bytes[at] <= '9') ++at;
    if (at == first || (bytes[first] == '0' && at - first > 1) || !bytes.substr(at).starts_with("\r\n")) return false;
    acknowledgement.subscribed = head.subscribed;
    acknowledgement.kind = head.kind;
    acknowledgement.size = at + 2;
    return true;
}

void PushScanner::keep(std::string_view bytes, const PushFrame& frame) {
    size_ = frame.size;
    if (size_ >= large_min) become_large();
    add(bytes);
}

void PushScanner::add(std::string_view bytes) {
    if (!large_) {
        if (size_ != 0) kept_.reserve(size_);
        kept_ += bytes;
        return;
    }
    for (std::string_view rest = bytes; !rest.empty();) {
        if (filled_ == large_->payload().size()) make_room();
        const std::size_t fits = std::min(rest.size(), large_->payload().size() - filled_);
        char* const to = large_->space() + filled_;
        if (rest.data() != to) std::memcpy(to, rest.data(), fits);
        filled_ += fits;
        rest.remove_prefix(fits);
    }
}

// What is kept goes on in a message.
void PushScanner::become_large() {
    filled_ = kept_.size();
    make_room();
    std::memcpy(large_->space(), kept_.data(), filled_);
    kept_.clear();
}

// Memory for a large frame: for all of it, or for twice as much as has come in.
void PushScanner::make_room() {
    MessageRef larger = Message::make_space(std::min(size_, std::max(2 * filled_, reserved_max)), pool_);
    if (large_) std::memcpy(larger->space(), large_->space(), filled_);
    large_ = std::move(larger);
}

std::span<char> PushScanner::room() {
    if (!large_ || other_ || size_ - filled_ < large_min) return {};
    if (filled_ == large_->payload().size()) make_room();
    return {large_->space() + filled_, large_->payload().size() - filled_};
}

// Adds to what is kept; whether that makes it a whole frame.
bool PushScanner::complete(std::string_view bytes, PushFrame& frame, std::size_t& taken) {
    const std::size_t before = kept().size();
    const std::size_t wanted = std::min(bytes.size(), size_ != 0 ? size_ - before : step);
    add(bytes.substr(0, wanted));
    taken = wanted;
    if (size_ != 0 && kept().size() < size_) return false;
    const PushScan found = scan_push(kept(), frame);
    if (found == PushScan::message) {
        taken = frame.size - before;
        // One with many bytes beside the payload, which the inbox's limits know nothing of, is copied.
        if (large_ && size_ - frame.payload.size() <= names_max) {
            large_->space()[frame.payload.data() + frame.payload.size() - large_->space()] = '\0';
            frame.storage = large_.get();
        }
        return true;
    }
    if (found == PushScan::other) {
        other_ = true;
        if (large_) return false;  // where the bytes themselves may be
        kept_.resize(before);
        taken = 0;
        return false;
    }
    size_ = frame.size;
    if (size_ >= large_min) become_large();
    return false;
}

void PushScanner::forget() {
    kept_.clear();
    if (kept_.capacity() > large_min) std::string().swap(kept_);
    large_ = nullptr;
    filled_ = size_ = 0;
    other_ = false;
}

}  // namespace fanwire::core
