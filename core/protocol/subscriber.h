// The link that receives: a Link whose tracker keeps Redis's subscriptions equal to the wanted ones.
#pragma once

#include "core/protocol/link.h"
#include "core/protocol/tracker.h"

namespace fanwire::core {

class Subscriber : public Link {
   public:
    class Listener : public Link::Listener, public SubscriptionTracker::Listener {
       public:
        // `target` is the channel or the pattern it came by. Views are valid during the call.
        virtual void message(TargetKind kind, std::string_view target, std::string_view channel,
                             std::string_view payload) = 0;
    };

    Subscriber(const LinkConfig& config, TimeMs linger, Random random, Listener& listener)
        : Link(config, std::move(random), listener),
          tracker_(linger, config.reconnect_delay_max, listener),
          listener_(listener) {}

    void want(TargetKind kind, const NameRef& name, TimeMs now) { tracker_.want(kind, name, now); }
    void unwant(TargetKind kind, std::string_view name, TimeMs now) { tracker_.unwant(kind, name, now); }
    const SubscriptionTracker& tracker() const { return tracker_; }

    std::string_view output(TimeMs now) override;
    void tick(TimeMs now) override;
    TimeMs deadline() const override;

   private:
    void on_ready(TimeMs) override { tracker_.begin(); }
    void on_reply(const Reply& reply, TimeMs now) override;
    void on_down(const Error& why, TimeMs now) override;
    void on_given_up(const Error&) override { tracker_.end(); }
    void send_ping(TimeMs now) override;
    bool take(const Reply& reply, TimeMs now);

    SubscriptionTracker tracker_;
    Listener& listener_;
};

}  // namespace fanwire::core
