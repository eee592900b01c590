#include "core/backend/redis.h"

#include <cstdio>
#include <new>
#include <utility>

#include "core/message/frame.h"

namespace fanwire::core {

namespace {

LinkConfig link_config(const Settings& settings) {
    LinkConfig config;
    config.handshake = {settings.client_name, settings.db};
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

Endpoint endpoint(const Settings& settings) {
    if (!settings.unix_path.empty()) Address::of_unix_path(settings.unix_path);  // throws if it is too long
    const std::string& tls_name = settings.tls_server_name.empty() ? settings.host : settings.tls_server_name;
    std::shared_ptr<const TlsContext> tls;
    if (settings.tls) {
        tls = std::make_shared<TlsContext>(TlsContext::Config{settings.tls_ca_file, settings.tls_cert_file,
                                                              settings.tls_key_file, settings.tls_verify});
        tls->check_name(tls_name);
    }
    return {settings.host,
            static_cast<std::uint16_t>(settings.port),
            settings.unix_path,
            settings.connect_timeout_ms,
            static_cast<std::uint32_t>(settings.max_read_delay_us),
            std::move(tls),
            tls_name};
}

}  // namespace

RedisBackend::RedisBackend(const Settings& settings, Loop& loop, Random random, std::uint64_t probe_id, Topics& topics,
                           MessagePool& pool, BackendListener& listener)
    : listener_(listener),
      endpoint_(endpoint(settings)),
      login_({settings.username, settings.password}),
      publishing_(
          settings.offline, publish_side_, [&listener](const SettledRun& run) { listener.on_settled(run); },
          [&listener](std::size_t count, std::size_t bytes) { listener.on_unqueued(count, bytes); }),
      subscribing_(settings.unsubscribe_linger_ms, settings.max_reconnect_delay_ms, topics, subscribe_side_, &pool),
      publish_link_(publish_config(settings), random, login_, publishing_, publish_side_),
      subscribe_link_(subscribe_config(settings), random, login_, subscribing_, subscribe_side_),
      publish_connection_(
          loop, resolver_, endpoint_, publish_link_,
          [&listener](std::size_t in, std::size_t out) { listener.on_bytes(in, out); },
          [&listener] { listener.on_turn_end(); }),
      subscribe_connection_(
          loop, resolver_, endpoint_, subscribe_link_,
          [&listener](std::size_t in, std::size_t out) {
              listener.on_bytes(in, out);
              if (in > 0) listener.on_heard();
          },
          [&listener] { listener.on_turn_end(); }),
      probe_(settings.probe_interval_ms, settings.heartbeat_timeout_ms),
      probe_topic_(Topic::make(TargetKind::channel, probe_channel(probe_id), 0)),
      probe_timer_(loop, [this] { check_probe(); }),
      numsubs_([this](std::string_view command) { publishing_.ask_numsub(command); }),
      numsub_timer_(loop,
                    [this] {
                        numsubs_.tick(now_ms());
                        numsub_timer_.at(numsubs_.deadline());
                        listener_.on_turn_end();
                    }),
      revive_on_use_(settings.revive_on_use),
      drain_wait_(settings.drain_wait_ms) {
    if (probe_.enabled()) subscribing_.want(*probe_topic_, now_ms());
}

void RedisBackend::start() {
    subscribe_connection_.start();
    publish_connection_.start();
}

void RedisBackend::subscribe(Topic& topic) {
    needed();
    subscribing_.want(topic, now_ms());
}

void RedisBackend::unsubscribe(Topic& topic) {
    subscribing_.unwant(topic, now_ms());
    release_publishes();
}

void RedisBackend::listen(const TopicRef& replies) {
    reply_topic_ = replies;
    subscribing_.want(*reply_topic_, now_ms());
}

void RedisBackend::publish(PublishBatch& batch) {
    needed();
    publishing_.publish(batch);
}

void RedisBackend::needed() {
    if (connected_) return;
    if (given_up_) {
        if (revive_on_use_) revive();
        return;
    }
    publish_link_.needed(now_ms());
    subscribe_link_.needed(now_ms());
}

void RedisBackend::reconnect() {
    if (given_up_) return revive();
    publish_link_.retry(now_ms());
    subscribe_link_.retry(now_ms());
}

void RedisBackend::revive() {
    given_up_ = false;
    told_attempt_ = 0;
    numsubs_.revive();
    listener_.on_revived();
    start();
}

void RedisBackend::ask(std::unique_ptr<Numsub>& question) {
    needed();
    numsubs_.add(question);
    numsub_timer_.at(numsubs_.deadline());
}

void RedisBackend::set_credentials(const std::string& username, const std::string& password) {
    login_.set(username, password);
    publish_link_.credentials_set(now_ms());
    subscribe_link_.credentials_set(now_ms());
}

// The publish link tries credentials first: the subscribe link is not risked for those that are wrong.
void RedisBackend::login_proven() {
    if (login_.proven()) subscribing_.login_proven(now_ms());
}

void RedisBackend::flush() {
    subscribe_connection_.flush();
    publish_connection_.flush();
}

void RedisBackend::stop(const Error& why) {
    publishing_.fail_all(why);
    numsubs_.fail_all(why);
    numsub_timer_.at(never);
    publish_connection_.stop();
    subscribe_connection_.stop();
    connected_ = false;
    links_changed();
}

void RedisBackend::close_inherited() noexcept {
    publish_connection_.close_inherited();
    subscribe_connection_.close_inherited();
}

void RedisBackend::links_changed() {
    const bool publish = publish_link_.state() == Link::State::ready;
    const bool subscribe = subscribe_link_.state() == Link::State::ready;
    listener_.on_links(publish, subscribe);
    if (!subscribe) probe_confirmed_ = false;
    const bool possible = publish && probe_confirmed_;
    if (possible == probe_.running()) return;
    if (possible) {
        probe_.begin(now_ms());
    } else {
        probe_.end();
        listener_.on_probe_reset();
    }
    probe_timer_.at(probe_.deadline());
}

void RedisBackend::check_probe() {
    const TimeMs now = now_ms();
    switch (probe_.check(now)) {
        case Probe::Verdict::fine:
            break;
        case Probe::Verdict::send:
            try {
                publishing_.probe(probe_topic_->view(), probe_.next());
                probe_.sent(now_us());
                listener_.on_probe_sent();
            } catch (const std::bad_alloc&) {
                probe_.later(now);
            }
            break;
        case Probe::Verdict::failed: {
            const Error why =
                Error::of(Status::CONNECTION_LOST,
                          {"the server answers, but a message to ourselves did not come back: delivery is broken"});
            listener_.on_probe_failed(why, false);
            subscribe_link_.renew(
                why,
                now);  // which of the two is to blame cannot be known: they may have led to two servers
            publish_link_.renew(why, now);
        }
    }
    flush();
    probe_timer_.at(probe_.deadline());
    listener_.on_turn_end();
}

// What was queued in a break is for us, too: it waits until we are subscribed again.
void RedisBackend::hold_publishes() {
    if (drain_wait_ > 0 && subscribing_.tracker().awaited() > 0) publishing_.hold(now_ms() + drain_wait_);
}

void RedisBackend::release_publishes() {
    if (!publishing_.held() || subscribing_.tracker().awaited() > 0) return;
    publishing_.release();
    publish_connection_.flush();
}

// A link that succeeds shows that the server is back: the other one need not wait any longer.
void RedisBackend::link_ready() {
    links_changed();
    publish_link_.hurry(now_ms());
    subscribe_link_.hurry(now_ms());
    if (connected_ || publish_link_.state() != Link::State::ready || subscribe_link_.state() != Link::State::ready)
        return;
    connected_ = true;
    told_attempt_ = 0;
    listener_.on_connected();
}

// Both links try again by themselves; the application is told of each attempt once.
void RedisBackend::reconnecting(std::uint32_t attempt, TimeMs delay) {
    if (attempt <= told_attempt_) return;
    told_attempt_ = attempt;
    listener_.on_reconnecting(attempt, delay);
}

// One link alone is of no use: when one gives up, both do.
void RedisBackend::give_up(const Error& why, const Link& last) {
    if (std::exchange(given_up_, true)) return;
    const TimeMs now = now_ms();
    if (subscribe_link_.state() == Link::State::ready) listener_.on_subscriptions_lost(why);
    if (publish_link_.state() == Link::State::ready) publish_link_down(why);
    publish_link_.give_up(why, now);
    subscribe_link_.give_up(why, now);
    numsubs_.give_up(Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text}));
    flush();
    connected_ = false;
    links_changed();
    listener_.on_connect_failed(why, false);
    listener_.on_gave_up(why, static_cast<std::uint64_t>(last.failed_attempts()));
}

void RedisBackend::link_lost(const Error& why) {
    links_changed();
    if (!connected_) return;
    connected_ = false;
    listener_.on_disconnected(why);
}

// What was asked on it and has no answer will get none.
void RedisBackend::publish_link_down(const Error& why) {
    probe_.forget_answers();
    numsubs_.link_down(why);
    listener_.on_publishable(false);
}

Error RedisBackend::named(const Connection& connection, const Error& why) {
    if (why.text.find(connection.peer()) != std::string::npos) return why;
    return Error::of(why.status, {connection.peer(), ": ", why.text});
}

void RedisBackend::PublishSide::link_ready() {
    backend_.hold_publishes();
    backend_.listener_.on_publishable(true);
    backend_.numsubs_.link_ready();
    backend_.link_ready();
    link_login_accepted();  // unless an AUTH is still to be answered
}

void RedisBackend::PublishSide::link_lost(const Error& why) {
    backend_.publish_link_down(why);
    backend_.link_lost(named(backend_.publish_connection_, why));
}

// When both links fail, as they do when the server is gone, the application is told of one: the subscribing one.
void RedisBackend::PublishSide::link_failed(const Error& why, bool will_retry) {
    if (!will_retry)
        backend_.give_up(named(backend_.publish_connection_, why), backend_.publish_link_);
    else if (backend_.subscribe_link_.state() == Link::State::ready)
        backend_.listener_.on_connect_failed(named(backend_.publish_connection_, why), true);
}

void RedisBackend::PublishSide::link_retry(std::uint32_t attempt, TimeMs delay) {
    if (backend_.subscribe_link_.state() == Link::State::ready) backend_.reconnecting(attempt, delay);
}

void RedisBackend::PublishSide::link_login_accepted() {
    backend_.login_proven();
    backend_.subscribe_connection_.flush();
}

void RedisBackend::PublishSide::link_login_refused(const Error& why) {
    backend_.listener_.on_login_refused(named(backend_.publish_connection_, why));
}

void RedisBackend::PublishSide::probe_answered(const Outcome& outcome) {
    const TimeMs now = now_ms();
    if (outcome.error) {
        backend_.probe_.refused(now);
        backend_.listener_.on_probe_failed(outcome.error, true);
    } else {
        backend_.probe_.published(outcome.receivers, now);
    }
    backend_.probe_timer_.at(backend_.probe_.deadline());
}

void RedisBackend::PublishSide::numsub_answered(const Reply& reply) {
    backend_.numsubs_.answered(reply);
    backend_.numsub_timer_.at(backend_.numsubs_.deadline());
}

void RedisBackend::SubscribeSide::link_ready() {
    backend_.login_proven();
    if (backend_.subscribe_link_.state() != Link::State::ready) return;  // credentials were set during its greeting
    backend_.listener_.on_gap_reason(backend_.subscribing_.output_buffer_killed() ? GapReason::output_buffer
                                                                                  : GapReason::reconnect);
    backend_.link_ready();
    backend_.publish_connection_.flush();
}

void RedisBackend::SubscribeSide::link_lost(const Error& why) {
    const Error full = named(backend_.subscribe_connection_, why);
    backend_.listener_.on_subscriptions_lost(full);
    backend_.link_lost(full);
}

void RedisBackend::SubscribeSide::link_failed(const Error& why, bool will_retry) {
    const Error full = named(backend_.subscribe_connection_, why);
    if (will_retry)
        backend_.listener_.on_connect_failed(full, true);
    else
        backend_.give_up(full, backend_.subscribe_link_);
}

void RedisBackend::SubscribeSide::link_retry(std::uint32_t attempt, TimeMs delay) {
    backend_.reconnecting(attempt, delay);
}

void RedisBackend::SubscribeSide::message_arriving() {
    if (backend_.probe_.running()) backend_.probe_.delivered(now_ms());
}

// What comes on channels of fanwire's own: our probe, replies to us; another engine's that a pattern matched.
bool RedisBackend::SubscribeSide::is_own(const PushFrame& frame) {
    if (backend_.reply_topic_ && frame.name == backend_.reply_topic_->view()) {
        backend_.listener_.on_reply(frame.payload);
        return true;
    }
    if (frame::is_reply_channel(frame.channel)) return true;
    if (!frame.channel.starts_with(probe_prefix)) return false;
    Probe& probe = backend_.probe_;
    std::uint64_t round_trip_us = 0;
    if (frame.name != backend_.probe_topic_->view() ||
        !probe.returned(frame.payload, now_ms(), now_us(), round_trip_us))
        return true;
    backend_.listener_.on_probe_returned(round_trip_us);
    backend_.probe_timer_.at(probe.deadline());
    return true;
}

void RedisBackend::SubscribeSide::message(const PushFrame& frame, Topic* topic) {
    Probe& probe = backend_.probe_;
    if (probe.running()) probe.delivered(now_ms());
    // Ours are no topics of the table's, but patterns may match them.
    if ((!topic || frame.kind == TargetKind::pattern) && is_own(frame)) return;
    MessageRef storage = MessageRef::share(frame.storage);
    backend_.listener_.on_message(topic, frame.channel, frame.payload, storage ? &storage : nullptr);
}

void RedisBackend::SubscribeSide::confirmed(Topic& topic) {
    if (&topic == backend_.probe_topic_.get()) {
        backend_.probe_confirmed_ = true;
        backend_.links_changed();
    } else if (&topic == backend_.reply_topic_.get()) {
        backend_.listener_.on_reply_channel({});
    } else {
        backend_.listener_.on_confirmed(topic);
    }
    backend_.release_publishes();
}

void RedisBackend::SubscribeSide::refused(Topic& topic, const Error& why) {
    if (&topic == backend_.probe_topic_.get())
        backend_.listener_.on_probe_failed(why, true);
    else if (&topic == backend_.reply_topic_.get())
        backend_.listener_.on_reply_channel(why);
    else
        backend_.listener_.on_refused(topic, why);
    backend_.release_publishes();
}

}  // namespace fanwire::core
