#include "batch.h"

#include <cstring>
#include <limits>
#include <vector>

#include "inbox.h"

namespace fanwire::node {
namespace {

constexpr size_t kHeadWords = 2;
constexpr size_t kRowWords = 5;
constexpr int32_t kMaxInt32 = std::numeric_limits<int32_t>::max();

// A larger message gets a Buffer of its own, so that who keeps it does not keep its neighbours alive.
constexpr size_t kLargestInSlab = 4096;
// A turn of the event loop copies about this much at most, whatever the messages' size.
constexpr size_t kBatchBytes = size_t{1} << 20;

class BatchWriter {
   public:
    BatchWriter(napi_env env, napi_value head) : env_(env) {
        napi_typedarray_type type = napi_int32_array;
        size_t words = 0;
        void* data = nullptr;
        check(env, napi_get_typedarray_info(env, head, &type, &words, &data, nullptr, nullptr));
        if (type != napi_int32_array || words < kHeadWords + kRowWords) throw_plain(env, "head is not as expected");
        head_ = static_cast<int32_t*>(data);
        rows_ = (words - kHeadWords) / kRowWords;
    }

    bool full() const { return row_ == rows_ || bytes_ >= kBatchBytes; }

    void add(const fanwire_event& event) {
        int32_t* row = head_ + kHeadWords + kRowWords * row_;
        row[0] = event.kind;
        row[1] = static_cast<int32_t>(reinterpret_cast<intptr_t>(event.user_data));
        row[2] = row[3] = row[4] = 0;
        if (event.kind == FANWIRE_EVENT_MESSAGE) {
            add_message(event, row);
        } else if (event.kind == FANWIRE_EVENT_PUBLISHED && event.status == FANWIRE_OK && event.count <= kMaxInt32) {
            row[2] = static_cast<int32_t>(event.count);
        } else {
            row[2] = -1;
            row[3] = add_extra(describe(event));
        }
        ++row_;
    }

    napi_value finish(bool more) {
        head_[0] = static_cast<int32_t>(row_);
        head_[1] = more ? 1 : 0;
        napi_value result = make_array(env_);
        append(env_, result, 0, slab_.empty() ? make_undefined(env_) : make_slab());
        append(env_, result, 1, extras_ != nullptr ? extras_ : make_undefined(env_));
        return result;
    }

   private:
    struct Piece {
        const char* channel;
        size_t channel_size;
        const char* payload;
        size_t payload_size;
    };

    void add_message(const fanwire_event& event, int32_t* row) {
        // The channel of an exact subscription is known to JavaScript.
        const size_t channel_size = event.pattern != nullptr ? event.channel_size : 0;
        const Piece piece{event.channel, channel_size, event.payload, event.payload_size};
        const size_t size = channel_size + event.payload_size;
        bytes_ += size;
        row[3] = static_cast<int32_t>(event.payload_size);
        row[4] = static_cast<int32_t>(channel_size);
        if (size > kLargestInSlab) {
            row[2] = -1 - add_extra(make_buffer(size, &piece, 1));
            return;
        }
        row[2] = static_cast<int32_t>(slab_size_ + channel_size);
        slab_size_ += size;
        slab_.push_back(piece);
    }

    napi_value make_slab() { return make_buffer(slab_size_, slab_.data(), slab_.size()); }

    napi_value make_buffer(size_t size, const Piece* pieces, size_t count) {
        void* data = nullptr;
        napi_value buffer = nullptr;
        check(env_, napi_create_buffer(env_, size, &data, &buffer));
        char* out = static_cast<char*>(data);
        for (size_t i = 0; i < count; ++i) {
            out = copy(out, pieces[i].channel, pieces[i].channel_size);
            out = copy(out, pieces[i].payload, pieces[i].payload_size);
        }
        return buffer;
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
        set(env_, object, "delayMs", make_number(env_, static_cast<double>(event.delay_ms)));
        set(env_, object, "willReconnect", make_boolean(env_, event.will_reconnect != 0));
        return object;
    }

    int32_t add_extra(napi_value value) {
        if (extras_ == nullptr) extras_ = make_array(env_);
        append(env_, extras_, extra_count_, value);
        return static_cast<int32_t>(extra_count_++);
    }

    napi_env env_;
    int32_t* head_ = nullptr;
    size_t rows_ = 0;
    size_t row_ = 0;
    size_t bytes_ = 0;
    size_t slab_size_ = 0;
    std::vector<Piece> slab_;
    napi_value extras_ = nullptr;
    uint32_t extra_count_ = 0;
};

} // namespace

napi_value write_batch(napi_env env, Inbox& inbox, napi_value head) {
    if (!inbox.refill()) return nullptr;
    BatchWriter writer(env, head);
    while (const fanwire_event* event = inbox.event()) {
        if (writer.full()) break;
        writer.add(*event);
        inbox.advance();
    }
    return writer.finish(inbox.more());
}

} // namespace fanwire::node
