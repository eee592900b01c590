#include "core/backend/node.h"

#include <cstdio>
#include <new>
#include <utility>

#include "core/message/frame.h"
#include "core/net/resolver.h"
#include "core/net/tls.h"

namespace fanwire::core {

namespace {

using Kind = BackendEvent::Kind;

// Longest silence of a link that shows that the server is well.
constexpr TimeMs heard_lately = 3000;

// How often the master of a group is asked whether it still is.
constexpr TimeMs role_interval = 1000;

LinkConfig link_config(const Settings& settings) {
    LinkConfig config;
    config.handshake = {settings.client_name, settings.db};
    config.handshake.ask_role = settings.topology == TopologyKind::sentinel;
    config.connect_timeout = settings.connect_timeout_ms;
    config.reconnect = {settings.reconnect_delay_ms, settings.max_reconnect_delay_ms, settings.reconnect_factor,
                        settings.reconnect_jitter};
    config.reconnect_attempts_max = settings.max_reconnect_attempts;
    config.heartbeat_interval = settings.heartbeat_interval_ms;
    config.heartbeat_timeout = settings.heartbeat_timeout_ms;
    return config;
}

// What answers us is short; the longest is that to PUBSUB NUMSUB of 1024 long names.
LinkConfig publish_config(const Settings& settings) {
    LinkConfig config = link_config(settings);
    config.reply_max = std::size_t{4} << 20;
    config.pause_max = settings.write_pause_ms;
    return config;
}

LinkConfig subscribe_config(const Settings& settings) {
    LinkConfig config = link_config(settings);
    config.handshake.ask_stats = settings.server_info;
    return config;
}

// Outside of every namespace, so that no pattern of a user's namespace matches it.
constexpr std::string_view probe_prefix = "__fanwire:probe:";

std::string probe_channel(std::uint64_t id) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(id));
    return std::string(probe_prefix) + digits;
}

}  // namespace

Endpoint endpoint_of(const Settings& settings) {
    if (!settings.unix_path.empty()) Address::of_unix_path(settings.unix_path);  // throws if it is too long
    const bool known = settings.topology == TopologyKind::single;
    const std::string& tls_name = settings.tls_server_name.empty() && known ? settings.host : settings.tls_server_name;
    std::shared_ptr<const TlsContext> tls;
    if (settings.tls) {
        tls = std::make_shared<TlsContext>(TlsContext::Config{settings.tls_ca_file, settings.tls_cert_file,
                                                              settings.tls_key_file, settings.tls_verify});
        if (!tls_name.empty()) tls->check_name(tls_name);
    }
    return {known ? settings.host : "",
            static_cast<std::uint16_t>(known ? settings.port : 0),
            settings.unix_path,
            settings.connect_timeout_ms,
            static_cast<std::uint32_t>(settings.max_read_delay_us),
            std::move(tls),
            tls_name};
}

Node::Node(const Settings& settings, Endpoint endpoint, Network& network, Random random, std::uint64_t probe_id,
           Topics& topics, MessagePool& pool, BackendSink& sink, Owner& owner)
    : network_(network),
      sink_(sink),
      owner_(owner),
      endpoint_(std::move(endpoint)),
      login_({settings.username, settings.password}),
      publishing_(
          settings.offline, publish_side_, [&sink](const SettledRun& run) { sink.on_settled(run); },
          [&sink](std::size_t count, std::size_t bytes) { sink.on_unqueued(count, bytes); }),
      subscribing_(settings.unsubscribe_linger_ms, settings.max_reconnect_delay_ms, topics, subscribe_side_, &pool),
      publish_link_(publish_config(settings), random, login_, publishing_, publish_side_),
      subscribe_link_(subscribe_config(settings), random, login_, subscribing_, subscribe_side_),
      publish_connection_(
          network, endpoint_, publish_link_, [&sink](std::size_t in, std::size_t out) { sink.on_bytes(in, out); },
          [this] { turn_end(); }),
      subscribe_connection_(
          network, endpoint_, subscribe_link_,
          [&sink](std::size_t in, std::size_t out) {
              sink.on_bytes(in, out);
              if (in > 0) sink.on_heard(0);
          },
          [this] { turn_end(); }),
      probe_(settings.probe_interval_ms, settings.heartbeat_timeout_ms),
      probe_topic_(Topic::make(TargetKind::channel, probe_channel(probe_id), 0)),
      probe_timer_(network.make_timer([this] { check_probe(); })),
      named_by_host_(settings.tls_server_name.empty()),
      is_of_group_(settings.topology == TopologyKind::sentinel),
      role_timer_(network.make_timer([this] { check_role(); })),
      numsubs_([this](std::string_view command) { publishing_.ask_numsub(command); }),
      numsub_timer_(network.make_timer([this] {
          numsubs_.tick(network_.now());
          numsub_timer_->at(numsubs_.deadline());
          turn_end();
      })),
      drain_wait_(settings.drain_wait_ms) {
    if (probe_.enabled()) subscribing_.want(*probe_topic_, network_.now());
}

void Node::start() {
    reported_attempt_ = 0;
    numsubs_.revive();
    subscribe_connection_.start();
    publish_connection_.start();
    act();
}

void Node::move(const ServerAddress& to) {
    const bool first = endpoint_.port == 0;
    if (named_by_host_) endpoint_.tls_name = to.host;
    endpoint_.host = to.host;
    endpoint_.port = to.port;
    if (first) return;
    moved_ = true;
    const Error why = Error::of(Status::CONNECTION_LOST, {"the master is now ", to.text()});
    const TimeMs now = network_.now();
    subscribe_link_.move(why, now);
    publish_link_.move(why, now);
    flush();
}

void Node::retry() {
    publish_link_.retry(network_.now());
    subscribe_link_.retry(network_.now());
}

void Node::needed() {
    publish_link_.needed(network_.now());
    subscribe_link_.needed(network_.now());
}

void Node::give_up(const Error& why) {
    const TimeMs now = network_.now();
    if (subscribe_ready()) reply_channel_lost();
    if (publish_ready()) publish_link_down(why);
    publish_link_.give_up(why, now);
    subscribe_link_.give_up(why, now);
    numsubs_.give_up(Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text}));
    subscribe_connection_.flush();
    publish_connection_.flush();
    ready_ = false;
    links_changed();
}

void Node::stop(const Error& why) {
    publishing_.fail_all(why);
    numsubs_.fail_all(why);
    numsub_timer_->at(never);
    publish_connection_.stop();
    subscribe_connection_.stop();
    ready_ = false;
    facts_ = {};
    links_changed();
}

void Node::subscribe(Topic& topic) {
    subscribing_.want(topic, network_.now());
}

void Node::unsubscribe(Topic& topic) {
    subscribing_.unwant(topic, network_.now());
    if (publishing_.held()) note(facts_.answered);
}

void Node::listen(const TopicRef& replies) {
    reply_topic_ = replies;
    subscribing_.want(*reply_topic_, network_.now());
}

void Node::ask(std::unique_ptr<Numsub>& question) {
    numsubs_.add(question);
    numsub_timer_->at(numsubs_.deadline());
}

void Node::set_credentials(const std::string& username, const std::string& password) {
    login_.set(username, password);
    publish_link_.credentials_set(network_.now());
    subscribe_link_.credentials_set(network_.now());
}

void Node::flush() {
    subscribe_connection_.flush();
    publish_connection_.flush();
    act();
}

void Node::close_inherited() noexcept {
    publish_connection_.close_inherited();
    subscribe_connection_.close_inherited();
}

// ---- What follows from what the links reported ----

void Node::note_exhausted(Error why, const Link& link) {
    if (!facts_.exhausted) facts_.exhausted = {std::move(why), link.failed_attempts()};
    facts_.any = true;
}

void Node::turn_end() {
    act();
    owner_.node_turn_end();
}

// Acting may lead to new facts, but not without end: each of them needs an answer of the server's, or is acted on once.
// What cannot be done for want of memory is left to the links' timeouts.
void Node::act() noexcept {
    while (facts_.any) {
        try {
            act_on(std::exchange(facts_, {}));
        } catch (const std::bad_alloc&) {
        }
    }
}

void Node::act_on(const Facts& facts) {
    const TimeMs now = network_.now();
    if (facts.exhausted) return owner_.node_exhausted(*this, facts.exhausted->why, facts.exhausted->attempts);
    // A link that succeeds shows that the server is back: the other one need not wait any longer.
    if (facts.link_ready) {
        publish_link_.hurry(now);
        subscribe_link_.hurry(now);
    }
    if (facts.login_accepted) login_accepted();
    // What was queued in a break is for us, too: it has waited until we are subscribed again.
    if (facts.not_master) {
        subscribe_link_.renew(facts.not_master, now);
        publish_link_.renew(facts.not_master, now);
    }
    if (facts.trouble) owner_.node_troubled(*this);
    if (facts.answered && publishing_.held() && subscribing_.tracker().awaited() == 0) publishing_.release();
    subscribe_connection_.flush();
    publish_connection_.flush();
}

// The publish link tries credentials first: the subscribe link is not risked for those that are wrong.
void Node::login_accepted() {
    if (login_.proven()) subscribing_.login_proven(network_.now());
}

void Node::links_changed() {
    const bool publish = publish_ready();
    const bool subscribe = subscribe_ready();
    sink_.on_event({.kind = Kind::links, .publish = publish, .subscribe = subscribe});
    if (is_of_group_) role_timer_->at(publish ? network_.now() + role_interval : never);
    if (!subscribe) probe_confirmed_ = false;
    const bool possible = publish && probe_confirmed_;
    if (possible == probe_.running()) return;
    if (possible) {
        probe_.begin(network_.now());
    } else {
        probe_.end();
        sink_.on_event({.kind = Kind::probe_reset});
    }
    probe_timer_->at(probe_.deadline());
}

// One link is enough to ask: both were made to one server. Not the subscribe link, which may ask nothing.
void Node::check_role() {
    if (!publish_ready()) return;
    try {
        publishing_.ask_role();
    } catch (const std::bad_alloc&) {  // the next time
    }
    role_timer_->at(network_.now() + role_interval);
    publish_connection_.flush();
    turn_end();
}

void Node::check_probe() {
    const TimeMs now = network_.now();
    switch (probe_.check(now)) {
        case Probe::Verdict::fine:
            break;
        case Probe::Verdict::send:
            try {
                publishing_.probe(probe_topic_->view(), probe_.next());
                probe_.sent(network_.now_us());
                sink_.on_event({.kind = Kind::probe_sent});
            } catch (const std::bad_alloc&) {
                probe_.later(now);
            }
            break;
        case Probe::Verdict::failed: {
            const Error why =
                Error::of(Status::CONNECTION_LOST,
                          {"the server answers, but a message to ourselves did not come back: delivery is broken"});
            sink_.on_event({.kind = Kind::probe_failed, .why = why});
            // Which of the two is to blame cannot be known: they may have led to two servers.
            subscribe_link_.renew(why, now);
            publish_link_.renew(why, now);
        }
    }
    subscribe_connection_.flush();
    publish_connection_.flush();
    probe_timer_->at(probe_.deadline());
    turn_end();
}

// What was queued in a break is for us, too: it waits until we are subscribed again.
void Node::hold_publishes() {
    if (drain_wait_ > 0 && subscribing_.tracker().awaited() > 0) publishing_.hold(network_.now() + drain_wait_);
}

void Node::link_ready() {
    links_changed();
    note(facts_.link_ready);
    if (ready_ || !publish_ready() || !subscribe_ready()) return;
    ready_ = true;
    reported_attempt_ = 0;
    owner_.node_ready(*this);
}

// Both links try again by themselves; the application is told of each attempt once.
void Node::retry_follows(std::uint32_t attempt, TimeMs delay) {
    if (attempt <= reported_attempt_) return;
    reported_attempt_ = attempt;
    sink_.on_event({.kind = Kind::reconnecting, .attempt = attempt, .delay = delay});
}

void Node::link_lost(const Error& why) {
    links_changed();
    note(facts_.trouble);
    if (std::exchange(ready_, false)) owner_.node_lost(*this, why);
}

void Node::reply_channel_lost() {
    if (reply_topic_) sink_.on_event({.kind = Kind::reply_channel_lost});
}

// What was asked on it and has no answer will get none.
void Node::publish_link_down(const Error& why) {
    probe_.forget_answers();
    numsubs_.link_down(why);
    sink_.on_event({.kind = Kind::unpublishable});
}

Error Node::named(const LinkDriver& connection, const Error& why) {
    if (why.text.find(connection.peer()) != std::string::npos) return why;
    return Error::of(why.status, {connection.peer(), ": ", why.text});
}

void Node::PublishSide::link_ready() {
    node_.hold_publishes();
    node_.sink_.on_event({.kind = Kind::publishable});
    node_.numsubs_.link_ready();
    node_.link_ready();
    node_.note(node_.facts_.login_accepted);  // unless an AUTH is still to be answered
}

void Node::PublishSide::link_lost(const Error& why) {
    node_.publish_link_down(why);
    node_.link_lost(named(node_.publish_connection_, why));
}

// When both links fail, as they do when the server is gone, the application is told of one: the subscribing one.
void Node::PublishSide::link_failed(const Error& why, bool will_retry) {
    node_.note(node_.facts_.trouble);
    if (!will_retry)
        node_.note_exhausted(named(node_.publish_connection_, why), node_.publish_link_);
    else if (node_.subscribe_ready())
        node_.sink_.on_event(
            {.kind = Kind::connect_failed, .why = named(node_.publish_connection_, why), .will_retry = true});
}

void Node::PublishSide::link_retry(std::uint32_t attempt, TimeMs delay) {
    if (node_.subscribe_ready()) node_.retry_follows(attempt, delay);
}

void Node::PublishSide::link_login_refused(const Error& why) {
    node_.sink_.on_event({.kind = Kind::login_refused, .why = named(node_.publish_connection_, why)});
}

// By the subscribe link, which is sent a PING when nothing comes.
bool Node::PublishSide::server_answers(TimeMs now) {
    return node_.subscribe_ready() && now - node_.subscribe_link_.heard_at() <= heard_lately;
}

void Node::PublishSide::probe_answered(const Outcome& outcome) {
    const TimeMs now = node_.network_.now();
    if (outcome.error) {
        node_.probe_.refused(now);
        node_.sink_.on_event({.kind = Kind::probe_refused, .why = outcome.error});
    } else {
        node_.probe_.published(outcome.receivers, now);
    }
    node_.probe_timer_->at(node_.probe_.deadline());
}

void Node::PublishSide::numsub_answered(const Reply& reply) {
    node_.numsubs_.answered(reply);
    node_.numsub_timer_->at(node_.numsubs_.deadline());
}

void Node::PublishSide::role_answered(const Reply& reply) {
    if (!node_.facts_.not_master) node_.facts_.not_master = master_error(reply);
    node_.facts_.any = true;
}

void Node::SubscribeSide::link_ready() {
    node_.login_accepted();
    if (!node_.subscribe_ready()) return;  // other credentials were set during its greeting
    const bool killed = node_.subscribing_.output_buffer_killed();
    node_.lost_for_ = killed ? GapReason::output_buffer : node_.moved_ ? GapReason::failover : GapReason::none;
    node_.moved_ = false;
    if (killed) node_.sink_.on_event({.kind = Kind::output_buffer});
    node_.link_ready();
}

void Node::SubscribeSide::link_lost(const Error& why) {
    node_.reply_channel_lost();
    node_.link_lost(named(node_.subscribe_connection_, why));
}

void Node::SubscribeSide::link_failed(const Error& why, bool will_retry) {
    node_.note(node_.facts_.trouble);
    Error full = named(node_.subscribe_connection_, why);
    if (will_retry)
        node_.sink_.on_event({.kind = Kind::connect_failed, .why = full, .will_retry = true});
    else
        node_.note_exhausted(std::move(full), node_.subscribe_link_);
}

void Node::SubscribeSide::link_retry(std::uint32_t attempt, TimeMs delay) {
    node_.retry_follows(attempt, delay);
}

void Node::SubscribeSide::message_arriving() {
    if (node_.probe_.running()) node_.probe_.delivered(node_.network_.now());
}

// What comes on channels of fanwire's own: our probe, replies to us; another engine's that a pattern matched.
bool Node::SubscribeSide::is_own(const PushFrame& frame) {
    if (node_.reply_topic_ && frame.name == node_.reply_topic_->view()) {
        node_.sink_.on_reply(frame.payload);
        return true;
    }
    if (frame::is_reply_channel(frame.channel)) return true;
    if (!frame.channel.starts_with(probe_prefix)) return false;
    Probe& probe = node_.probe_;
    std::uint64_t round_trip_us = 0;
    if (frame.name != node_.probe_topic_->view() ||
        !probe.returned(frame.payload, node_.network_.now(), node_.network_.now_us(), round_trip_us))
        return true;
    node_.sink_.on_event({.kind = Kind::probe_returned, .round_trip_us = round_trip_us});
    node_.probe_timer_->at(probe.deadline());
    return true;
}

void Node::SubscribeSide::message(const PushFrame& frame, Topic* topic) {
    Probe& probe = node_.probe_;
    if (probe.running()) probe.delivered(node_.network_.now());
    // Ours are no topics of the table's, but patterns may match them.
    if ((!topic || frame.kind == TargetKind::pattern) && is_own(frame)) return;
    MessageRef storage = MessageRef::share(frame.storage);
    node_.sink_.on_message(topic, frame.channel, frame.payload, storage ? &storage : nullptr);
}

void Node::SubscribeSide::confirmed(Topic& topic) {
    if (&topic == node_.probe_topic_.get()) {
        node_.probe_confirmed_ = true;
        node_.links_changed();
    } else if (&topic == node_.reply_topic_.get()) {
        node_.sink_.on_event({.kind = Kind::reply_channel_confirmed});
    } else {
        node_.sink_.on_confirmed(topic, node_.lost_for_);
    }
    if (node_.publishing_.held()) node_.note(node_.facts_.answered);
}

void Node::SubscribeSide::refused(Topic& topic, const Error& why) {
    if (&topic == node_.probe_topic_.get())
        node_.sink_.on_event({.kind = Kind::probe_refused, .why = why});
    else if (&topic == node_.reply_topic_.get())
        node_.sink_.on_event({.kind = Kind::reply_channel_refused, .why = why});
    else
        node_.sink_.on_refused(topic, why);
    if (node_.publishing_.held()) node_.note(node_.facts_.answered);
}

void Node::SubscribeSide::lost(std::span<Topic* const> topics, const Error& why) noexcept {
    node_.sink_.on_lost(topics, named(node_.subscribe_connection_, why), GapReason::reconnect);
}

}  // namespace fanwire::core
