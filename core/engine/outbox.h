// The door for publishes, from any thread to the IO thread: they are bounded and written here, as the backend wants
// them, into a batch that the IO thread takes whole. When it does is decided here as well: at once, or, in a stream of
// publishes, at intervals.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/metrics.h"
#include "core/base/settings.h"
#include "core/engine/flush_moderation.h"
#include "core/message/names.h"
#include "core/message/outcome.h"
#include "core/message/publish_batch.h"

namespace fanwire::core {

class Outbox {
 public:
    struct Publish {
        std::string_view channel, payload;
        std::shared_ptr<OutcomeSink> sink;  // null: nobody asks for the outcome
        void* user_data = nullptr;
        std::uint32_t timeout = 0;  // in milliseconds; 0: publish_timeout_ms
    };

    using Deadline = std::chrono::steady_clock::time_point;

    // `wake`: the IO thread is to call take(). Called on any thread.
    // `hold`: it is to call hold_over() and take() in so many microseconds. Called on the IO thread, and only with
    // max_flush_delay_us.
    Outbox(const Settings& settings, const Namespace& names, Metrics& metrics, std::function<void()> wake,
           std::function<void(std::uint32_t delay_us)> hold);
    // Before anything is published: how the backend wants it written; otherwise plainly.
    void write_as(const PublishFormat& format) { format_ = &format; }
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // ---- Thread: any. They throw Failure or std::bad_alloc and then have changed nothing. ----

    // `timeout`: in milliseconds; 0: publish_timeout_ms.
    void publish(std::string_view channel, std::string_view payload, const std::shared_ptr<OutcomeSink>& sink,
                 void* user_data, std::uint32_t timeout);
    // Waits for the outcome and returns the number of receivers.
    std::uint64_t publish_wait(std::string_view channel, std::string_view payload, Deadline deadline);
    // Several in their order, under one lock. Returns how many were accepted: all, or those before the first that was
    // refused, with `why`. Throws nothing.
    std::size_t publish_many(std::span<const Publish> publishes, Error& why) noexcept;
    // A payload that has a head already, to a channel that is checked already.
    void publish_framed(std::string_view prefix, std::string_view channel, const std::string& framed,
                        const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout = 0);
    void check_size(std::string_view payload) const;
    // Throws NOT_CONNECTED when there is no connection and offline=fail.
    void check_offline() const;
    bool publishable() const;
    // Writes the counts of publishes into the metrics, where they are gauges of this moment.
    void count() const;
    // Nothing more is accepted.
    void shut() noexcept;

    // ---- IO thread ----

    // Moves what is accepted into taken(), which must be empty, if it is time to write it. Returns whether it did.
    bool take();
    // What is taken and has not been given to the backend yet.
    PublishBatch& taken() { return taken_; }
    const PublishBatch& taken() const { return taken_; }
    // The time for which publishes were to be held back is over.
    void hold_over() noexcept { hold_over_ = true; }
    // Whether a publish was refused for want of a connection since the last call.
    bool connection_needed() noexcept { return connection_needed_.exchange(false, std::memory_order_acq_rel); }
    // Whether publishes can be sent now.
    void set_publishable(bool yes) noexcept;
    // Why publishes are refused while they cannot be sent; none: they wait.
    void set_refusal(Error why) noexcept;
    // So many that were taken no longer wait to be sent.
    void unqueued(std::size_t count, std::size_t bytes) noexcept;
    // After shut(): settles with `why` what was accepted and has come no further than here. Returns how many.
    std::size_t refuse(const Error& why, const std::function<void(const SettledRun&)>& settle) noexcept;

 private:
    void enqueue(std::string_view prefix, std::string_view channel, std::string_view payload,
                 const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout);
    bool accept(std::string_view prefix, std::string_view channel, std::string_view payload,
                const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout);
    void check_room(std::size_t size) const;
    void hold_back();

    const Settings& settings_;
    const Namespace& names_;
    Metrics& metrics_;
    const PublishFormat* format_ = &plain_publish;
    const std::function<void()> wake_;
    const std::function<void(std::uint32_t)> hold_;

    // IO thread:
    FlushModeration moderation_;
    bool hold_over_ = false;
    PublishBatch taken_;

    std::atomic<bool> connection_needed_{false};

    mutable std::mutex mutex_;
    // Under the mutex:
    PublishBatch batch_;
    std::uint64_t accepted_count_ = 0, accepted_bytes_ = 0;  // ever
    bool closed_ = false, publishable_ = false;
    Error refusal_;
    // While what is in batch_ is held back: the accepted_bytes_ from which on the IO thread is woken for it all the
    // same. Otherwise 0.
    std::uint64_t wake_at_bytes_ = 0;
    bool wake_asked_ = false;             // whether the IO thread has been woken for batch_
    std::uint64_t last_accepted_us_ = 0;  // of those that are held back; otherwise of the first in batch_

    // Of those that were accepted, those that no longer wait to be written. Only the IO thread adds to them, without
    // the mutex.
    std::atomic<std::uint64_t> unqueued_count_{0}, unqueued_bytes_{0};
};

}  // namespace fanwire::core
