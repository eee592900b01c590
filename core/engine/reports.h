// What the backend reports, on the IO thread: passed on to the fan-out, the outbox, requests, metrics, the log, the
// record of health, and as events of the engine itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/backend/backend.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/settings.h"
#include "core/engine/health_record.h"
#include "core/engine/outbox.h"
#include "core/engine/requests.h"
#include "core/fanout/fanout.h"

namespace fanwire::core {

// Where engine events go.
struct EventTarget {
    std::shared_ptr<Inbox> inbox;  // null: nowhere
    void* user_data = nullptr;
};

class Reports final : public BackendSink {
 public:
    // `turn_ended`: called at the end of each of the backend's turns, when consumers have been woken.
    Reports(const Settings& settings, const Log& log, EventTarget events, EngineShare& share, Fanout& fanout,
            Outbox& outbox, Requests& requests, HealthRecord& health, std::function<void()> turn_ended);

    // What is reported from here on was read now.
    void read_now() noexcept { read_us_ = now_us(); }
    // The engine has ended because of a fault of its own.
    void on_broken(const Error& why) { report(Event::of(EventKind::error, why)); }
    // Why no attempt to connect follows; OK: one does, or there is a connection.
    const Error& exhausted() const { return exhausted_; }

    void on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef* shared) override;
    void on_reply(std::string_view payload) override;
    void on_confirmed(Topic& topic, GapReason reason) override;
    void on_refused(Topic& topic, const Error& why) override;
    void on_lost(std::span<Topic* const> topics, const Error& why, GapReason reason) override;
    void on_settled(const SettledRun& run) override;
    void on_unqueued(std::size_t count, std::size_t bytes) override;
    void on_event(const BackendEvent& event) override;
    void on_heard(NodeNumber node) override;
    void on_bytes(std::size_t in, std::size_t out) override;
    void on_turn_end() override;

 private:
    void connected();
    void disconnected(const Error& why);
    void connect_failed(const Error& why, bool will_retry);
    void reconnecting(std::uint64_t attempt, TimeMs delay);
    void gave_up(const Error& why, std::uint64_t attempts);
    void revived();
    void output_buffer_killed();
    void login_refused(const Error& why);
    void reply_channel_refused(const Error& why);
    void report(Event event);

    const Settings& settings_;
    const Log& log_;
    const EventTarget events_;
    LiveState& state_;
    Metrics& metrics_;
    Fanout& fanout_;
    Outbox& outbox_;
    Requests& requests_;
    HealthRecord& health_;
    const std::function<void()> turn_ended_;
    Error exhausted_;
    std::uint64_t read_us_ = 0;  // when what is being worked on was read
};

}  // namespace fanwire::core
