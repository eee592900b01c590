#include "core/message/message.h"

#include <cstring>
#include <new>
#include <utility>

namespace fanwire::core {

namespace {

// Names are short: two words that overlap cost less than a call.
void copy(char* to, const char* from, std::size_t size) {
    if (size > 32) {
        std::memcpy(to, from, size);
    } else if (size >= 16) {
        std::memcpy(to, from, 16);
        std::memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        std::memcpy(to, from, 8);
        std::memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        std::memcpy(to, from, 4);
        std::memcpy(to + size - 4, from + size - 4, 4);
    } else {
        for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
    }
}

// The bytes and a NUL; returns what follows.
char* put(char* to, std::string_view bytes) {
    copy(to, bytes.data(), bytes.size());
    to[bytes.size()] = '\0';
    return to + bytes.size() + 1;
}

}  // namespace

inline Message* Message::allocate(const MessageNames& names, std::size_t payload_size, MessagePool* pool,
                                  char*& behind_names) {
    const std::size_t names_size = names.channel.size() + 1 + (names.by_pattern ? names.pattern.size() + 1 : 0);
    const std::size_t size = sizeof(Message) + names_size + payload_size;
    if (size > MessagePool::piece_max) pool = nullptr;
    Message* const message = new (pool ? pool->take(size) : ::operator new(size)) Message;
    message->pool_ = pool;
    message->channel_size_ = static_cast<std::uint32_t>(names.channel.size());
    behind_names = put(message->bytes(), names.channel);
    if (names.by_pattern) {
        message->pattern_size_ = static_cast<std::uint32_t>(names.pattern.size());
        behind_names = put(behind_names, names.pattern);
    }
    return message;
}

MessageRef Message::make(const MessageNames& names, std::string_view payload, std::uint64_t received_us,
                         MessagePool* pool) {
    char* to;
    Message* const message = allocate(names, payload.size() + 1, pool, to);
    put(to, payload);
    message->payload_ = to;
    message->payload_size_ = payload.size();
    message->received_us_ = received_us;
    return MessageRef::adopt(message);
}

MessageRef Message::make_space(std::size_t size, MessagePool* pool) {
    char* to;
    Message* const message = allocate({}, size + 1, pool, to);
    message->payload_ = to;
    message->payload_size_ = size;
    to[size] = '\0';
    return MessageRef::adopt(message);
}

MessageRef Message::make_sharing(const MessageNames& names, MessageRef owner, std::string_view payload,
                                 std::uint64_t received_us, MessagePool* pool) {
    char* unused;
    Message* const message = allocate(names, 0, pool, unused);
    message->payload_ = payload.data();
    message->payload_size_ = payload.size();
    message->received_us_ = received_us;
    message->owner_ = std::move(owner);
    return MessageRef::adopt(message);
}

void Message::release() noexcept {
    if (refs_.release()) MessageReleaser().dispose(*this);
}

void MessageReleaser::dispose(Message& message) noexcept {
    message.tag_ = 0;
    MessagePool* const pool = message.pool_;
    const std::size_t size = message.size();
    message.~Message();
    if (!pool) return ::operator delete(&message);
    if (pool != pool_ || count_ == pieces_.size()) flush();
    pool_ = pool;
    pieces_[count_++] = {&message, size};
}

void MessageReleaser::flush() noexcept {
    if (count_ > 0) pool_->give_back(pieces_.data(), std::exchange(count_, 0));
}

}  // namespace fanwire::core
