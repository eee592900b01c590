// What the subscribe link says and hears: its tracker keeps Redis's subscriptions equal to the wanted ones.
#pragma once

#include "core/protocol/conversation.h"
#include "core/protocol/handshake.h"
#include "core/protocol/push_scanner.h"
#include "core/protocol/tracker.h"

namespace fanwire::core {

class Subscribing : public Conversation {
 public:
    class Listener : public SubscriptionTracker::Listener {
     public:
        // `topic`: that of the frame's name; null: it is not known any more. Views are valid during the call. No
        // topic may come or go.
        virtual void message(const PushFrame& frame, Topic* topic) = 0;
        // Redis says that a subscription is over which we have not ended: a slot that has moved (`sunsubscribe`), say.
        // `word`: what it says. Returns whether the owner knows what to make of it; otherwise the stream cannot be
        // trusted any more, and the link is closed.
        virtual bool revoked(std::string_view, std::string_view) { return false; }
        // Part of a large one came in.
        virtual void message_arriving() {}
    };

    // The link's handshake should ask for the server's stats. `retry_max`: see SubscriptionTracker. `pool`: for the
    // memory of large messages.
    Subscribing(TimeMs linger, TimeMs retry_max, Topics& topics, Listener& listener, MessagePool* pool = nullptr)
        : tracker_(linger, retry_max, topics, listener), scanner_(pool), topics_(topics), listener_(listener) {}

    void want(Topic& topic, TimeMs now) noexcept { tracker_.want(topic, now); }
    void unwant(Topic& topic, TimeMs now) noexcept { tracker_.unwant(topic, now); }
    const SubscriptionTracker& tracker() const { return tracker_; }
    // The server has accepted the newest credentials: a connection of another user is made again. Until this is known
    // it is left alone.
    void login_proven(TimeMs now);
    // Whether Redis had most likely closed the connection before this one because its output buffer was too large.
    bool output_buffer_killed() const { return output_buffer_killed_; }

    std::string_view output(TimeMs now) override;
    void wrote(std::size_t size, TimeMs now) override;
    std::span<char> room() override { return scanner_.room(); }
    void tick(TimeMs now) override;
    TimeMs deadline() const override;

 private:
    void on_ready(TimeMs) override;
    void on_reply(const Reply& reply, TimeMs now) override;
    std::size_t scan(std::string_view bytes, TimeMs now) override;
    bool can_scan(std::string_view bytes) const override;
    std::string scan_left() override;
    void on_down(const Error& why, TimeMs now) override;
    void on_exhausted(const Error& why) override { tracker_.end(why); }
    void send_ping(TimeMs now) override;
    std::string_view unanswered() const override { return tracker_.unanswered(); }
    void on_partial(TimeMs) override { listener_.message_arriving(); }
    bool take(const Reply& reply, TimeMs now);
    std::size_t take(std::span<const PushFrame> frames);
    bool take(const Acknowledgement& acknowledgement, TimeMs now);
    void take(const PushFrame& frame) { listener_.message(frame, topics_.find(frame.kind, frame.name)); }

    SubscriptionTracker tracker_;
    PushScanner scanner_;
    const Topics& topics_;
    Listener& listener_;
    ServerStats stats_;  // as they were when the present connection, or the one before it, began
    bool closed_by_server_ = false;
    bool output_buffer_killed_ = false;
};

}  // namespace fanwire::core
