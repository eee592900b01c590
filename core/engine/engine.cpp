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
      outbox_(
          settings_, names_, metrics_, [this] { wake(); }, [this](std::uint32_t us) { hold_timer_->in(us); }),
      loop_([this] { woken(); }),
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
        outbox_.set_publishable(true);  // connected from the first moment
        metrics_.connected.set(1);
        on_links(true, true);
        share_->state.connected();
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
        hold_timer_ = std::make_unique<Loop::PreciseTimer>(loop_, [this] {
            outbox_.hold_over();
            woken();
        });
    }
    share_->queue.wake = [this] { wake(); };
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

const Metrics& Engine::metrics() const {
    outbox_.count();
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
    return OutletRef::adopt(new Outlet(std::move(inbox), share_));
}

SubscriptionRef Engine::subscribe(TargetKind kind, std::string_view name, const OutletRef& outlet, void* user_data) {
    const bool exact = kind == TargetKind::channel;
    const std::string wire = exact ? names_.channel(name) : names_.pattern(name);
    const std::size_t prefix = exact ? names_.channel_prefix_size() : names_.pattern_prefix_size();
    if (closed()) throw Failure(closed_error);
    auto subscription = SubscriptionRef::adopt(new Subscription(Topic::make(kind, wire, prefix), outlet, user_data));
    share_->queue.reserve(static_cast<std::uint64_t>(settings_.max_subscriptions));
    try {
        subscription->open();
    } catch (...) {
        share_->queue.release();
        throw;
    }
    return subscription;
}

void Engine::end_retired() noexcept {
    inboxes_retired_.store(true, std::memory_order_release);
    wake();
}

void Engine::set_credentials(std::string username, std::string password) {
    credentials_.set(std::move(username), std::move(password));
    wake();
}

void Engine::reconnect() {
    if (closed()) throw Failure(closed_error);
    share_->state.attempt_follows();
    reconnect_asked_.store(true, std::memory_order_release);
    wake();
}

EngineState Engine::state() const {
    return closed() ? EngineState::closed : share_->state.now();
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
    const std::uint64_t seen = metrics_.subscriptions.get(), open = share_->queue.open();
    facts.unseen = open > seen ? open - seen : 0;
    facts.heartbeat_timeout = settings_.heartbeat_timeout_ms + settings_.heartbeat_interval_ms;
    facts.probe_interval = settings_.probe_interval_ms;
    facts.probe_deadline = settings_.heartbeat_timeout_ms;
    health_record_.add_to(facts);
    LiveState::Trouble trouble = share_->state.trouble();
    facts.connection = std::move(trouble.why);
    facts.gave_up = trouble.exhausted;
    facts.now = now_ms();
    return judge(facts);
}

void Engine::wait_connected(Deadline deadline) {
    refuse_io_thread("wait_connected");
    share_->state.wait_connected(deadline);
}

Error Engine::close(Deadline deadline) {
    refuse_io_thread("close");
    std::lock_guard closing(close_mutex_);
    if (!io_thread_.joinable()) return {};
    outbox_.shut();
    questions_.shut();
    requests_.shut();
    credentials_.shut();
    share_->queue.shut();
    close_deadline_ = deadline;  // seen by whoever sees close_asked_
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
        while (share_->queue.front()) look_at_front();
        FANWIRE_DOOR("queue taken");
    } catch (...) {
        if (retired) inboxes_retired_.store(true, std::memory_order_release);
        throw;
    }
    if (retired) abandon_retired();
    take_credentials();
    if (outbox_.connection_needed()) backend_->needed();
    if (reconnect_asked_.exchange(false, std::memory_order_acq_rel)) backend_->reconnect();
    if (questions_.any()) take_questions();
    if (requests_.any()) requests_.turn(now_ms());
}

void Engine::take_credentials() {
    std::unique_ptr<Credentials> credentials = credentials_.take();
    if (!credentials) return;
    try {
        backend_->set_credentials(credentials->username, credentials->password);
    } catch (...) {
        credentials_.put_back(std::move(credentials));
        throw;
    }
}

// Makes true what its consumer wants of the subscription at the front of the queue. If it throws, it stays there.
void Engine::look_at_front() {
    Subscription& front = *share_->queue.front();
    if (!front.added && !front.abandoned()) add(front);
    FANWIRE_DOOR("added");
    // From here on it may be queued again; that it was abandoned before is seen below.
    const SubscriptionRef subscription = share_->queue.pop();
    if (subscription->abandoned()) end(*subscription, Error::of(Status::UNSUBSCRIBED, {"unsubscribed"}));
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
    if (exhausted_) fanout_.failed(*first, exhausted_);  // until it is revived
}

void Engine::end(Subscription& subscription, const Error& why) noexcept {
    if (subscription.state() == SubscriptionState::ended) return;
    if (!subscription.added) return fanout_.refuse(subscription, why);
    if (const TopicRef last = fanout_.remove(subscription, why)) {
        backend_->unsubscribe(*last);
        topics_.forget_if_unused(*last);
    }
}

void Engine::abandon_retired() noexcept {
    fanout_.for_each([&](Subscription& subscription) {
        if (subscription.inbox()->retired()) share_->queue.abandon_retired(subscription);
    });
    requests_.end_retired();
    wake();
}

void Engine::take_publishes() {
    // What was left of the turn before goes first.
    if (!outbox_.taken().empty()) backend_->publish(outbox_.taken());
    if (outbox_.take()) backend_->publish(outbox_.taken());
}

bool Engine::close_is_due() const {
    if (std::chrono::steady_clock::now() >= close_deadline_) return true;
    return backend_->unsettled() == 0 && outbox_.taken().empty();
}

// What was accepted, and for want of memory has not come further than our doors.
void Engine::refuse_the_rest() noexcept {
    left_without_outcome_ += outbox_.refuse(closed_error, [this](const SettledRun& run) { on_settled(run); });
    while (share_->queue.front()) end(*share_->queue.pop(), closed_error);
    questions_.end(closed_error);
}

void Engine::finish() {
    requests_.end_all(closed_error);
    left_without_outcome_ = backend_->unsettled();
    refuse_the_rest();
    backend_->stop(closed_error);
    fanout_.remove_all(closed_error);
    share_->state.closed();
    metrics_.connected.set(0);
    on_links(false, false);
    fanout_.commit();
    loop_.stop();
}

}  // namespace fanwire::core
