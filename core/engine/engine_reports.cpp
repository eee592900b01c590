// What the backend tells the engine, on its IO thread: passed on to the fan-out, the metrics, the log and who waits.
#include "core/engine/engine.h"

namespace fanwire::core {

void Engine::on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef* shared) {
    metrics_.received.add_alone();
    if (topic) fanout_.message(*topic, channel, payload, read_us_, shared);
}

void Engine::on_confirmed(Topic& topic) {
    fanout_.active(topic);
}

void Engine::on_refused(Topic& topic, const Error& why) {
    log_.write(LogLevel::warn, why.text);
    health_record_.subscription_refused(why);
    fanout_.failed(topic, why);
}

void Engine::on_reply(std::string_view payload) {
    requests_.reply(payload);
}

void Engine::on_reply_channel(const Error& why) {
    if (!why) return requests_.confirmed();
    log_.write(LogLevel::warn, why.text);
    requests_.refused(why);
}

void Engine::on_subscriptions_lost(const Error& why) {
    fanout_.lost(why);
    requests_.lost();
}

void Engine::on_settled(const SettledRun& run) {
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

void Engine::on_unqueued(std::size_t count, std::size_t bytes) {
    outbox_.unqueued(count, bytes);
}

void Engine::on_publishable(bool yes) {
    outbox_.set_publishable(yes);
}

void Engine::on_connected() {
    log_.write(LogLevel::info, "connected");
    metrics_.connected.set(1);
    metrics_.connects.add();
    share_->state.connected();
    tell(Event::of(EventKind::connected));
}

void Engine::on_disconnected(const Error& why) {
    log_.write(LogLevel::warn, {"disconnected: ", why.text});
    share_->state.disconnected(why);
    metrics_.connected.set(0);
    metrics_.disconnects.add();
    Event event = Event::of(EventKind::disconnected, why);
    event.will_reconnect = true;
    tell(std::move(event));
}

void Engine::on_connect_failed(const Error& why, bool will_retry) {
    log_.write(LogLevel::warn, {"connecting failed: ", why.text});
    share_->state.attempt_failed(why, will_retry);
    metrics_.connect_errors.add();
    Event event = Event::of(EventKind::error, why);
    event.will_reconnect = will_retry;
    tell(std::move(event));
}

void Engine::on_reconnecting(std::uint32_t attempt, TimeMs delay) {
    log_.write(LogLevel::info,
               {"connecting again in ", std::to_string(delay), " ms (attempt ", std::to_string(attempt), ")"});
    Event event = Event::of(EventKind::reconnecting);
    event.count = attempt;
    event.delay_ms = static_cast<std::uint64_t>(delay);
    tell(std::move(event));
}

void Engine::on_gave_up(const Error& why, std::uint64_t attempts) {
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
    tell(std::move(event));
}

void Engine::on_revived() {
    log_.write(LogLevel::info, "connecting again after giving up");
    exhausted_ = {};
    outbox_.set_refusal({});
    share_->state.revived();
    requests_.revived();
    fanout_.wanted_again();
}

void Engine::on_login_refused(const Error& why) {
    log_.write(LogLevel::error, {"the new credentials were refused: ", why.text});
    Event event = Event::of(EventKind::error, why);
    event.will_reconnect = true;
    tell(std::move(event));
}

void Engine::on_links(bool publish, bool subscribe) {
    metrics_.publish_link.set(publish ? 1 : 0);
    metrics_.subscribe_link.set(subscribe ? 1 : 0);
}

void Engine::on_gap_reason(GapReason reason) {
    if (reason == GapReason::output_buffer) {
        metrics_.output_buffer_kills.add();
        log_.write(LogLevel::warn, "Redis closed the last connection because its output buffer was too large");
    }
    fanout_.set_gap_reason(reason);
}

void Engine::on_probe_sent() {
    metrics_.probes.add();
}

void Engine::on_probe_returned(std::uint64_t round_trip_us) {
    health_record_.probe_returned(round_trip_us, now_ms());
}

void Engine::on_probe_failed(const Error& why, bool refused) {
    log_.write(LogLevel::warn, {"probe: ", why.text});
    if (refused)
        health_record_.probe_refused(why);
    else
        metrics_.probe_failures.add();
}

void Engine::on_probe_reset() {
    health_record_.probe_reset();
}

void Engine::on_heard() {
    health_record_.heard(now_ms());
}

void Engine::on_bytes(std::size_t in, std::size_t out) {
    if (in > 0) read_us_ = now_us();
    metrics_.bytes_in.add_alone(in);
    metrics_.bytes_out.add_alone(out);
}

void Engine::on_turn_end() {
    fanout_.commit();
    arm_request_timer();
    if (closing_) loop_.wake();  // the end of closing is decided in woken(), outside of any link's call
}

void Engine::tell(Event event) {
    event.user_data = events_.user_data;
    fanout_.tell(events_.inbox, std::move(event));
}

}  // namespace fanwire::core
