// One Redis server: a link that publishes and a link that is subscribed, always apart, and the probe that shows that
// the two belong together.
//
// A callback of one link never touches the other one. It notes the fact, and act() does what follows from it at the end
// of the turn: hurries the other link, ends a wait, gives up.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/backend/backend.h"
#include "core/backend/link_driver.h"
#include "core/backend/numsubs.h"
#include "core/base/server_address.h"
#include "core/base/settings.h"
#include "core/net/network.h"
#include "core/protocol/probe.h"
#include "core/protocol/publishing.h"
#include "core/protocol/subscribing.h"

namespace fanwire::core {

// The endpoint of the settings' one server; of a group's master all but the place. Throws Failure INVALID_OPTION (a
// unix_path that is too long, a file of TLS that is of no use).
Endpoint endpoint_of(const Settings& settings);

class Node {
 public:
    // What the node's owner has to judge. What needs no judgement goes straight to the backend's sink.
    class Owner {
     public:
        virtual ~Owner() = default;
        // Both links are ready; they are no longer.
        virtual void node_ready(Node& node) = 0;
        virtual void node_lost(Node& node, const Error& why) = 0;
        // A link was lost or an attempt failed, or the server says that it is a replica. At the turn's end.
        virtual void node_troubled(Node& node) = 0;
        // A link has made the last of its `attempts` and will make no other. At the turn's end.
        virtual void node_exhausted(Node& node, const Error& why, std::int64_t attempts) = 0;
        // The end of a turn of the loop in which the node did something.
        virtual void node_turn_end() = 0;
    };

    // `probe_id`: what tells this node's probes from all others'.
    Node(const Settings& settings, Endpoint endpoint, Network& network, Random random, std::uint64_t probe_id,
         Topics& topics, MessagePool& pool, BackendSink& sink, Owner& owner);
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // Connects for the first time, or again after give_up().
    void start();
    // The server is at another place from the next attempt on, for which nothing waits; connections to the old one end.
    void move(const ServerAddress& to);
    // Links that wait for their next attempt make it at once; when somebody needs them, but not too often.
    void retry();
    void needed();
    // Ends both links as after their last attempt. One link alone is of no use.
    void give_up(const Error& why);
    // For good: settles what waits and disconnects.
    void stop(const Error& why);

    void subscribe(Topic& topic);
    void unsubscribe(Topic& topic);
    // The engine's reply channel is one of this node's.
    void listen(const TopicRef& replies);
    void publish(PublishBatch& batch) { publishing_.publish(batch); }
    void ask(std::unique_ptr<Numsub>& question);
    void set_credentials(const std::string& username, const std::string& password);
    // Sends what the calls above led to.
    void flush();
    std::size_t unsettled() const { return publishing_.queue().unsettled(); }
    // In the child of a fork(): see Backend.
    void close_inherited() noexcept;

 private:
    // What the links report, each on a side of its own.
    class PublishSide : public Link::Listener, public Publishing::Listener {
     public:
        explicit PublishSide(Node& node) : node_(node) {}
        void link_ready() override;
        void link_lost(const Error& why) override;
        void link_failed(const Error& why, bool will_retry) override;
        void link_retry(std::uint32_t attempt, TimeMs delay) override;
        void link_login_accepted() override { node_.note(node_.facts_.login_accepted); }
        void link_login_refused(const Error& why) override;
        bool server_answers(TimeMs now) override;
        void probe_answered(const Outcome& outcome) override;
        void numsub_answered(const Reply& reply) override;
        void role_answered(const Reply& reply) override;

     private:
        Node& node_;
    };

    class SubscribeSide : public Link::Listener, public Subscribing::Listener {
     public:
        explicit SubscribeSide(Node& node) : node_(node) {}
        void link_ready() override;
        void link_lost(const Error& why) override;
        void link_failed(const Error& why, bool will_retry) override;
        void link_retry(std::uint32_t attempt, TimeMs delay) override;
        void message_arriving() override;
        void message(const PushFrame& frame, Topic* topic) override;
        void confirmed(Topic& topic) override;
        void refused(Topic& topic, const Error& why) override;
        void lost(std::span<Topic* const> topics, const Error& why) noexcept override;

     private:
        bool is_own(const PushFrame& frame);

        Node& node_;
    };

    // What has happened and is to be acted on at the turn's end.
    struct Facts {
        bool any = false;
        bool link_ready = false;
        bool login_accepted = false;
        bool answered = false;  // a subscription that publishes are held for
        bool trouble = false;
        Error not_master;  // what the server says of itself now
        struct Exhausted {
            Error why;
            std::int64_t attempts;
        };
        std::optional<Exhausted> exhausted;
    };
    void note(bool& fact) { facts_.any = fact = true; }
    void note_exhausted(Error why, const Link& link);
    void act() noexcept;
    void act_on(const Facts& facts);
    void turn_end();

    bool publish_ready() const { return publish_link_.state() == Link::State::ready; }
    bool subscribe_ready() const { return subscribe_link_.state() == Link::State::ready; }
    void link_ready();
    void link_lost(const Error& why);
    void publish_link_down(const Error& why);
    void retry_follows(std::uint32_t attempt, TimeMs delay);
    void login_accepted();
    void reply_channel_lost();
    void links_changed();
    void check_probe();
    void check_role();
    void hold_publishes();
    // The text with the peer's name in it.
    static Error named(const LinkDriver& connection, const Error& why);

    Network& network_;
    BackendSink& sink_;
    Owner& owner_;
    Endpoint endpoint_;  // of both links, which share what TLS read from files
    PublishSide publish_side_{*this};
    SubscribeSide subscribe_side_{*this};
    Login login_;  // at this server, of both links
    Publishing publishing_;
    Subscribing subscribing_;
    Link publish_link_, subscribe_link_;
    LinkDriver publish_connection_, subscribe_connection_;
    Probe probe_;
    const TopicRef probe_topic_;            // of none of the fan-out's
    TopicRef reply_topic_;                  // nor is this; null unless it is this node's
    GapReason lost_for_ = GapReason::none;  // what the subscribe link has learned of its last connection
    bool probe_confirmed_ = false;
    const std::unique_ptr<Timer> probe_timer_;
    const bool named_by_host_;  // the server's certificate
    const bool is_of_group_;    // only as long as it is the master
    const std::unique_ptr<Timer> role_timer_;
    Numsubs numsubs_;
    const std::unique_ptr<Timer> numsub_timer_;
    Facts facts_;
    bool ready_ = false;  // both links are, as the owner knows
    bool moved_ = false;  // since it was last subscribed
    const TimeMs drain_wait_;
    std::uint32_t reported_attempt_ = 0;  // the highest since the node was last ready
};

}  // namespace fanwire::core
