// The engine: wires the public calls, which come from any thread, to the backend and the fan-out on its IO thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "core/backend/backend.h"
#include "core/backend/broker.h"
#include "core/base/fork_guard.h"
#include "core/base/keyed_hash.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/settings.h"
#include "core/engine/credentials_door.h"
#include "core/engine/health_record.h"
#include "core/engine/outbox.h"
#include "core/engine/questions.h"
#include "core/engine/requests.h"
#include "core/fanout/fanout.h"
#include "core/message/names.h"
#include "core/net/loop.h"

namespace fanwire::core {

// Where engine events go.
struct EventTarget {
    std::shared_ptr<Inbox> inbox;  // null: nowhere
    void* user_data = nullptr;
};

// Throws INVALID_ARGUMENT on any engine's IO thread, where `what` would wait for itself or hold up others.
void refuse_io_thread(const char* what);

class Engine : private BackendListener {
 public:
    using Deadline = std::chrono::steady_clock::time_point;

    // Starts the IO thread and begins to connect. Throws Failure.
    // With a broker that carries messages in the place of Redis, if one is given.
    Engine(Settings settings, LogSink log, EventTarget events, std::unique_ptr<Broker> broker = nullptr);
    ~Engine() override;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // All of these: thread any; they throw Failure or std::bad_alloc and then have changed nothing.

    // `timeout`: in milliseconds; 0: publish_timeout_ms.
    void publish(std::string_view channel, std::string_view payload, const std::shared_ptr<OutcomeSink>& sink = nullptr,
                 void* user_data = nullptr, std::uint32_t timeout = 0) {
        outbox_.publish(channel, payload, sink, user_data, timeout);
    }
    std::uint64_t publish_wait(std::string_view channel, std::string_view payload, Deadline deadline);

    // What subscribe() takes for an inbox: one for all subscriptions that use it.
    OutletRef outlet(std::shared_ptr<Inbox> inbox) const;
    // Subscription::unsubscribe() ends it.
    SubscriptionRef subscribe(TargetKind kind, std::string_view name, const OutletRef& outlet, void* user_data);
    // Ends the subscriptions that use retired inboxes.
    void end_retired() noexcept;

    // How many subscribers Redis counts for each of the channels. `done` is called once, on the IO thread, with
    // `answer` as the numbers (std::uint64_t) when there is no error. TIMEOUT after publish_timeout_ms.
    using NumsubDone = std::function<void(const Error& why, const MessageRef& answer)>;
    void numsub(std::span<const std::string_view> channels, NumsubDone done);
    // The same, as one NUMSUB event; the inbox has a slot for it.
    void numsub(std::span<const std::string_view> channels, std::shared_ptr<Inbox> inbox, void* user_data);
    // The same, waiting: as many numbers as there are channels.
    void numsub_wait(std::span<const std::string_view> channels, std::uint64_t* counts, Deadline deadline);

    // Its events go to the inbox, which has a slot for its end. `timeout`: in milliseconds; 0: publish_timeout_ms.
    std::shared_ptr<Request> request(std::string_view channel, std::string_view payload, std::uint64_t expect,
                                     std::uint64_t timeout, std::shared_ptr<Inbox> inbox, void* user_data);
    // False: it has ended.
    bool cancel(const std::shared_ptr<Request>& request) noexcept;
    // Throws INVALID_ARGUMENT when the message is no request.
    void reply(const Message& request, std::string_view payload);

    void wait_connected(Deadline deadline);
    // Returns TIMEOUT when publishes were left without an outcome.
    Error close(Deadline deadline);
    bool closed() const { return closed_.load(std::memory_order_acquire); }

    void set_credentials(std::string username, std::string password);
    // An attempt to connect at once, also after giving up. Links that are ready are left alone.
    void reconnect();
    EngineState state() const;

    // Valid as long as the engine; the gauges of publishes are those of this moment.
    const Metrics& metrics() const;
    Health health() const;
    const Settings& settings() const { return settings_; }

    // Whether this is a copy in the child of a fork(): its threads are not there, and nothing but this and
    // close_inherited() may be called.
    bool forked() const { return fork_guard().forked(); }
    const ForkGuard& fork_guard() const { return share_->fork_guard; }
    // Closes the child's copies of the sockets.
    void close_inherited() const noexcept { backend_->close_inherited(); }

 private:
    // ---- IO thread ----
    void woken();
    void run_commands();
    void take_credentials();
    void take_questions();
    void arm_request_timer() noexcept {
        const TimeMs at = requests_.deadline();
        if (at != request_timer_at_) request_timer_->at(request_timer_at_ = at);
    }
    Requests::Engine for_requests();
    void look_at_front();
    void add(Subscription& subscription);
    void end(Subscription& subscription, const Error& why) noexcept;
    void abandon_retired() noexcept;
    void take_publishes();
    void refuse_the_rest() noexcept;
    bool close_is_due() const;
    void finish();

    void on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef* shared) override;
    void on_reply(std::string_view payload) override;
    void on_confirmed(Topic& topic) override;
    void on_refused(Topic& topic, const Error& why) override;
    void on_reply_channel(const Error& why) override;
    void on_subscriptions_lost(const Error& why) override;
    void on_settled(const SettledRun& run) override;
    void on_unqueued(std::size_t count, std::size_t bytes) override;
    void on_publishable(bool yes) override;
    void on_connected() override;
    void on_disconnected(const Error& why) override;
    void on_connect_failed(const Error& why, bool will_retry) override;
    void on_reconnecting(std::uint32_t attempt, TimeMs delay) override;
    void on_gave_up(const Error& why, std::uint64_t attempts) override;
    void on_revived() override;
    void on_login_refused(const Error& why) override;
    void on_links(bool publish, bool subscribe) override;
    void on_gap_reason(GapReason reason) override;
    void on_probe_sent() override;
    void on_probe_returned(std::uint64_t round_trip_us) override;
    void on_probe_failed(const Error& why, bool refused) override;
    void on_probe_reset() override;
    void on_heard() override;
    void on_bytes(std::size_t in, std::size_t out) override;
    void on_turn_end() override;
    void tell(Event event);

    // ---- any thread ----
    void wake();
    void ask(std::span<const std::string_view> channels, TimeMs deadline, NumsubDone done);

    const Settings settings_;
    const Namespace names_;
    const Log log_;
    const EventTarget events_;
    const std::shared_ptr<EngineShare> share_ = std::make_shared<EngineShare>();
    Metrics& metrics_ = share_->metrics;

    std::mt19937_64 random_engine_{random_seed()};
    Topics topics_{random_seed()};  // not what random_engine_ gives, of which others see some
    Fanout fanout_;
    Outbox outbox_;
    Loop loop_;
    std::unique_ptr<Backend> backend_;
    Error exhausted_;  // why no attempt to connect follows, if so
    Deadline close_deadline_ = Deadline::max();
    std::unique_ptr<Loop::Timer> close_timer_;
    std::unique_ptr<Loop::PreciseTimer> hold_timer_;  // if publishes are held back at all
    bool closing_ = false;
    std::uint64_t read_us_ = 0;  // when what is being worked on was read

    std::atomic<bool> wake_pending_{false};
    CredentialsDoor credentials_;
    std::atomic<bool> inboxes_retired_{false};
    std::atomic<bool> reconnect_asked_{false};

    HealthRecord health_record_;

    Questions questions_;
    const frame::Address::Id reply_id_ = frame::random_id();
    Requests requests_;
    std::unique_ptr<Loop::Timer> request_timer_;
    TimeMs request_timer_at_ = never;

    std::mutex close_mutex_;  // one close at a time
    std::atomic<bool> closed_{false};
    std::atomic<bool> close_asked_{false};
    std::size_t left_without_outcome_ = 0;
    std::thread io_thread_;
};

}  // namespace fanwire::core
