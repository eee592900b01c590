// What a consumer finds in its inbox.
#pragma once

#include <cstdint>
#include <new>

#include "core/base/error.h"
#include "core/message/gap_reason.h"
#include "core/message/message.h"

namespace fanwire::core {

enum class EventKind : std::uint8_t {
#define FANWIRE_EVENT_KIND(upper, name, code, help) name = code,
#include "core/base/names.def"
};

// Whether an event is an outcome: there is exactly one for each accepted call, and its slot is reserved since then.
inline bool is_outcome(EventKind kind) {
    return kind == EventKind::published || kind == EventKind::numsub || kind == EventKind::request_done;
}

inline constexpr std::uint64_t count_unknown = UINT64_MAX;

// An Error whose text, if there was memory for it, is shared by all events that carry it.
struct Reason {
    Status status = Status::OK;
    MessageRef text;

    Reason() = default;
    explicit Reason(const Error& error) noexcept : status(error.status) {
        try {
            if (!error.text.empty()) text = Message::make_text(error.text);
        } catch (const std::bad_alloc&) {
        }
    }
};

struct Event {
    EventKind kind = EventKind::message;
    GapReason reason = GapReason::none;
    bool will_reconnect = false;
    Status status = Status::OK;
    void* user_data = nullptr;
    MessageRef message;  // for kinds without a payload, and for failures: the text, if there is one
    std::uint64_t count = 0;
    std::uint64_t delay_ms = 0;  // for request_done: how many replies are missing

    static Event of(EventKind kind) {
        Event event;
        event.kind = kind;
        return event;
    }
    // With the status of what went wrong and, if there is one, the text.
    static Event of(EventKind kind, const Reason& why) noexcept {
        Event event = of(kind);
        event.status = why.status;
        event.message = why.text;
        return event;
    }
    static Event of(EventKind kind, const Error& why) noexcept { return of(kind, Reason(why)); }
};

}  // namespace fanwire::core
