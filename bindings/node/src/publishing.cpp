#include "publishing.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "engine.h"
#include "inbox.h"

namespace fanwire::node {
namespace {

void* key_of(uint32_t number) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(number));
}

// As V8 and JavaScriptCore do it: U+FFFD for a surrogate that is not one of a pair.
std::string to_utf8(std::u16string_view text) {
    std::string bytes;
    bytes.reserve(3 * text.size());
    const auto add = [&](uint32_t byte) { bytes += static_cast<char>(byte); };
    for (size_t i = 0; i < text.size(); ++i) {
        uint32_t point = text[i];
        if ((point & 0xf800) == 0xd800) {
            const bool is_pair = point < 0xdc00 && i + 1 < text.size() && (text[i + 1] & 0xfc00) == 0xdc00;
            point = is_pair ? 0x10000 + ((point & 0x3ff) << 10) + (text[++i] & 0x3ffu) : 0xfffd;
        }
        if (point < 0x80) {
            add(point);
        } else if (point < 0x800) {
            add(0xc0 | point >> 6);
            add(0x80 | (point & 0x3f));
        } else if (point < 0x10000) {
            add(0xe0 | point >> 12);
            add(0x80 | (point >> 6 & 0x3f));
            add(0x80 | (point & 0x3f));
        } else {
            add(0xf0 | point >> 18);
            add(0x80 | (point >> 12 & 0x3f));
            add(0x80 | (point >> 6 & 0x3f));
            add(0x80 | (point & 0x3f));
        }
    }
    return bytes;
}

// Strings that JavaScript has put into one, taken off it as UTF-8.
class JoinedText {
 public:
    JoinedText(napi_env env, napi_value value) {
        size_t size = 0;
        check(env, napi_get_value_string_utf16(env, value, nullptr, 0, &units_));
        utf8_.resize(units_ + kSpare);
        check(env, napi_get_value_string_utf8(env, value, utf8_.data(), utf8_.size(), &size));
        if (size == units_) return;  // all is ASCII: with anything else there are more bytes than units
        utf16_.resize(units_ + 1);
        check(env, napi_get_value_string_utf16(env, value, utf16_.data(), utf16_.size(), &units_));
    }

    // Whether next() returns what stays valid as long as this.
    bool keeps() const { return utf16_.empty(); }
    // The next `units` of it, valid until the next call but one unless it keeps().
    std::string_view next(size_t units) {
        const size_t start = at_;
        at_ += units;
        if (utf16_.empty()) return std::string_view(utf8_.data() + start, units);
        turn_ = 1 - turn_;
        converted_[turn_] =
            to_utf8(std::u16string_view(utf16_.data() + start, units));  // cut first: no pair forms there
        return converted_[turn_];
    }

 private:
    // What does not fit is left out, whole characters of up to 4 bytes; it must not end where only ASCII would.
    static constexpr size_t kSpare = 8;

    size_t units_ = 0;
    size_t at_ = 0;
    std::string utf8_;
    std::u16string utf16_;  // when not all is ASCII
    std::string converted_[2];
    size_t turn_ = 0;
};

// publish(engine, channel, payload)
napi_value publish(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const Bytes channel(call.env(), call[1]);
    const Bytes payload(call.env(), call[2]);
    engine.environment().check(
        fanwire_publish(engine.get(), channel.data(), channel.size(), payload.data(), payload.size()));
    return nullptr;
}

// publishAsync(engine, channel, payload, inbox, key, timeoutMs): one PUBLISHED row with that key follows. 0 ms: as the
// setting says
napi_value publish_async(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const Bytes channel(call.env(), call[1]);
    const Bytes payload(call.env(), call[2]);
    const auto& inbox = handle_at<Inbox>(call, 3);
    fanwire_publish_args args = {};
    args.channel = channel.data();
    args.channel_size = channel.size();
    args.payload = payload.data();
    args.payload_size = payload.size();
    args.timeout_ms = call.number(5);
    args.inbox = inbox.get();
    args.user_data = key_of(call.number(4));
    engine.environment().check(fanwire_publish_with(engine.get(), &args, sizeof args));
    return nullptr;
}

// The statuses of entries that were refused: [key, status, text, key, ...].
class Refused {
 public:
    explicit Refused(napi_env env) : env_(env) {}
    void add(uint32_t key, int status) {
        if (list_ == nullptr) list_ = make_array(env_);
        append(env_, list_, size_++, make_number(env_, key));
        append(env_, list_, size_++, make_number(env_, status));
        append(env_, list_, size_++, make_text(env_, fanwire_last_error()));
    }
    napi_value list() const { return list_; }

 private:
    napi_env env_;
    napi_value list_ = nullptr;
    uint32_t size_ = 0;
};

// publishBatch(engine, inbox, text, entries, count): publishAsync() for each entry. An entry is 3 numbers: the sizes of
// the channel and of the payload, which stand one after the other in text, and the key. Returns undefined, or of those
// that were refused [key, status, text, key, ...].
constexpr size_t kRow = 64;

napi_value publish_batch(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const auto& inbox = handle_at<Inbox>(call, 1);
    napi_env env = call.env();
    JoinedText text(env, call[2]);
    const auto entries = int32_array(env, call[3]);
    const size_t count = call.number(4);

    Refused refused(env);
    const size_t row = text.keeps() ? kRow : 1;
    fanwire_publish_args publishes[kRow] = {};
    for (size_t from = 0; from < count; from += row) {
        const size_t size = std::min(row, count - from);
        for (size_t i = 0; i < size; ++i) {
            const auto entry = entries.subspan(3 * (from + i), 3);
            const std::string_view channel = text.next(static_cast<size_t>(entry[0]));
            const std::string_view payload = text.next(static_cast<size_t>(entry[1]));
            publishes[i].channel = channel.data();
            publishes[i].channel_size = channel.size();
            publishes[i].payload = payload.data();
            publishes[i].payload_size = payload.size();
            publishes[i].inbox = inbox.get();
            publishes[i].user_data = key_of(static_cast<uint32_t>(entry[2]));
        }
        for (size_t done = 0; done < size;) {  // behind one that was refused the others go on
            size_t accepted = 0;
            const int status =
                fanwire_publish_many(engine.get(), publishes + done, sizeof publishes[0], size - done, &accepted);
            done += accepted;
            if (status == FANWIRE_OK) continue;
            refused.add(static_cast<uint32_t>(entries[3 * (from + done) + 2]), status);
            ++done;
        }
    }
    return refused.list();
}

}  // namespace

void export_publishing(napi_env env, napi_value exports) {
    export_function<publish>(env, exports, "publish");
    export_function<publish_async>(env, exports, "publishAsync");
    export_function<publish_batch>(env, exports, "publishBatch");
}

}  // namespace fanwire::node
