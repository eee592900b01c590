// What a consumer finds in its inbox. The numbers are those of fanwire_event_kind and fanwire_gap_reason.
#pragma once

#include <cstdint>

#include "core/base/error.h"
#include "core/message/message.h"

namespace fanwire::core {

enum class EventKind : std::uint8_t {
    message = 1,
    active = 2,
    lost = 3,
    resumed = 4,
    gap = 5,
    failed = 6,
    ended = 7,
    published = 8,
    connected = 9,
    disconnected = 10,
    reconnecting = 11,
    error = 12,
};

enum class GapReason : std::uint8_t { none = 0, reconnect = 1, overflow = 2, output_buffer = 3 };

inline constexpr std::uint64_t count_unknown = UINT64_MAX;

struct Event {
    EventKind kind = EventKind::message;
    GapReason reason = GapReason::none;
    bool will_reconnect = false;
    Status status = Status::OK;
    void* user_data = nullptr;
    MessageRef message;  // of other kinds: the text, if there is one
    std::uint64_t count = 0;
    std::uint64_t delay_ms = 0;

    static Event of(EventKind kind) {
        Event event;
        event.kind = kind;
        return event;
    }
    // With the status and the text of what went wrong.
    static Event of(EventKind kind, const Error& error) {
        Event event = of(kind);
        event.status = error.status;
        if (!error.text.empty()) event.message = Message::make_text(error.text);
        return event;
    }
};

}  // namespace fanwire::core
