// Messages: a fanwire_message is a core Message and nothing else.
#include "capi/src/handle.h"

using namespace fanwire::capi;
using fanwire::core::Message;

const Message& fanwire::capi::message_of(const fanwire_message* handle) {
    if (!handle) reject("message is NULL");
    const auto& message = *reinterpret_cast<const Message*>(handle);
    if (!message.has_tag()) reject("the handle is not a fanwire_message");
    return message;
}

namespace {

int get(const fanwire_message* handle, std::string_view (Message::*part)() const, bool (Message::*present)() const,
        const char** bytes, size_t* size) {
    return guarded([&] {
        const Message& message = message_of(handle);
        const bool there = !present || (message.*present)();
        const std::string_view view = (message.*part)();
        required(bytes, "bytes") = there ? view.data() : nullptr;
        if (size) *size = there ? view.size() : 0;
    });
}

}  // namespace

int fanwire_message_channel(const fanwire_message* message, const char** bytes, size_t* size) {
    return get(message, &Message::channel, nullptr, bytes, size);
}

int fanwire_message_pattern(const fanwire_message* message, const char** bytes, size_t* size) {
    return get(message, &Message::pattern, &Message::has_pattern, bytes, size);
}

int fanwire_message_payload(const fanwire_message* message, const char** bytes, size_t* size) {
    return get(message, &Message::payload, nullptr, bytes, size);
}

int fanwire_message_is_request(const fanwire_message* message) {
    return message && reinterpret_cast<const Message*>(message)->is_request() ? 1 : 0;
}

void fanwire_message_retain(fanwire_message* message) {
    if (message) reinterpret_cast<Message*>(message)->retain();
}

void fanwire_message_release(fanwire_message* message) {
    if (message) reinterpret_cast<Message*>(message)->release();
}
