// What subscribers share: a channel, the pattern it came by, and a payload. Immutable, one allocation.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/message/name.h"

namespace fanwire::core {

class Message;
using MessageRef = Ref<Message>;

// A wire name and how many of its first bytes are the namespace, which users do not see.
struct ScopedName {
    NameRef name;
    std::uint32_t prefix_size = 0;

    std::string_view view() const { return name ? name->view().substr(prefix_size) : std::string_view(); }
};

class Message {
   public:
    // First in memory, so that the C boundary can tell a message from another handle.
    static constexpr std::uint32_t tag_value = 0x6d736731;  // "msg1"

    // Copies the payload. `pattern` has no name for messages of an exact subscription. `received_us`: when it was read.
    static MessageRef make(ScopedName channel, ScopedName pattern, std::string_view payload,
                           std::uint64_t received_us = 0);

    // Another message with the payload of `owner`, which is shared and not copied.
    static MessageRef make_sharing(ScopedName channel, ScopedName pattern, MessageRef owner);

    // A text that an event carries, kept as the payload of a message without a channel.
    static MessageRef make_text(std::string_view text);

    bool has_tag() const { return tag_ == tag_value; }
    std::string_view channel() const { return channel_.view(); }
    std::string_view pattern() const { return pattern_.view(); }
    bool has_pattern() const { return static_cast<bool>(pattern_.name); }
    // A NUL that is not counted follows the bytes.
    std::string_view payload() const { return {payload_, payload_size_}; }
    std::uint64_t received_us() const { return received_us_; }
    // What a queue is charged for holding it.
    std::size_t cost() const { return sizeof(Message) + payload_size_ + channel().size(); }

    void retain() { refs_.retain(); }
    void release();

   private:
    Message(ScopedName channel, ScopedName pattern, MessageRef owner)
        : channel_(std::move(channel)), pattern_(std::move(pattern)), owner_(std::move(owner)) {}

    std::uint32_t tag_ = tag_value;
    RefCount refs_;
    ScopedName channel_;
    ScopedName pattern_;
    MessageRef owner_;  // whose payload this is, when not our own
    const char* payload_ = "";
    std::size_t payload_size_ = 0;
    std::uint64_t received_us_ = 0;
};

}  // namespace fanwire::core
