#include "batch.h"

#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "asking.h"
#include "inbox.h"

namespace fanwire::node {
namespace {

constexpr size_t kHeadWords = 2;
constexpr size_t kRowWords = 7;
constexpr int32_t kMaxInt32 = std::numeric_limits<int32_t>::max();

// Who keeps the text of one message keeps the slab of strings that it is a part of: so much at most, and as much again
// as it takes to make a string costs next to nothing for each message.
constexpr size_t kTextSlab = 4096;
// A larger message gets a string or Buffer of its own, so that who keeps it does not keep its neighbours alive.
constexpr size_t kLargestText = kTextSlab / 4;
constexpr size_t kLargestInSlab = 4096;
// What is larger is a Buffer outside of V8's heap, text or not: a string in it that no longer fits ends the process.
constexpr size_t kLargestString = size_t{16} << 20;
// With pointers of 32 bits Node makes no larger Buffer; elsewhere the rows have no number above it.
constexpr size_t kLargestBuffer = sizeof(void*) == 4 ? (size_t{1} << 30) - 1 : size_t{kMaxInt32};
// A turn of the event loop copies about this much at most, whatever the messages' size.
constexpr size_t kBatchBytes = size_t{1} << 20;

bool is_ascii(const char* bytes, size_t size) {
    constexpr uint64_t kHighBits = 0x8080808080808080;
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + sizeof seen <= size; i += sizeof seen) {
        uint64_t word = 0;
        std::memcpy(&word, bytes + i, sizeof word);
        seen |= word;
    }
    for (; i < size; ++i) seen |= static_cast<unsigned char>(bytes[i]);
    return (seen & kHighBits) == 0;
}

class BatchWriter {
 public:
    BatchWriter(napi_env env, Inbox& inbox, napi_value head) : env_(env), inbox_(inbox), values_(make_array(env)) {
        const auto words = int32_array(env, head);
        head_ = words.data();
        rows_ = (words.size() - kHeadWords) / kRowWords;
    }

    bool full() const { return row_ == rows_ || bytes_ >= kBatchBytes; }

    void add(const fanwire_event& event) {
        int32_t* row = head_ + kHeadWords + kRowWords * row_;
        row[0] = event.kind;
        row[1] = static_cast<int32_t>(reinterpret_cast<intptr_t>(event.user_data));
        row[2] = row[3] = row[4] = row[5] = row[6] = 0;
        if (event.kind == FANWIRE_EVENT_MESSAGE || event.kind == FANWIRE_EVENT_REPLY) {
            add_message(event, row);
        } else if (event.kind == FANWIRE_EVENT_PUBLISHED && event.status == FANWIRE_OK && event.count <= kMaxInt32) {
            row[2] = static_cast<int32_t>(event.count);
        } else {
            row[2] = -1;
            row[3] = add_value(describe(event));
        }
        ++row_;
    }

    napi_value finish(bool more) {
        head_[0] = static_cast<int32_t>(row_);
        head_[1] = more ? 1 : 0;
        finish_text();
        if (!slab_.empty()) append(env_, values_, slab_index_, make_buffer(slab_size_, slab_.data(), slab_.size()));
        return values_;
    }

 private:
    struct Piece {
        const char* channel;
        size_t channel_size;
        const char* payload;
        size_t payload_size;
    };

    void add_message(const fanwire_event& event, int32_t* row) {
        row[6] = static_cast<int32_t>(inbox_.number_of(event));
        // The channel of an exact subscription is known to JavaScript.
        const size_t channel_size = event.pattern != nullptr ? event.channel_size : 0;
        const Piece piece{event.channel, channel_size, event.payload, event.payload_size};
        const size_t size = channel_size + event.payload_size;
        bytes_ += size;
        if (fanwire_message_is_request(event.message)) return add_request(event.message, piece, size, row);
        if (size > kLargestString) return add_large(piece, size, row);
        row[3] = static_cast<int32_t>(event.payload_size);
        row[4] = static_cast<int32_t>(channel_size);
        const bool is_text = is_ascii(piece.payload, piece.payload_size) && is_ascii(piece.channel, channel_size);
        const size_t before = is_text ? add_text(piece, size, row[5]) : add_bytes(piece, size, row[5]);
        row[2] = static_cast<int32_t>(before + channel_size);
    }

    // Whoever may answer needs the message itself, which stands behind what it lies in.
    void add_request(fanwire_message* message, const Piece& piece, size_t size, int32_t* row) {
        if (size > kLargestString) {
            add_large(piece, size, row);
        } else {
            const bool is_text =
                is_ascii(piece.payload, piece.payload_size) && is_ascii(piece.channel, piece.channel_size);
            row[2] = row[4] = static_cast<int32_t>(piece.channel_size);
            row[3] = static_cast<int32_t>(piece.payload_size);
            row[5] = add_value(is_text ? make_string(piece, size) : make_buffer(size, &piece, 1));
        }
        add_value(make_external(env_, std::make_unique<Asked>(Environment::of(env_), message)));
        row[5] = -1 - row[5];
    }

    // A message that no Buffer can be made of is delivered all the same: see UnreadableMessage.
    void add_large(const Piece& piece, size_t size, int32_t* row) {
        const bool fits = size <= kLargestBuffer;
        napi_value buffer = fits ? make_own_buffer(piece, size) : nullptr;
        row[2] = row[4] = static_cast<int32_t>(piece.channel_size);
        row[3] = buffer != nullptr ? static_cast<int32_t>(piece.payload_size) : -1;
        row[5] = add_value(buffer != nullptr ? buffer : describe_unreadable(piece, fits));
    }

    // Both put the message's channel and payload into values[index], and return where there.

    size_t add_text(const Piece& piece, size_t size, int32_t& index) {
        if (size > kLargestText) {
            index = add_value(make_string(piece, size));
            return 0;
        }
        if (text_size_ + size > kTextSlab) finish_text();
        if (!has_text_) text_index_ = value_count_++;
        has_text_ = true;
        const size_t before = text_size_;
        copy(text_ + before, piece);
        text_size_ += size;
        index = static_cast<int32_t>(text_index_);
        return before;
    }

    size_t add_bytes(const Piece& piece, size_t size, int32_t& index) {
        if (size > kLargestInSlab) {
            index = add_value(make_buffer(size, &piece, 1));
            return 0;
        }
        if (slab_.empty()) slab_index_ = value_count_++;
        const size_t before = slab_size_;
        slab_.push_back(piece);
        slab_size_ += size;
        index = static_cast<int32_t>(slab_index_);
        return before;
    }

    void finish_text() {
        if (has_text_) append(env_, values_, text_index_, make_latin1(text_, text_size_));
        has_text_ = false;
        text_size_ = 0;
    }

    napi_value make_latin1(const char* bytes, size_t size) {
        napi_value string = nullptr;
        check(env_, napi_create_string_latin1(env_, bytes, size, &string));
        return string;
    }

    napi_value make_string(const Piece& piece, size_t size) {
        if (piece.channel_size == 0) return make_latin1(piece.payload, size);
        const auto both = std::make_unique_for_overwrite<char[]>(size);
        copy(both.get(), piece);
        return make_latin1(both.get(), size);
    }

    napi_value make_buffer(size_t size, const Piece* pieces, size_t count) {
        void* data = nullptr;
        napi_value buffer = nullptr;
        check(env_, napi_create_buffer(env_, size, &data, &buffer));
        char* out = static_cast<char*>(data);
        for (size_t i = 0; i < count; ++i) out = copy(out, pieces[i]);
        return buffer;
    }

    // nullptr when there is no memory for it; in that case napi_create_buffer() would end the process.
    napi_value make_own_buffer(const Piece& piece, size_t size) {
        std::unique_ptr<char[]> bytes(new (std::nothrow) char[size]);
        if (bytes == nullptr) return nullptr;
        copy(bytes.get(), piece);
        const auto release = [](napi_env, void* data, void*) { delete[] static_cast<char*>(data); };
        napi_value buffer = nullptr;
        if (napi_create_external_buffer(env_, size, bytes.get(), release, nullptr, &buffer) == napi_ok) {
            bytes.release();
            return buffer;
        }
        bytes.reset();  // Electron: all memory must be V8's
        return make_buffer(size, &piece, 1);
    }

    napi_value describe_unreadable(const Piece& piece, bool fits) {
        napi_value object = make_object(env_);
        const Piece channel{piece.channel, piece.channel_size, nullptr, 0};
        set(env_, object, "channel", make_buffer(piece.channel_size, &channel, 1));
        set(env_, object, "size", make_number(env_, static_cast<double>(piece.payload_size)));
        set(env_, object, "status", make_number(env_, fits ? FANWIRE_NO_MEMORY : FANWIRE_MESSAGE_TOO_LARGE));
        return object;
    }

    static char* copy(char* out, const Piece& piece) {
        return copy(copy(out, piece.channel, piece.channel_size), piece.payload, piece.payload_size);
    }

    static char* copy(char* out, const char* bytes, size_t size) {
        if (size > 0) std::memcpy(out, bytes, size);
        return out + size;
    }

    napi_value describe(const fanwire_event& event) {
        const bool unknown = event.count == FANWIRE_COUNT_UNKNOWN;
        napi_value object = make_object(env_);
        set(env_, object, "status", make_number(env_, event.status));
        set(env_, object, "text", make_text(env_, event.text));
        set(env_, object, "reason", make_number(env_, event.reason));
        set(env_, object, "count", make_number(env_, unknown ? -1 : static_cast<double>(event.count)));
        set(env_, object, "missing",
            make_number(env_, event.missing == FANWIRE_COUNT_UNKNOWN ? -1 : static_cast<double>(event.missing)));
        if (event.kind == FANWIRE_EVENT_NUMSUB && event.status == FANWIRE_OK)
            set(env_, object, "counts", counts_of(event));
        set(env_, object, "delayMs", make_number(env_, static_cast<double>(event.delay_ms)));
        set(env_, object, "willReconnect", make_boolean(env_, event.will_reconnect != 0));
        return object;
    }

    napi_value counts_of(const fanwire_event& event) {
        napi_value counts = make_array(env_);
        for (uint32_t i = 0; i < event.count; ++i) {
            uint64_t count = 0;
            std::memcpy(&count, event.payload + i * sizeof count, sizeof count);
            append(env_, counts, i, make_number(env_, static_cast<double>(count)));
        }
        return counts;
    }

    int32_t add_value(napi_value value) {
        append(env_, values_, value_count_, value);
        return static_cast<int32_t>(value_count_++);
    }

    napi_env env_;
    Inbox& inbox_;
    napi_value values_;
    int32_t* head_ = nullptr;
    size_t rows_ = 0;
    size_t row_ = 0;
    size_t bytes_ = 0;          // of all messages
    uint32_t value_count_ = 0;  // the indices given out

    // The slab of strings at hand
    bool has_text_ = false;
    uint32_t text_index_ = 0;
    size_t text_size_ = 0;
    char text_[kTextSlab];

    // The slab of bytes, made at the end
    uint32_t slab_index_ = 0;
    size_t slab_size_ = 0;
    std::vector<Piece> slab_;
};

}  // namespace

napi_value write_batch(napi_env env, Inbox& inbox, napi_value head) {
    if (!inbox.refill()) return nullptr;
    BatchWriter writer(env, inbox, head);
    while (const fanwire_event* event = inbox.event()) {
        if (writer.full()) break;
        writer.add(*event);
        inbox.advance();
    }
    return writer.finish(inbox.more());
}

}  // namespace fanwire::node
