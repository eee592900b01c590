// The engine: makes the others and wires them to each other, starts and stops the IO thread. Public calls, which come
// from any thread, go to the doors; what the IO thread finds behind them goes to the backend and the fan-out.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "core/backend/backend.h"
#include "core/backend/broker.h"
#include "core/base/fork_guard.h"
#include "core/base/keyed_hash.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/base/settings.h"
#include "core/engine/credentials_door.h"
#include "core/engine/health_record.h"
#include "core/engine/inquiries.h"
#include "core/engine/io_thread.h"
#include "core/engine/outbox.h"
#include "core/engine/reports.h"
#include "core/engine/upkeep.h"
#include "core/fanout/fanout.h"
#include "core/message/names.h"
#include "core/net/loop.h"
#include "core/net/loop_network.h"

namespace fanwire::core {

class Engine {
 public:
    using Deadline = std::chrono::steady_clock::time_point;

    // Starts the IO thread and begins to connect. Throws Failure.
    // With a broker that carries messages in the place of Redis, if one is given.
    Engine(Settings settings, LogSink log, EventTarget events, std::unique_ptr<Broker> broker = nullptr);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // All of these: thread any; they throw Failure or std::bad_alloc and then have changed nothing.

    // `timeout`: in milliseconds; 0: publish_timeout_ms.
    void publish(std::string_view channel, std::string_view payload, const std::shared_ptr<OutcomeSink>& sink = nullptr,
                 void* user_data = nullptr, std::uint32_t timeout = 0) {
        outbox_.publish(channel, payload, sink, user_data, timeout);
    }
    // See Outbox.
    std::size_t publish_many(std::span<const Outbox::Publish> publishes, Error& why) noexcept {
        return outbox_.publish_many(publishes, why);
    }
    std::uint64_t publish_wait(std::string_view channel, std::string_view payload, Deadline deadline) {
        return outbox_.publish_wait(channel, payload, deadline);
    }

    // What subscribe() takes for an inbox: one for all subscriptions that use it.
    OutletRef outlet(std::shared_ptr<Inbox> inbox) const;
    // Subscription::unsubscribe() ends it.
    SubscriptionRef subscribe(TargetKind kind, std::string_view name, const OutletRef& outlet, void* user_data);
    // Ends the subscriptions that use retired inboxes.
    void end_retired() noexcept;

    // Asks how many subscribers Redis counts for each of the channels. `done` is called once, on the IO thread, with
    // `answer` as the numbers (std::uint64_t) when there is no error. TIMEOUT after publish_timeout_ms.
    void numsub(std::span<const std::string_view> channels, Inquiries::NumsubDone done) {
        inquiries_.numsub(channels, std::move(done));
    }
    // The same, as one NUMSUB event; the inbox has a slot for it.
    void numsub(std::span<const std::string_view> channels, std::shared_ptr<Inbox> inbox, void* user_data) {
        inquiries_.numsub(channels, std::move(inbox), user_data);
    }
    // The same, waiting: as many numbers as there are channels.
    void numsub_wait(std::span<const std::string_view> channels, std::uint64_t* counts, Deadline deadline) {
        inquiries_.numsub_wait(channels, counts, deadline);
    }

    // Its events go to the inbox, which has a slot for its end. `timeout`: in milliseconds; 0: publish_timeout_ms.
    std::shared_ptr<Request> request(std::string_view channel, std::string_view payload, std::uint64_t expect,
                                     std::uint64_t timeout, std::shared_ptr<Inbox> inbox, void* user_data) {
        return inquiries_.request(channel, payload, expect, timeout, std::move(inbox), user_data);
    }
    // Returns false when it has ended.
    bool cancel(const std::shared_ptr<Request>& request) noexcept { return inquiries_.cancel(request); }
    // Throws INVALID_ARGUMENT when the message is no request.
    void reply(const Message& request, std::string_view payload) { inquiries_.reply(request, payload); }

    void wait_connected(Deadline deadline);
    // Returns TIMEOUT when publishes were left without an outcome.
    Error close(Deadline deadline);
    bool closed() const { return closed_.load(std::memory_order_acquire); }

    void set_credentials(std::string username, std::string password);
    // Tries to connect at once, also after all attempts have failed. Links that are ready are left alone.
    void reconnect();
    EngineState state() const;

    // Valid as long as the engine; the gauges of publishes are those of this moment.
    const Metrics& metrics() const;
    Health health() const { return health_record_.health(closed()); }
    const Settings& settings() const { return settings_; }

    // Whether this is a copy in the child of a fork(): its threads are not there, and nothing but this and
    // close_inherited() may be called.
    bool forked() const { return fork_guard().forked(); }
    const ForkGuard& fork_guard() const { return share_->fork_guard; }
    // Closes the child's copies of the sockets.
    void close_inherited() const noexcept { backend_->close_inherited(); }

 private:
    // ---- any thread ----
    void wake();

    // ---- IO thread ----
    void woken();
    void run_commands();
    void take_credentials();
    void end_of_retired() noexcept;
    void take_publishes();
    void turn_ended();
    void arm_request_timer() noexcept;
    bool close_is_due() const;
    void refuse_the_rest(const Error& why) noexcept;
    void finish(const Error& why);
    void shut_doors();
    void break_down(const char* what) noexcept;

    const Settings settings_;
    const Namespace names_;
    const Log log_;
    const std::shared_ptr<EngineShare> share_ = std::make_shared<EngineShare>();

    std::atomic<bool> wake_pending_{false};
    std::atomic<bool> inboxes_retired_{false};
    std::atomic<bool> reconnect_asked_{false};

    std::mt19937_64 random_engine_{random_seed()};
    Topics topics_{random_seed()};  // not from random_engine_, some of whose output others see
    Fanout fanout_;
    Outbox outbox_;
    CredentialsDoor credentials_;
    Inquiries inquiries_;
    HealthRecord health_record_;
    Reports reports_;
    Loop loop_;
    LoopNetwork network_;
    std::unique_ptr<Backend> backend_;
    Upkeep upkeep_;

    // IO thread:
    std::unique_ptr<Loop::Timer> close_timer_, request_timer_;
    std::unique_ptr<Loop::PreciseTimer> hold_timer_;  // if publishes are held back at all
    TimeMs request_timer_at_ = never;
    bool closing_ = false;
    Error broken_;                          // by an unexpected exception; read when the thread has ended
    bool finished_ = false;                 // or about to be
    std::size_t left_without_outcome_ = 0;  // read when the thread has ended

    std::mutex close_mutex_;  // one close at a time
    std::atomic<bool> closed_{false};
    std::atomic<bool> close_asked_{false};
    Deadline close_deadline_ = Deadline::max();  // written before close_asked_ is set
    std::thread io_thread_;
};

}  // namespace fanwire::core
