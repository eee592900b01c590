// A backend over a broker that the application gives: publishes wait here while it is away, and what it reports becomes
// what a backend tells.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/backend/broker.h"
#include "core/base/settings.h"
#include "core/net/loop.h"

namespace fanwire::core {

class CustomBackend : public Backend {
 public:
    // A subscription that the broker refused is asked for again after this long.
    static constexpr TimeMs retry_after = 1000;

    // `wake`: has woken() called soon; from any thread.
    CustomBackend(const Settings& settings, std::unique_ptr<Broker> broker, Topics& topics, BackendSink& sink,
                  Loop& loop, std::function<void()> wake);
    ~CustomBackend() override;

    void start() override;
    void subscribe(Topic& topic) override;
    void unsubscribe(Topic& topic) override;
    void listen(const TopicRef& replies) override;
    const PublishFormat& format() const override { return plain_publish; }
    void publish(PublishBatch& batch) override;
    void ask(std::unique_ptr<Numsub>& question) override;
    void set_credentials(const std::string&, const std::string&) override {}
    void reconnect() override { broker_->reconnect(); }
    void needed() override;
    void flush() override {}
    std::size_t unsettled() const override;
    void woken() noexcept override;
    void stop(const Error& why) override;
    void close_inherited() noexcept override {}

 private:
    using Report = BrokerReports::Report;
    // A publish that the broker has, and of which it has not said what became.
    struct Sent {
        std::shared_ptr<OutcomeSink> sink;
        void* user_data;
        std::uint64_t accepted_us;
        std::uint32_t size;
        TimeMs deadline;
    };

    using Questions = std::map<std::uint64_t, std::unique_ptr<Numsub>>;

    void ask(Questions::iterator entry);
    void on_time();
    void take(const Report& report);
    void become_ready();
    void become_lost(const Error& why);
    void confirm(const Report& report);
    void refuse(const Report& report);
    void deliver(const Report& report);
    void settle(const Report& report);
    void count(const Report& report);
    void dropped();
    void answered(Topic& topic);
    void subscribe_all();
    bool held() const { return awaited_ > 0 && held_until_ != 0; }
    void send_waiting();
    bool send(PublishBatch& batch);
    void expire();
    void due_by(TimeMs time);
    void arm_anew();
    void tell(const std::shared_ptr<OutcomeSink>* sink, std::uint64_t accepted_us, void* user_data, std::uint32_t size,
              std::uint64_t receivers, const Error& error);
    void settle_waiting(const Error& why);
    void settle_sent(const Error& why);
    void end_questions(const Error& why);

    const TimeMs drain_wait_;
    Topics& topics_;
    BackendSink& sink_;
    const std::unique_ptr<Broker> broker_;
    const std::shared_ptr<BrokerReports> reports_;
    std::vector<Report> taken_;
    std::size_t next_ = 0;  // of those taken
    bool drops_ = false;    // messages were dropped, and the subscriptions do not know yet
    TopicRef reply_topic_;
    bool reply_confirmed_ = false;
    bool ready_ = false;
    std::size_t awaited_ = 0;           // topics wanted when it became ready that have no answer yet
    TimeMs held_until_ = 0;             // until which publishes wait for them; 0: they do not
    TimeMs retry_at_ = never;           // when what was refused is asked for again
    std::deque<PublishBatch> waiting_;  // not handed over yet, in order
    std::map<std::uint64_t, Sent> sent_;
    Questions questions_;  // also those of while it is away: asked again
    std::uint64_t last_id_ = 0;
    Loop::Timer timer_;
    TimeMs timer_at_ = never;   // no later than the first of all times that are waited for
    bool timer_fired_ = false;  // which may be a little early: then nothing is due, and it is set again
};

}  // namespace fanwire::core
