#include "core/engine/reports.h"

#include <string>
#include <utility>

namespace fanwire::core {

Reports::Reports(const Settings& settings, const Log& log, EventTarget events, EngineShare& share, Fanout& fanout,
                 Outbox& outbox, Requests& requests, HealthRecord& health, std::function<void()> turn_ended)
    : settings_(settings),
      log_(log),
      events_(std::move(events)),
      state_(share.state),
      metrics_(share.metrics),
      fanout_(fanout),
      outbox_(outbox),
      requests_(requests),
      health_(health),
      turn_ended_(std::move(turn_ended)) {}

void Reports::on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef* shared) {
    metrics_.received.add_alone();
    if (topic) fanout_.message(*topic, channel, payload, read_us_, shared);
}

void Reports::on_confirmed(Topic& topic, GapReason reason) {
    fanout_.active(topic, reason);
}

void Reports::on_refused(Topic& topic, const Error& why) {
    log_.write(LogLevel::warn, why.text);
    health_.subscription_refused(why);
    fanout_.failed(topic, why);
}

void Reports::on_reply(std::string_view payload) {
    requests_.reply(payload);
}

void Reports::reply_channel_refused(const Error& why) {
    log_.write(LogLevel::warn, why.text);
    requests_.refused(why);
}

void Reports::on_lost(std::span<Topic* const> topics, const Error& why, GapReason reason) {
    fanout_.lost(topics, why, reason);
}

void Reports::on_settled(const SettledRun& run) {
    const std::size_t count = run.publishes.size();
    // Answers come in reads, whose time is known; other ends do not.
    const std::uint64_t now = run.error ? now_us() : read_us_;
    metrics_.publish_latency.add(now > run.accepted_us ? now - run.accepted_us : 0, count);
    if (!run.error)
        metrics_.publish_ok.add(count);
    else if (run.error.status == Status::OUTCOME_UNKNOWN)
        metrics_.publish_unknown.add(count);
    else
        metrics_.publish_failed.add(count);
    if (run.error.status == Status::TIMEOUT) metrics_.publish_timeouts.add(count);
    if (run.sink) fanout_.settle(*run.sink, run.publishes, run.error);
}

void Reports::on_unqueued(std::size_t count, std::size_t bytes) {
    outbox_.unqueued(count, bytes);
}

void Reports::on_event(const BackendEvent& event) {
    using Kind = BackendEvent::Kind;
    switch (event.kind) {
        case Kind::connected:
            return connected();
        case Kind::disconnected:
            return disconnected(event.why);
        case Kind::connect_failed:
            return connect_failed(event.why, event.will_retry);
        case Kind::reconnecting:
            return reconnecting(event.attempt, event.delay);
        case Kind::gave_up:
            return gave_up(event.why, event.attempt);
        case Kind::revived:
            return revived();
        case Kind::publishable:
            return outbox_.set_publishable(true);
        case Kind::unpublishable:
            return outbox_.set_publishable(false);
        case Kind::reply_channel_confirmed:
            return requests_.confirmed();
        case Kind::reply_channel_refused:
            return reply_channel_refused(event.why);
        case Kind::reply_channel_lost:
            return requests_.lost();
        case Kind::links:
            metrics_.publish_link.set(event.publish ? 1 : 0);
            return metrics_.subscribe_link.set(event.subscribe ? 1 : 0);
        case Kind::output_buffer:
            return output_buffer_killed();
        case Kind::login_refused:
            return login_refused(event.why);
        case Kind::probe_sent:
            return metrics_.probes.add();
        case Kind::probe_returned:
            return health_.probe_returned(event.round_trip_us, now_ms());
        case Kind::probe_failed:
            log_.write(LogLevel::warn, {"probe: ", event.why.text});
            return metrics_.probe_failures.add();
        case Kind::probe_refused:
            log_.write(LogLevel::warn, {"probe: ", event.why.text});
            return health_.probe_refused(event.why);
        case Kind::probe_reset:
            return health_.probe_reset();
    }
}

void Reports::connected() {
    log_.write(LogLevel::info, "connected");
    metrics_.connected.set(1);
    metrics_.connects.add();
    state_.connected();
    report(Event::of(EventKind::connected));
}

void Reports::disconnected(const Error& why) {
    log_.write(LogLevel::warn, {"disconnected: ", why.text});
    state_.disconnected(why);
    metrics_.connected.set(0);
    metrics_.disconnects.add();
    Event event = Event::of(EventKind::disconnected, why);
    event.will_reconnect = true;
    report(std::move(event));
}

void Reports::connect_failed(const Error& why, bool will_retry) {
    log_.write(LogLevel::warn, {"connecting failed: ", why.text});
    state_.attempt_failed(why, will_retry);
    metrics_.connect_errors.add();
    Event event = Event::of(EventKind::error, why);
    event.will_reconnect = will_retry;
    report(std::move(event));
}

void Reports::reconnecting(std::uint64_t attempt, TimeMs delay) {
    log_.write(LogLevel::info,
               {"connecting again in ", std::to_string(delay), " ms (attempt ", std::to_string(attempt), ")"});
    Event event = Event::of(EventKind::reconnecting);
    event.count = attempt;
    event.delay_ms = static_cast<std::uint64_t>(delay);
    report(std::move(event));
}

void Reports::gave_up(const Error& why, std::uint64_t attempts) {
    const std::string count = std::to_string(attempts) + (attempts == 1 ? " failed attempt" : " failed attempts");
    log_.write(LogLevel::error, {"gave up connecting after ", count, " (max_reconnect_attempts)"});
    exhausted_ = why;
    requests_.gave_up(why);
    if (settings_.revive_on_use) {
        requests_.revived();  // the next one is tried
    } else {
        outbox_.set_refusal(Error::of(Status::NOT_CONNECTED, {"gave up connecting after ", count, ": ", why.text}));
    }
    fanout_.failed_all(why);
    Event event = Event::of(EventKind::gave_up, why);
    event.count = attempts;
    report(std::move(event));
}

void Reports::revived() {
    log_.write(LogLevel::info, "connecting again after giving up");
    exhausted_ = {};
    outbox_.set_refusal({});
    state_.revived();
    requests_.revived();
    fanout_.wanted_again();
}

void Reports::login_refused(const Error& why) {
    log_.write(LogLevel::error, {"the new credentials were refused: ", why.text});
    Event event = Event::of(EventKind::error, why);
    event.will_reconnect = true;
    report(std::move(event));
}

void Reports::output_buffer_killed() {
    metrics_.output_buffer_kills.add();
    log_.write(LogLevel::warn, "Redis closed the last connection because its output buffer was too large");
}

void Reports::on_heard(NodeNumber) {
    health_.heard(now_ms());
}

void Reports::on_bytes(std::size_t in, std::size_t out) {
    if (in > 0) read_us_ = now_us();
    metrics_.bytes_in.add_alone(in);
    metrics_.bytes_out.add_alone(out);
}

void Reports::on_turn_end() {
    fanout_.commit();
    turn_ended_();
}

void Reports::report(Event event) {
    event.user_data = events_.user_data;
    fanout_.queue_event(events_.inbox, std::move(event));
}

}  // namespace fanwire::core
