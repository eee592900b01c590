#include "core/message/message.h"

#include <cstring>
#include <new>

namespace fanwire::core {

MessageRef Message::make(ScopedName channel, ScopedName pattern, std::string_view payload,
                         std::uint64_t received_us) {
    void* memory = ::operator new(sizeof(Message) + payload.size() + 1);
    Message* message = new (memory) Message(std::move(channel), std::move(pattern), nullptr);
    char* to = reinterpret_cast<char*>(message + 1);
    if (!payload.empty()) std::memcpy(to, payload.data(), payload.size());
    to[payload.size()] = '\0';
    message->payload_ = to;
    message->payload_size_ = payload.size();
    message->received_us_ = received_us;
    return MessageRef::adopt(message);
}

MessageRef Message::make_sharing(ScopedName channel, ScopedName pattern, MessageRef owner) {
    void* memory = ::operator new(sizeof(Message));
    Message* message = new (memory) Message(std::move(channel), std::move(pattern), std::move(owner));
    message->payload_ = message->owner_->payload_;
    message->payload_size_ = message->owner_->payload_size_;
    message->received_us_ = message->owner_->received_us_;
    return MessageRef::adopt(message);
}

MessageRef Message::make_text(std::string_view text) { return make({}, {}, text); }

void Message::release() {
    if (!refs_.release()) return;
    tag_ = 0;
    this->~Message();
    ::operator delete(this);
}

}  // namespace fanwire::core
