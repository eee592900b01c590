#include "core/engine/engine.h"

#include <system_error>
#include <utility>

#include "core/backend/custom.h"
#include "core/backend/memory.h"
#include "core/backend/redis.h"
#include "core/base/door.h"
#include "core/base/thread.h"
#include "core/engine/io_thread.h"

namespace fanwire::core {

namespace {

// The backend that the settings ask for.
std::unique_ptr<Backend> make_backend(const Settings& settings, std::unique_ptr<Broker> broker, Topics& topics,
                                      MessagePool& pool, BackendSink& sink, Loop& loop, Network& network,
                                      std::mt19937_64& random_engine, const std::function<void()>& wake) {
    if (settings.backend == BackendKind::custom)
        return std::make_unique<CustomBackend>(settings, std::move(broker), topics, sink, loop, wake);
    if (settings.backend == BackendKind::memory)
        return std::make_unique<MemoryBackend>(topics, sink, loop, settings.memory_name, wake);
    const Random random = [&random_engine] { return std::uniform_real_distribution<double>(0.0, 1.0)(random_engine); };
    return std::make_unique<RedisBackend>(settings, network, random, random_engine(), topics, pool, sink);
}

}  // namespace

Engine::Engine(Settings settings, LogSink log, EventTarget events, std::unique_ptr<Broker> broker)
    : settings_(std::move(settings)),
      names_(settings_.namespace_, settings_.channel_rules),
      log_(settings_.log_level, std::move(log)),
      fanout_(topics_, share_->metrics, names_.channel_prefix_size()),
      outbox_(
          settings_, names_, share_->metrics, [this] { wake(); }, [this](std::uint32_t us) { hold_timer_->in(us); }),
      inquiries_(settings_, names_, fanout_, outbox_, backend_, [this] { wake(); }),
      health_record_(settings_, *share_),
      reports_(settings_, log_, std::move(events), *share_, fanout_, outbox_, inquiries_.requests(), health_record_,
               [this] { turn_ended(); }),
      loop_([this] { woken(); }),
      network_(loop_),
      backend_(make_backend(settings_, std::move(broker), topics_, fanout_.pool(), reports_, loop_, network_,
                            random_engine_, [this] { wake(); })),
      upkeep_(share_->queue, topics_, fanout_, *backend_, reports_.exhausted()) {
    outbox_.write_as(backend_->format());
    if (settings_.backend == BackendKind::memory) {  // connected from the first moment
        outbox_.set_publishable(true);
        share_->metrics.connected.set(1);
        reports_.on_event({.kind = BackendEvent::Kind::links, .publish = true, .subscribe = true});
        share_->state.connected();
    }
    close_timer_ = std::make_unique<Loop::Timer>(loop_, [this] { woken(); });
    request_timer_ = std::make_unique<Loop::Timer>(loop_, [this] {
        request_timer_at_ = never;
        inquiries_.requests().tick(now_ms());
        reports_.on_turn_end();
    });
    if (settings_.max_flush_delay_us > 0) {
        hold_timer_ = std::make_unique<Loop::PreciseTimer>(loop_, [this] {
            outbox_.hold_over();
            woken();
        });
    }
    share_->queue.wake = [this] { wake(); };
    loop_.on_unexpected([this](const char* what) { break_down(what); });
    try {
        io_thread_ = start_thread("fanwire-io", [this] {
            become_io_thread();
            for (const std::string& note : settings_.notes) log_.write(LogLevel::warn, note);
            backend_->start();
            reports_.on_turn_end();
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
    return share_->metrics;
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

void Engine::wait_connected(Deadline deadline) {
    refuse_io_thread("wait_connected");
    share_->state.wait_connected(deadline);
}

Error Engine::close(Deadline deadline) {
    refuse_io_thread("close");
    std::lock_guard closing(close_mutex_);
    if (!io_thread_.joinable()) return {};
    shut_doors();
    close_deadline_ = deadline;  // seen by whoever sees close_asked_
    close_asked_.store(true, std::memory_order_release);
    loop_.wake();
    io_thread_.join();
    if (broken_) return broken_;
    if (left_without_outcome_ == 0) return {};
    return Error::of(Status::TIMEOUT, {"closed with ", std::to_string(left_without_outcome_),
                                       " publishes that had no outcome; each has been reported"});
}

void Engine::shut_doors() {
    outbox_.shut();
    inquiries_.shut();
    credentials_.shut();
    share_->queue.shut();
    closed_.store(true, std::memory_order_release);
}

// ---- IO thread -----------------------------------------------------------------------------------------------------

// A fault of ours: what it has left behind is not known, so the engine ends, outside of whatever was under way.
void Engine::break_down(const char* what) noexcept {
    if (!broken_) {
        broken_ = Error::of(Status::INTERNAL, {"an unexpected exception has ended the engine: ", what});
        log_.write(LogLevel::error, {broken_.text});
        shut_doors();
    }
    loop_.wake();
}

void Engine::woken() {
    if (broken_) return finish(broken_);
    wake_pending_.store(false, std::memory_order_release);
    // Read first: once it is set nothing more is accepted, so what is taken below is all there is.
    const bool close_asked = close_asked_.load(std::memory_order_acquire);
    FANWIRE_DOOR("close read");
    bool complete = true;
    if (settings_.backend == BackendKind::memory) reports_.read_now();
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
        finish(closed_error);
    else if (close_deadline_ != Deadline::max())
        close_timer_->at(std::chrono::ceil<std::chrono::milliseconds>(close_deadline_.time_since_epoch()).count());
}

void Engine::run_commands() {
    // Read before the queue is taken: what was subscribed before its inbox was retired is added by then.
    const bool retired = inboxes_retired_.exchange(false, std::memory_order_acq_rel);
    FANWIRE_DOOR("retired read");
    try {
        upkeep_.look();
        FANWIRE_DOOR("queue taken");
    } catch (...) {
        if (retired) inboxes_retired_.store(true, std::memory_order_release);
        throw;
    }
    if (retired) end_of_retired();
    take_credentials();
    if (outbox_.connection_needed()) backend_->needed();
    if (reconnect_asked_.exchange(false, std::memory_order_acq_rel)) backend_->reconnect();
    inquiries_.turn();
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

// Ends what has lost its inbox: requests now, subscriptions in the next turn.
void Engine::end_of_retired() noexcept {
    upkeep_.abandon_retired();
    inquiries_.requests().end_retired();
    wake();
}

void Engine::take_publishes() {
    // What was left of the turn before goes first.
    if (!outbox_.taken().empty()) backend_->publish(outbox_.taken());
    if (outbox_.take()) backend_->publish(outbox_.taken());
}

void Engine::turn_ended() {
    arm_request_timer();
    if (closing_) loop_.wake();  // the end of closing is decided in woken(), outside of any link's call
}

void Engine::arm_request_timer() noexcept {
    const TimeMs at = inquiries_.requests().deadline();
    if (at != request_timer_at_) request_timer_->at(request_timer_at_ = at);
}

bool Engine::close_is_due() const {
    if (std::chrono::steady_clock::now() >= close_deadline_) return true;
    return backend_->unsettled() == 0 && outbox_.taken().empty();
}

// What was accepted, and for want of memory has not come further than our doors.
void Engine::refuse_the_rest(const Error& why) noexcept {
    left_without_outcome_ += outbox_.refuse(why, [this](const SettledRun& run) { reports_.on_settled(run); });
    upkeep_.end_all(why);
    inquiries_.end_questions(why);
}

void Engine::finish(const Error& why) {
    if (std::exchange(finished_, true)) return loop_.stop();  // what it began has thrown, too
    inquiries_.requests().end_all(why);
    left_without_outcome_ = backend_->unsettled();
    refuse_the_rest(why);
    backend_->stop(why);
    fanout_.remove_all(why);
    share_->state.closed();
    share_->metrics.connected.set(0);
    reports_.on_event({.kind = BackendEvent::Kind::links});
    if (broken_) reports_.on_broken(why);
    fanout_.commit();
    loop_.stop();
}

}  // namespace fanwire::core
