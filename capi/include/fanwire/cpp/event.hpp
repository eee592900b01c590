// Messages and the events they come in. Part of fanwire.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "fanwire/cpp/detail.hpp"

namespace fanwire {

// A message, kept: immutable and shared by all copies. Views are borrowed from it, valid while any copy lives.
class Message {
 public:
    Message() noexcept = default;

    // One more owner of `message` (NULL: an empty Message).
    explicit Message(fanwire_message* message) noexcept : message_(message) { fanwire_message_retain(message_); }
    Message(const Message& other) noexcept : Message(other.message_) {}
    Message(Message&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    Message& operator=(Message other) noexcept {
        std::swap(message_, other.message_);
        return *this;
    }
    ~Message() { fanwire_message_release(message_); }

    explicit operator bool() const noexcept { return message_ != nullptr; }

    // Without the namespace; pattern() is empty for exact subscriptions. Empty views of an empty Message.
    std::string_view channel() const noexcept { return part(fanwire_message_channel); }
    std::string_view pattern() const noexcept { return part(fanwire_message_pattern); }
    std::string_view payload() const noexcept { return part(fanwire_message_payload); }

    // Whether Engine::reply() can answer it.
    bool is_request() const noexcept { return fanwire_message_is_request(message_) != 0; }

    // Borrowed from this.
    fanwire_message* handle() const noexcept { return message_; }

 private:
    std::string_view part(int (*of)(const fanwire_message*, const char**, std::size_t*)) const noexcept {
        const char* bytes = nullptr;
        std::size_t size = 0;
        if (message_ == nullptr || of(message_, &bytes, &size) != FANWIRE_OK) return {};
        return detail::view(bytes, size);
    }

    fanwire_message* message_ = nullptr;
};

// One event, looked at: its views are borrowed from the Batch it stands in or valid during the handler's call.
// message() keeps what must live longer. What a kind does not name is 0 or empty; see fanwire_event_kind.
class Event {
 public:
    explicit Event(const fanwire_event& event) noexcept : event_(&event) {}

    // A fanwire_event_kind.
    int kind() const noexcept { return event_->kind; }
    bool is_message() const noexcept { return kind() == FANWIRE_EVENT_MESSAGE; }

    std::string_view channel() const noexcept { return detail::view(event_->channel, event_->channel_size); }
    std::string_view pattern() const noexcept { return detail::view(event_->pattern, event_->pattern_size); }
    std::string_view payload() const noexcept { return detail::view(event_->payload, event_->payload_size); }
    Message message() const noexcept { return Message(event_->message); }

    // A fanwire_status and what it is about.
    int status() const noexcept { return event_->status; }
    std::string_view text() const noexcept { return event_->text == nullptr ? "" : event_->text; }

    // A GAP's fanwire_gap_reason; its number of messages, a PUBLISHED's receivers, a RECONNECTING's attempt,
    // a GAVE_UP's failed attempts, a REQUEST_DONE's replies.
    int reason() const noexcept { return event_->reason; }
    std::uint64_t count() const noexcept { return event_->count; }
    bool count_known() const noexcept { return event_->count != FANWIRE_COUNT_UNKNOWN; }

    // Of a REQUEST_DONE: replies that were expected and did not come, or FANWIRE_COUNT_UNKNOWN.
    std::uint64_t missing() const noexcept { return event_->missing; }

    // A NUMSUB's numbers of subscribers, in the order of the channels; none when it failed.
    std::vector<std::uint64_t> counts() const {
        std::vector<std::uint64_t> counts;
        if (kind() != FANWIRE_EVENT_NUMSUB || status() != FANWIRE_OK) return counts;
        counts.resize(static_cast<std::size_t>(event_->count));
        if (!counts.empty()) std::memcpy(counts.data(), event_->payload, event_->payload_size);
        return counts;
    }

    bool will_reconnect() const noexcept { return event_->will_reconnect != 0; }
    std::chrono::milliseconds delay() const noexcept {
        return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(event_->delay_ms));
    }
    void* user_data() const noexcept { return event_->user_data; }

    // Borrowed as this is.
    const fanwire_event& raw() const noexcept { return *event_; }

 private:
    const fanwire_event* event_;
};

using EventHandler = std::function<void(const Event& event)>;
using ErrorHandler = std::function<void(std::exception_ptr error)>;

}  // namespace fanwire
