// One Redis server: a link that publishes and a link that is subscribed, always apart.
#pragma once

#include "core/backend/backend.h"
#include "core/backend/connection.h"
#include "core/backend/numsubs.h"
#include "core/base/settings.h"
#include "core/protocol/probe.h"
#include "core/protocol/publishing.h"
#include "core/protocol/subscribing.h"

namespace fanwire::core {

class RedisBackend : public Backend {
 public:
    // `probe_id`: what tells our probes from other engines'. Throws Failure INVALID_OPTION (a unix_path that is too
    // long, a file of TLS that is of no use).
    RedisBackend(const Settings& settings, Loop& loop, Random random, std::uint64_t probe_id, Topics& topics,
                 MessagePool& pool, BackendListener& listener);

    void start() override;
    void subscribe(Topic& topic) override;
    void unsubscribe(Topic& topic) override;
    void listen(const TopicRef& replies) override;
    void publish(PublishBatch& batch) override;
    void ask(std::unique_ptr<Numsub>& question) override;
    void set_credentials(const std::string& username, const std::string& password) override;
    void reconnect() override;
    void needed() override;
    void flush() override;
    std::size_t unsettled() const override { return publishing_.queue().unsettled(); }
    void stop(const Error& why) override;
    void close_inherited() noexcept override;

 private:
    class PublishSide : public Link::Listener, public Publishing::Listener {
     public:
        explicit PublishSide(RedisBackend& backend) : backend_(backend) {}
        void link_ready() override;
        void link_lost(const Error& why) override;
        void link_failed(const Error& why, bool will_retry) override;
        void link_retry(std::uint32_t attempt, TimeMs delay) override;
        void link_login_accepted() override;
        void link_login_refused(const Error& why) override;
        void probe_answered(const Outcome& outcome) override;
        void numsub_answered(const Reply& reply) override;

     private:
        RedisBackend& backend_;
    };

    class SubscribeSide : public Link::Listener, public Subscribing::Listener {
     public:
        explicit SubscribeSide(RedisBackend& backend) : backend_(backend) {}
        void link_ready() override;
        void link_lost(const Error& why) override;
        void link_failed(const Error& why, bool will_retry) override;
        void link_retry(std::uint32_t attempt, TimeMs delay) override;
        void message_arriving() override;
        void message(const PushFrame& frame, Topic* topic) override;
        void confirmed(Topic& topic) override;
        void refused(Topic& topic, const Error& why) override;

     private:
        bool is_own(const PushFrame& frame);

        RedisBackend& backend_;
    };

    void link_ready();
    void link_lost(const Error& why);
    void publish_link_down(const Error& why);
    void reconnecting(std::uint32_t attempt, TimeMs delay);
    void give_up(const Error& why, const Link& last);
    void revive();
    void links_changed();
    void login_proven();
    void check_probe();
    void hold_publishes();
    void release_publishes();
    // The text with the peer's name in it.
    static Error named(const Connection& connection, const Error& why);

    BackendListener& listener_;
    const Endpoint endpoint_;  // of both links, which share what TLS read from files
    PublishSide publish_side_{*this};
    SubscribeSide subscribe_side_{*this};
    Login login_;  // at this server, of both links
    Publishing publishing_;
    Subscribing subscribing_;
    Link publish_link_, subscribe_link_;
    Resolver resolver_;
    Connection publish_connection_, subscribe_connection_;
    Probe probe_;
    const TopicRef probe_topic_;  // of none of the fan-out's
    TopicRef reply_topic_;        // nor is this; null until it is wanted
    bool probe_confirmed_ = false;
    Loop::Timer probe_timer_;
    Numsubs numsubs_;
    Loop::Timer numsub_timer_;
    bool connected_ = false;
    bool given_up_ = false;
    const bool revive_on_use_;
    const TimeMs drain_wait_;
    std::uint32_t told_attempt_ = 0;  // the highest since the last connection
};

}  // namespace fanwire::core
