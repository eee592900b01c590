// What subscribers share: a channel, the pattern it came by, and a payload. Immutable, one allocation.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/base/ref.h"
#include "core/message/message_pool.h"

namespace fanwire::core {

class Message;
using MessageRef = Ref<Message>;

// What a message came by, as users see it: without the namespace.
struct MessageNames {
    std::string_view channel;
    std::string_view pattern;
    bool by_pattern = false;  // else there is no pattern: it is of an exact subscription
};

class Message {
 public:
    // First in memory, so that the C boundary can tell a message from another handle. It says as well whether the
    // message is a request.
    static constexpr std::uint32_t tag_value = 0x6d736731, request_tag = 0x6d736732;  // "msg1", "msg2"

    // Copies names and payload. `received_us`: when it was read. `pool`: for its memory when it is not too large for
    // it; the caller is its taking thread.
    static MessageRef make(const MessageNames& names, std::string_view payload, std::uint64_t received_us = 0,
                           MessagePool* pool = nullptr);

    // A message whose payload lies in that of `owner`, which is kept alive and not copied. A NUL must follow it there.
    static MessageRef make_sharing(const MessageNames& names, MessageRef owner, std::string_view payload,
                                   std::uint64_t received_us = 0, MessagePool* pool = nullptr);

    // One without names whose payload, of `size` bytes, is still to be written by the caller, who shows it to nobody
    // before.
    static MessageRef make_space(std::size_t size, MessagePool* pool = nullptr);
    char* space() { return bytes() + names_size(); }

    // A text that an event carries, kept as the payload of a message without a channel.
    static MessageRef make_text(std::string_view text) { return make({}, text); }

    // Of a message that has just been made and is nobody else's: the first bytes of its payload are a frame's head.
    void take_off_head(std::size_t size, bool is_request) {
        payload_ += size;
        payload_size_ -= size;
        if (is_request) tag_ = request_tag;
    }
    bool is_request() const { return tag_ == request_tag; }
    // What stood in front of a request's payload, the `size` bytes before it.
    std::string_view head(std::size_t size) const { return {payload_ - size, size}; }

    bool has_tag() const { return tag_ == tag_value || tag_ == request_tag; }
    // A NUL that is not counted follows the bytes of each.
    std::string_view channel() const { return {bytes(), channel_size_}; }
    std::string_view pattern() const {
        return has_pattern() ? std::string_view(bytes() + channel_size_ + 1, pattern_size_) : std::string_view();
    }
    bool has_pattern() const { return pattern_size_ != no_pattern; }
    std::string_view payload() const { return {payload_, payload_size_}; }
    std::uint64_t received_us() const { return received_us_; }
    // What a queue is charged for holding it.
    std::size_t cost() const {
        return sizeof(Message) + payload_size_ + channel_size_ + (has_pattern() ? pattern_size_ : 0);
    }

    void retain(std::uint32_t count = 1) { refs_.retain(count); }
    void release() noexcept;

 private:
    friend class MessageReleaser;
    static constexpr std::uint32_t no_pattern = UINT32_MAX;

    Message() = default;
    static Message* allocate(const MessageNames& names, std::size_t payload_size, MessagePool* pool,
                             char*& behind_names);
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
    std::size_t names_size() const { return channel_size_ + (has_pattern() ? pattern_size_ + 2u : 1u); }
    // As it was allocated. A head that was taken off lies in front of the payload.
    std::size_t size() const {
        if (owner_) return sizeof(Message) + names_size();
        return static_cast<std::size_t>(payload_ + payload_size_ + 1 - reinterpret_cast<const char*>(this));
    }

    std::uint32_t tag_ = tag_value;
    RefCount refs_;
    MessagePool* pool_ = nullptr;  // where its memory is from
    const char* payload_ = "";
    std::size_t payload_size_ = 0;
    std::uint64_t received_us_ = 0;
    MessageRef owner_;  // whose payload this is, when not our own
    std::uint32_t channel_size_ = 0, pattern_size_ = no_pattern;
};

// Releases many messages: their memory goes back to its pool in blocks.
class MessageReleaser {
 public:
    MessageReleaser() = default;
    ~MessageReleaser() { flush(); }
    MessageReleaser(const MessageReleaser&) = delete;
    MessageReleaser& operator=(const MessageReleaser&) = delete;

    void release(Message* message) noexcept {
        if (message && message->refs_.release()) dispose(*message);
    }

 private:
    friend class Message;
    void dispose(Message& message) noexcept;
    void flush() noexcept;

    MessagePool* pool_ = nullptr;
    std::size_t count_ = 0;
    std::array<MessagePool::Piece, 64> pieces_;
};

}  // namespace fanwire::core
