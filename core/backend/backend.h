// Where messages come from and go to. One for each engine; IO thread only.
#pragma once

#include <memory>

#include "core/backend/numsub.h"
#include "core/fanout/event.h"
#include "core/message/message.h"
#include "core/message/topic.h"
#include "core/protocol/command_queue.h"

namespace fanwire::core {

// What a backend tells the engine, from within the loop. Names are wire names; views are valid during the call.
class BackendListener {
 public:
    virtual ~BackendListener() = default;

    // `topic`: that by which it came; null: it is not known any more. `shared`: null, or the message that the payload
    // lies in and may be kept by; nothing yet, when other topics of the same payload follow: it may be set.
    virtual void on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef* shared) = 0;
    // On the reply channel.
    virtual void on_reply(std::string_view payload) = 0;
    virtual void on_confirmed(Topic& topic) = 0;
    virtual void on_refused(Topic& topic, const Error& why) = 0;
    // The reply channel is confirmed, or refused.
    virtual void on_reply_channel(const Error& why) = 0;
    // No subscription is confirmed any more, nor the reply channel.
    virtual void on_subscriptions_lost(const Error& why) = 0;

    virtual void on_settled(const SettledRun& run) = 0;
    // Publishes that no longer wait to be sent.
    virtual void on_unqueued(std::size_t count, std::size_t bytes) = 0;
    // Whether publishes can be sent now.
    virtual void on_publishable(bool yes) = 0;

    virtual void on_connected() = 0;
    virtual void on_disconnected(const Error& why) = 0;
    virtual void on_connect_failed(const Error& why, bool will_retry) = 0;
    // Attempt number `attempt` in a row follows in `delay` ms.
    virtual void on_reconnecting(std::uint32_t attempt, TimeMs delay) = 0;
    // The last of so many attempts has failed, which on_connect_failed() has told; it tries again after all.
    virtual void on_gave_up(const Error& why, std::uint64_t attempts) = 0;
    virtual void on_revived() = 0;

    // Credentials set on ready links were refused: they go on as they were.
    virtual void on_login_refused(const Error& why) = 0;
    // Whether each link is ready.
    virtual void on_links(bool publish, bool subscribe) = 0;
    // What GAPs are due to when the subscriptions that were lost are confirmed again.
    virtual void on_gap_reason(GapReason reason) = 0;

    virtual void on_probe_sent() = 0;
    // It came back.
    virtual void on_probe_returned(std::uint64_t round_trip_us) = 0;
    // It is not possible (refused by Redis), or did not come back.
    virtual void on_probe_failed(const Error& why, bool refused) = 0;
    // The links are not what they were: no probe has come back on them yet.
    virtual void on_probe_reset() = 0;

    // Something was received on the subscribe link.
    virtual void on_heard() = 0;
    virtual void on_bytes(std::size_t in, std::size_t out) = 0;
    // The end of one turn of the loop: now is the time to wake consumers.
    virtual void on_turn_end() = 0;
};

class Backend {
 public:
    virtual ~Backend() = default;
    virtual void start() = 0;
    // The loop was woken: before what callers want is looked at.
    virtual void woken() noexcept {}
    // May throw std::bad_alloc, as may publish(), and then has changed nothing. All others never throw.
    virtual void subscribe(Topic& topic) = 0;
    virtual void unsubscribe(Topic& topic) = 0;
    // Subscribes the engine's reply channel, which is none of the fan-out's topics. Once. May throw std::bad_alloc, and
    // then has changed nothing.
    virtual void listen(const TopicRef& replies) = 0;
    // Leaves the batch empty, with memory for the next.
    virtual void publish(PublishBatch& batch) = 0;
    // Answers it once, soon or by its deadline, or when it is stopped. Takes it, unless it throws std::bad_alloc.
    virtual void ask(std::unique_ptr<Numsub>& question) = 0;
    virtual void set_credentials(const std::string& username, const std::string& password) = 0;
    // Links that are not ready try again at once, also when they have given up.
    virtual void reconnect() = 0;
    // A publish was refused because there is no connection: what publish() and subscribe() do for themselves.
    virtual void needed() = 0;
    // After some of the calls above: sends what they led to.
    virtual void flush() = 0;
    // Publishes that have no outcome yet.
    virtual std::size_t unsettled() const = 0;
    // Settles all publishes and disconnects, for good.
    virtual void stop(const Error& why) = 0;
    // In the child of a fork(): closes its copies of the sockets and touches nothing else. Thread: any.
    virtual void close_inherited() noexcept = 0;
};

}  // namespace fanwire::core
