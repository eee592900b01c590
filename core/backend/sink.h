// What a backend reports, from within the loop. What comes with each message, publish and subscription, and with each
// turn, has a call of its own. Everything else is rare, and is an event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/message/gap_reason.h"
#include "core/message/message.h"
#include "core/message/outcome.h"
#include "core/message/topic.h"

namespace fanwire::core {

// One of the servers of a backend, by its number. Those that have one server, or none, call it 0.
using NodeNumber = std::uint16_t;

struct BackendEvent {
    enum class Kind : std::uint8_t {
        // Of the backend as a whole.
        connected,      // everything that is needed is ready
        disconnected,   // it no longer is, because of `why`; the backend tries again
        gave_up,        // the last of `attempt` attempts has failed with `why`, as connect_failed has said
        revived,        // it tries again after all
        publishable,    // publishes can be sent now
        unpublishable,  // they no longer can
        reply_channel_confirmed,
        reply_channel_refused,  // because of `why`
        reply_channel_lost,     // it is no longer confirmed
        // Of `node`.
        connect_failed,  // an attempt, because of `why`; another one follows if `will_retry`
        reconnecting,    // attempt number `attempt` in a row follows in `delay` ms
        links,           // `publish`, `subscribe`: whether that link is ready
        output_buffer,   // most likely the server closed the last connection because its output buffer was too large
        login_refused,   // credentials set on ready links, because of `why`: the links go on as they were
        probe_sent,
        probe_returned,  // in `round_trip_us`
        probe_failed,    // because of `why`: it did not come back
        probe_refused,   // because of `why`: no probe is possible
        probe_reset,     // the links are not what they were: no probe has come back on them yet
    };

    inline static const Error fine;

    Kind kind;
    NodeNumber node = 0;
    const Error& why = fine;
    bool will_retry = false;
    bool publish = false, subscribe = false;
    std::uint64_t attempt = 0;
    TimeMs delay = 0;
    std::uint64_t round_trip_us = 0;
};

// Names are wire names; views are valid during the call. None of these throws.
class BackendSink {
 public:
    virtual ~BackendSink() = default;

    // `topic`: that by which it came; null: it is not known any more. `shared`: null, or the message that the payload
    // lies in and may be kept by; nothing yet, when other topics of the same payload follow: it may be set.
    virtual void on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef* shared) = 0;
    // On the reply channel.
    virtual void on_reply(std::string_view payload) = 0;

    // `reason`: why it was lost before, where that is known only now; none: as on_lost() said.
    virtual void on_confirmed(Topic& topic, GapReason reason) = 0;
    virtual void on_refused(Topic& topic, const Error& why) = 0;
    // These are no longer confirmed, nor refused. `reason`: what the GAPs are due to when they are confirmed again. A
    // loss of many comes in several calls; topics that were not confirmed may be among them, and lose nothing.
    virtual void on_lost(std::span<Topic* const> topics, const Error& why, GapReason reason) = 0;

    virtual void on_settled(const SettledRun& run) = 0;
    // Publishes that no longer wait to be sent.
    virtual void on_unqueued(std::size_t count, std::size_t bytes) = 0;

    virtual void on_event(const BackendEvent& event) = 0;

    // Something was received on the node's subscribe link.
    virtual void on_heard(NodeNumber node) = 0;
    virtual void on_bytes(std::size_t in, std::size_t out) = 0;
    // The end of one turn of the loop: now is the time to wake consumers.
    virtual void on_turn_end() = 0;
};

}  // namespace fanwire::core
