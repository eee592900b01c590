#include "core/engine/engine.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <system_error>

#include "core/backend/custom.h"
#include "core/backend/memory.h"
#include "core/backend/redis.h"
#include "core/base/door.h"
#include "core/base/thread.h"

namespace fanwire::core {

namespace {

thread_local bool on_io_thread = false;

const Error closed_error{Status::CLOSED, "the engine is closed"};

// Where publish_wait() waits.
class WaitingSink : public OutcomeSink {
 public:
    bool settle(std::span<const Settled> publishes, const Error& error) noexcept override {
        std::lock_guard lock(mutex_);
        outcome_ = Outcome{error, publishes.front().receivers};
        return true;
    }
    void signal() noexcept override { settled_.notify_all(); }
    std::optional<Outcome> wait(Engine::Deadline deadline) {
        std::unique_lock lock(mutex_);
        settled_.wait_until(lock, deadline, [&] { return outcome_.has_value(); });
        return std::move(outcome_);
    }

 private:
    std::mutex mutex_;
    std::condition_variable settled_;
    std::optional<Outcome> outcome_;
};

}  // namespace

void refuse_io_thread(const char* what) {
    if (on_io_thread)
        throw Failure(Status::INVALID_ARGUMENT,
                      std::string(what) + " must not be called from a wake or log function: the IO thread would wait");
}

Engine::Engine(Settings settings, LogSink log, EventTarget events, std::unique_ptr<Broker> broker)
    : settings_(std::move(settings)),
      names_(settings_.namespace_, settings_.channel_rules),
      log_(settings_.log_level, std::move(log)),
      events_(std::move(events)),
      fanout_(topics_, metrics_, names_.channel_prefix_size()),
      loop_([this] { woken(); }),
      flush_moderation_(static_cast<std::uint32_t>(settings_.max_flush_delay_us)),
      questions_(static_cast<std::size_t>(settings_.max_requests),
                 static_cast<std::size_t>(settings_.publish_buffer_bytes)),
      requests_(reply_id_, names_.channel_prefix_size(), static_cast<std::size_t>(settings_.max_requests),
                static_cast<std::size_t>(settings_.publish_buffer_bytes), for_requests()) {
    BackendListener& listener = *this;
    if (settings_.backend == BackendKind::custom) {
        backend_ =
            std::make_unique<CustomBackend>(settings_, std::move(broker), topics_, listener, loop_, [this] { wake(); });
    } else if (settings_.backend == BackendKind::memory) {
        backend_ = std::make_unique<MemoryBackend>(topics_, listener, loop_, settings_.memory_name, [this] { wake(); });
        publishable_ = true;  // connected from the first moment
        metrics_.connected.set(1);
        on_links(true, true);
        monitor_->connection = Connection::up;
        monitor_->was_up = true;
    } else {
        const Random random = [this] { return std::uniform_real_distribution<double>(0.0, 1.0)(random_engine_); };
        backend_ = std::make_unique<RedisBackend>(settings_, loop_, random, random_engine_(), topics_, fanout_.pool(),
                                                  listener);
    }
    close_timer_ = std::make_unique<Loop::Timer>(loop_, [this] { woken(); });
    request_timer_ = std::make_unique<Loop::Timer>(loop_, [this] {
        request_timer_at_ = never;
        requests_.tick(now_ms());
        on_turn_end();
    });
    if (settings_.max_flush_delay_us > 0) {
        flush_timer_ = std::make_unique<Loop::PreciseTimer>(loop_, [this] {
            flush_due_ = true;
            woken();
        });
    }
    monitor_->wake = [this] { wake(); };
    try {
        io_thread_ = start_thread("fanwire-io", [this] {
            on_io_thread = true;
            for (const std::string& note : settings_.notes) log_.write(LogLevel::warn, note);
            backend_->start();
            on_turn_end();
            loop_.run();
        });
    } catch (const std::system_error& error) {
        throw Failure(Status::SYSTEM_ERROR, std::string("no thread for the engine: ") + error.what());
    }
}

Engine::~Engine() {
    close(Deadline::min());
}

// ---- any thread ----------------------------------------------------------------------------------------------------

void Engine::wake() {
    if (!wake_pending_.exchange(true, std::memory_order_acq_rel)) loop_.wake();
}

// Whether one more publish of `size` encoded bytes may wait. Under publish_mutex_.
void Engine::check_room(std::size_t size) const {
    if (publish_closed_) throw Failure(closed_error);
    const std::uint64_t count = accepted_count_ - unqueued_count_.load(std::memory_order_relaxed);
    const std::uint64_t bytes = accepted_bytes_ - unqueued_bytes_.load(std::memory_order_relaxed) + size;
    if (publishable_) {
        const auto limit = static_cast<std::uint64_t>(settings_.publish_buffer_bytes);
        if (bytes > limit && count > 0)
            throw Failure(Status::QUEUE_FULL, "unsent publishes fill publish_buffer_bytes (" + std::to_string(limit) +
                                                  "): publish more slowly, or wait for outcomes");
        return;
    }
    if (publish_refusal_) throw Failure(publish_refusal_);
    if (settings_.offline == Offline::fail)
        throw Failure(Status::NOT_CONNECTED, "there is no connection to Redis, and offline=fail");
    if (count >= static_cast<std::uint64_t>(settings_.offline_count))
        throw Failure(Status::QUEUE_FULL, "there is no connection to Redis, and offline_count (" +
                                              std::to_string(settings_.offline_count) + ") publishes wait for it");
    if (bytes > static_cast<std::uint64_t>(settings_.offline_bytes))
        throw Failure(Status::QUEUE_FULL, "there is no connection to Redis, and offline_bytes (" +
                                              std::to_string(settings_.offline_bytes) + ") of publishes wait for it");
}

void Engine::check_size(std::string_view payload) const {
    if (payload.size() > static_cast<std::size_t>(settings_.max_message_bytes))
        throw Failure(Status::MESSAGE_TOO_LARGE, "the message has " + std::to_string(payload.size()) +
                                                     " bytes, max_message_bytes is " +
                                                     std::to_string(settings_.max_message_bytes));
}

[[gnu::always_inline]] inline void Engine::enqueue(std::string_view prefix, std::string_view channel,
                                                   std::string_view payload, const std::shared_ptr<OutcomeSink>& sink,
                                                   void* user_data, std::uint32_t timeout) {
    bool wanted;
    {
        std::lock_guard lock(publish_mutex_);
        try {
            check_room(prefix.size() + channel.size() + payload.size());
        } catch (const Failure& failure) {
            if (failure.status() != Status::CLOSED) metrics_.publish_rejected.add();
            if (failure.status() == Status::NOT_CONNECTED && !connection_needed_.exchange(true)) wake();
            if (wake_at_bytes_ != 0 && !std::exchange(wake_asked_, true)) wake();  // to make room of what is put off
            throw;
        }
        const bool first = batch_.empty();
        accepted_bytes_ += batch_.add(prefix, channel, payload, sink, user_data, timeout);
        ++accepted_count_;
        if (first || wake_at_bytes_ != 0) last_accepted_us_ = now_us();
        if (first) batch_.accepted_us = last_accepted_us_;
        wanted = !wake_asked_ && accepted_bytes_ >= wake_at_bytes_;
        if (wanted) wake_asked_ = true;
    }
    if (wanted) wake();
}

void Engine::publish(std::string_view channel, std::string_view payload, const std::shared_ptr<OutcomeSink>& sink,
                     void* user_data, std::uint32_t timeout) {
    names_.check_channel(channel);
    check_size(payload);
    if (frame::begins(payload))  // whoever receives it would take it for one
        return publish_framed(names_.channel_prefix(), channel, frame::plain(payload), sink, user_data, timeout);
    enqueue(names_.channel_prefix(), channel, payload, sink, user_data, timeout);
}

void Engine::publish_framed(std::string_view prefix, std::string_view channel, const std::string& framed,
                            const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout) {
    enqueue(prefix, channel, framed, sink, user_data, timeout);
}

// What is counted for each publish is not counted in shared memory, which would cost more than all the rest.
const Metrics& Engine::metrics() const {
    std::lock_guard lock(publish_mutex_);
    // First: what has ended was accepted before.
    const std::uint64_t settled =
        metrics_.publish_ok.get() + metrics_.publish_failed.get() + metrics_.publish_unknown.get();
    metrics_.published.set(accepted_count_);
    metrics_.publish_queued.set(accepted_count_ - settled);
    metrics_.publish_unsent.set(accepted_count_ - unqueued_count_.load(std::memory_order_relaxed));
    metrics_.publish_unsent_bytes.set(accepted_bytes_ - unqueued_bytes_.load(std::memory_order_relaxed));
    return metrics_;
}

std::uint64_t Engine::publish_wait(std::string_view channel, std::string_view payload, Deadline deadline) {
    refuse_io_thread("publish_wait");
    const auto sink = std::make_shared<WaitingSink>();
    publish(channel, payload, sink);
    std::optional<Outcome> outcome = sink->wait(deadline);
    // It is accepted: what follows must not fail for want of memory.
    if (!outcome) throw Failure(Error::of(Status::TIMEOUT, {"the publish has no outcome yet; it is still under way"}));
    if (outcome->error) throw Failure(std::move(outcome->error));
    return outcome->receivers;
}

OutletRef Engine::outlet(std::shared_ptr<Inbox> inbox) const {
    return OutletRef::adopt(new Outlet(std::move(inbox), monitor_));
}

SubscriptionRef Engine::subscribe(TargetKind kind, std::string_view name, const OutletRef& outlet, void* user_data) {
    const bool exact = kind == TargetKind::channel;
    const std::string wire = exact ? names_.channel(name) : names_.pattern(name);
    const std::size_t prefix = exact ? names_.channel_prefix_size() : names_.pattern_prefix_size();
    const auto max = static_cast<std::uint64_t>(settings_.max_subscriptions);
    if (closed()) throw Failure(closed_error);
    auto subscription = SubscriptionRef::adopt(new Subscription(Topic::make(kind, wire, prefix), outlet, user_data));
    std::atomic<std::uint64_t>& open = monitor_->subscriptions;
    if (open.fetch_add(1) >= max && max != 0) {
        open.fetch_sub(1);
        throw Failure(Status::LIMIT_REACHED, "max_subscriptions (" + std::to_string(max) + ") are open");
    }
    try {
        subscription->open();
    } catch (...) {
        open.fetch_sub(1);
        throw;
    }
    return subscription;
}

void Engine::end_retired() noexcept {
    inboxes_retired_.store(true, std::memory_order_release);
    wake();
}

void Engine::set_credentials(std::string username, std::string password) {
    auto credentials = std::make_unique<Credentials>(Credentials{std::move(username), std::move(password)});
    {
        std::lock_guard lock(monitor_->queue_mutex);
        if (monitor_->queue_closed) throw Failure(closed_error);
        credentials_ = std::move(credentials);
    }
    wake();
}

void Engine::reconnect() {
    if (closed()) throw Failure(closed_error);
    {
        std::lock_guard lock(monitor_->mutex);  // whoever waits from now on waits for the attempt that follows
        if (monitor_->connection == Connection::failed) monitor_->connection = Connection::pending;
    }
    reconnect_asked_.store(true, std::memory_order_release);
    wake();
}

EngineState Engine::state() const {
    if (closed()) return EngineState::closed;
    std::lock_guard lock(monitor_->mutex);
    if (monitor_->connection == Connection::up) return EngineState::connected;
    if (monitor_->gave_up) return EngineState::gave_up;
    return monitor_->was_up ? EngineState::reconnecting : EngineState::connecting;
}

Health Engine::health() const {
    HealthFacts facts;
    facts.closed = closed();
    facts.has_links = settings_.backend != BackendKind::memory;
    facts.publish_link = metrics_.publish_link.get() != 0;
    facts.subscribe_link = metrics_.subscribe_link.get() != 0;
    facts.confirmed = metrics_.subscriptions_confirmed.get();  // first: it never exceeds what is read after it for long
    facts.refused = metrics_.subscriptions_refused.get();
    facts.desired = metrics_.subscriptions_desired.get();
    const std::uint64_t seen = metrics_.subscriptions.get(), open = monitor_->subscriptions.load();
    facts.unseen = open > seen ? open - seen : 0;
    facts.heartbeat_timeout = settings_.heartbeat_timeout_ms + settings_.heartbeat_interval_ms;
    facts.probe_interval = settings_.probe_interval_ms;
    facts.probe_deadline = settings_.heartbeat_timeout_ms;
    facts.received_at = heard_at_.load(std::memory_order_relaxed);
    facts.probe_at = probe_at_.load(std::memory_order_relaxed);
    facts.probe_us = probe_us_.load(std::memory_order_relaxed);
    facts.probe_returned = probe_returned_.load(std::memory_order_relaxed);
    {
        std::lock_guard lock(monitor_->mutex);
        facts.connection = monitor_->connection_error;
        facts.gave_up = monitor_->gave_up;
        facts.refusal = refusal_;
        facts.probe_refusal = probe_refusal_;
    }
    facts.now = now_ms();
    return judge(facts);
}

void Engine::abandon() const noexcept {
    backend_->abandon();
}

void Engine::wait_connected(Deadline deadline) {
    refuse_io_thread("wait_connected");
    std::unique_lock lock(monitor_->mutex);
    if (!monitor_->wait(lock, deadline, [&] { return monitor_->connection != Connection::pending; }))
        throw Failure(Status::TIMEOUT, "not connected yet");
    if (monitor_->connection == Connection::closed) throw Failure(closed_error);
    if (monitor_->connection == Connection::failed) throw Failure(monitor_->connection_error);
}

Error Engine::close(Deadline deadline) {
    refuse_io_thread("close");
    std::lock_guard closing(close_mutex_);
    if (!io_thread_.joinable()) return {};
    {
        std::lock_guard lock(publish_mutex_);
        publish_closed_ = true;
    }
    questions_.shut();
    requests_.shut();
    {
        std::lock_guard lock(monitor_->queue_mutex);
        monitor_->queue_closed = true;
        close_deadline_ = deadline;
    }
    closed_.store(true, std::memory_order_release);
    close_asked_.store(true, std::memory_order_release);
    loop_.wake();
    io_thread_.join();
    if (left_without_outcome_ == 0) return {};
    return Error::of(Status::TIMEOUT, {"closed with ", std::to_string(left_without_outcome_),
                                       " publishes that had no outcome; each has been reported"});
}

// ---- IO thread -----------------------------------------------------------------------------------------------------

void Engine::woken() {
    wake_pending_.store(false, std::memory_order_release);
    // Read first: once it is set nothing more is accepted, so what is taken below is all there is.
    const bool close_asked = close_asked_.load(std::memory_order_acquire);
    FANWIRE_DOOR("close read");
    bool complete = true;
    if (settings_.backend == BackendKind::memory) read_us_ = now_us();
    backend_->woken();
    try {
        run_commands();
        take_publishes();
        FANWIRE_DOOR("publishes taken");
    } catch (const std::bad_alloc&) {  // what is left, with what failed, has its next turn
        log_.write(LogLevel::error, "out of memory");
        wake();
        complete = false;
    }
    backend_->flush();
    fanout_.commit();
    arm_request_timer();

    if (!close_asked || (!complete && std::chrono::steady_clock::now() < close_deadline_)) return;
    closing_ = true;
    if (close_is_due())
        finish();
    else if (close_deadline_ != Deadline::max())
        close_timer_->at(std::chrono::ceil<std::chrono::milliseconds>(close_deadline_.time_since_epoch()).count());
}

void Engine::run_commands() {
    // Read before the queue is taken: what was subscribed before its inbox was retired is added by then.
    const bool retired = inboxes_retired_.exchange(false, std::memory_order_acq_rel);
    FANWIRE_DOOR("retired read");
    try {
        while (next_queued()) look_at(*looked_at_);
        FANWIRE_DOOR("queue taken");
    } catch (...) {
        if (retired) inboxes_retired_.store(true, std::memory_order_release);
        throw;
    }
    if (retired) give_up_retired();
    take_credentials();
    if (connection_needed_.exchange(false, std::memory_order_acq_rel)) backend_->needed();
    if (reconnect_asked_.exchange(false, std::memory_order_acq_rel)) backend_->reconnect();
    if (questions_.any()) take_questions();
    if (requests_.any()) requests_.turn(now_ms());
}

void Engine::take_credentials() {
    std::unique_ptr<Credentials> credentials;
    {
        std::lock_guard lock(monitor_->queue_mutex);
        credentials = std::move(credentials_);
    }
    if (!credentials) return;
    try {
        backend_->set_credentials(credentials->username, credentials->password);
    } catch (...) {
        std::lock_guard lock(monitor_->queue_mutex);
        if (!credentials_) credentials_ = std::move(credentials);
        throw;
    }
}

bool Engine::next_queued() {
    if (looked_at_) return true;
    std::lock_guard lock(monitor_->queue_mutex);
    looked_at_ = std::exchange(monitor_->queued_first, nullptr);
    return looked_at_ != nullptr;
}

// Makes true what its consumer wants of the front one.
void Engine::look_at(Subscription& subscription) {
    if (!subscription.added && !subscription.given_up()) add(subscription);
    FANWIRE_DOOR("added");
    // From here on it may be queued again; who gave it up before is seen below.
    looked_at_ = subscription.unqueue();
    if (subscription.given_up()) end(subscription, Error::of(Status::UNSUBSCRIBED, {"unsubscribed"}));
    subscription.release();  // the queue's
}

void Engine::add(Subscription& subscription) {
    Topic* const first = fanout_.add(SubscriptionRef::share(&subscription));
    if (!first) return;
    try {
        backend_->subscribe(*first);
    } catch (...) {
        fanout_.take_back(subscription);
        throw;
    }
    if (given_up_) fanout_.failed(*first, given_up_);  // until it is revived
}

void Engine::end(Subscription& subscription, const Error& why) noexcept {
    if (subscription.state() == SubscriptionState::ended) return;
    if (!subscription.added) return fanout_.refuse(subscription, why);
    if (const TopicRef last = fanout_.remove(subscription, why)) {
        backend_->unsubscribe(*last);
        topics_.forget_if_unused(*last);
    }
}

void Engine::give_up_retired() noexcept {
    fanout_.for_each([&](Subscription& subscription) {
        if (!subscription.inbox()->retired()) return;
        if (subscription.give_up()) monitor_->subscriptions.fetch_sub(1);
        std::lock_guard lock(monitor_->queue_mutex);
        subscription.queue();
    });
    requests_.end_retired();
    wake();
}

void Engine::take_publishes() {
    // What was left of the turn before goes first.
    if (!taken_.empty()) give_taken();
    {
        std::lock_guard lock(publish_mutex_);
        const bool due = std::exchange(flush_due_, false);
        if (wake_at_bytes_ == 0 ? batch_.empty() : !due && !wake_asked_ && !publish_closed_) return;
        wake_at_bytes_ = 0;
        wake_asked_ = false;
        if (flush_timer_) put_off_the_next();
        std::swap(taken_, batch_);
    }
    if (taken_.empty()) return;
    taken_.taken_at = now_ms();
    taken_.deadline = taken_.taken_at + settings_.publish_timeout_ms;
    give_taken();
}

// Under publish_mutex_, with what is about to be taken in batch_.
void Engine::put_off_the_next() {
    const std::uint32_t delay_us = flush_moderation_.taken(batch_.records.size(), last_accepted_us_, now_us());
    if (delay_us == 0) return;
    flush_timer_->in(delay_us);
    // Fewer than would bring publish_buffer_bytes near.
    const auto limit = static_cast<std::uint64_t>(settings_.publish_buffer_bytes);
    wake_at_bytes_ = accepted_bytes_ + std::min<std::uint64_t>(CommandChunk::usual, limit / 4);
}

void Engine::give_taken() {
    backend_->publish(taken_);
}

bool Engine::close_is_due() const {
    if (std::chrono::steady_clock::now() >= close_deadline_) return true;
    return backend_->unsettled() == 0 && taken_.empty();
}

// What was accepted, and for want of memory has not come further than our doors.
void Engine::refuse_the_rest() noexcept {
    while (true) {
        if (taken_.empty()) {
            std::lock_guard lock(publish_mutex_);
            std::swap(taken_, batch_);
        }
        if (taken_.empty()) break;
        on_unqueued(taken_.records.size(), taken_.bytes());
        for (const PublishRecord& record : taken_.records) {
            const Settled settled{record.user_data, 0};
            on_settled({record.sink ? &taken_.sinks[record.sink - 1] : nullptr,
                        taken_.accepted_us,
                        {&settled, 1},
                        closed_error});
        }
        left_without_outcome_ += taken_.records.size();
        taken_.clear();
    }
    while (next_queued()) {
        Subscription& subscription = *looked_at_;
        looked_at_ = subscription.unqueue();
        end(subscription, closed_error);
        subscription.release();
    }
    questions_.end(closed_error);
}

void Engine::finish() {
    requests_.end_all(closed_error);
    left_without_outcome_ = backend_->unsettled();
    refuse_the_rest();
    backend_->stop(closed_error);
    fanout_.remove_all(closed_error);
    {
        std::lock_guard lock(monitor_->mutex);
        monitor_->connection = Connection::closed;
    }
    monitor_->notify();
    metrics_.connected.set(0);
    on_links(false, false);
    fanout_.commit();
    loop_.stop();
}

}  // namespace fanwire::core
