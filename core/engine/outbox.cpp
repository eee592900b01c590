#include "core/engine/outbox.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <span>
#include <utility>

#include "core/base/clock.h"
#include "core/engine/io_thread.h"
#include "core/fanout/engine_state.h"
#include "core/message/frame.h"

namespace fanwire::core {

namespace {

// Where publish_wait() waits.
class WaitingSink : public OutcomeSink {
 public:
    bool settle(std::span<const Settled> publishes, const Error& error) noexcept override {
        std::lock_guard lock(mutex_);
        outcome_ = Outcome{error, publishes.front().receivers};
        return true;
    }
    void signal() noexcept override { settled_.notify_all(); }
    std::optional<Outcome> wait(Outbox::Deadline deadline) {
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

Outbox::Outbox(const Settings& settings, const Namespace& names, Metrics& metrics, std::function<void()> wake,
               std::function<void(std::uint32_t delay_us)> hold)
    : settings_(settings),
      names_(names),
      metrics_(metrics),
      wake_(std::move(wake)),
      hold_(std::move(hold)),
      moderation_(static_cast<std::uint32_t>(settings.max_flush_delay_us)) {}

// ---- any thread ----------------------------------------------------------------------------------------------------

// Whether one more publish of `size` encoded bytes may wait. Under the mutex.
void Outbox::check_room(std::size_t size) const {
    if (closed_) throw Failure(closed_error);
    const std::uint64_t count = accepted_count_ - unqueued_count_.load(std::memory_order_relaxed);
    const std::uint64_t bytes = accepted_bytes_ - unqueued_bytes_.load(std::memory_order_relaxed) + size;
    if (publishable_) {
        const auto limit = static_cast<std::uint64_t>(settings_.publish_buffer_bytes);
        if (bytes > limit && count > 0)
            throw Failure(Status::QUEUE_FULL, "unsent publishes fill publish_buffer_bytes (" + std::to_string(limit) +
                                                  "): publish more slowly, or wait for outcomes");
        return;
    }
    if (refusal_) throw Failure(refusal_);
    if (settings_.offline == Offline::fail)
        throw Failure(Status::NOT_CONNECTED, "there is no connection to Redis, and offline=fail");
    if (count >= static_cast<std::uint64_t>(settings_.offline_count))
        throw Failure(Status::QUEUE_FULL, "there is no connection to Redis, and offline_count (" +
                                              std::to_string(settings_.offline_count) + ") publishes wait for it");
    if (bytes > static_cast<std::uint64_t>(settings_.offline_bytes))
        throw Failure(Status::QUEUE_FULL, "there is no connection to Redis, and offline_bytes (" +
                                              std::to_string(settings_.offline_bytes) + ") of publishes wait for it");
}

void Outbox::check_size(std::string_view payload) const {
    if (payload.size() > static_cast<std::size_t>(settings_.max_message_bytes))
        throw Failure(Status::MESSAGE_TOO_LARGE, "the message has " + std::to_string(payload.size()) +
                                                     " bytes, max_message_bytes is " +
                                                     std::to_string(settings_.max_message_bytes));
}

void Outbox::check_offline() const {
    if (settings_.offline != Offline::fail) return;
    std::lock_guard lock(mutex_);
    if (!publishable_ && !closed_)
        throw Failure(Status::NOT_CONNECTED, "there is no connection to Redis, and offline=fail");
}

// Under the mutex. Returns whether the IO thread is to be woken.
[[gnu::always_inline]] inline bool Outbox::accept(std::string_view prefix, std::string_view channel,
                                                  std::string_view payload, const std::shared_ptr<OutcomeSink>& sink,
                                                  void* user_data, std::uint32_t timeout) {
    const std::size_t size = format_->size(prefix.size() + channel.size(), payload.size());
    try {
        check_room(size);
    } catch (const Failure& failure) {
        if (failure.status() != Status::CLOSED) metrics_.publish_rejected.add();
        if (failure.status() == Status::NOT_CONNECTED && !connection_needed_.exchange(true)) wake_();
        if (wake_at_bytes_ != 0 && !std::exchange(wake_asked_, true)) wake_();  // writing what is held back: room
        throw;
    }
    const bool first = batch_.empty();
    batch_.add_sized(*format_, size, prefix, channel, payload, sink, user_data, timeout);
    accepted_bytes_ += size;
    ++accepted_count_;
    if (first || wake_at_bytes_ != 0) last_accepted_us_ = now_us();
    if (first) batch_.accepted_us = last_accepted_us_;
    if (wake_asked_ || accepted_bytes_ < wake_at_bytes_) return false;
    return wake_asked_ = true;
}

[[gnu::always_inline]] inline void Outbox::enqueue(std::string_view prefix, std::string_view channel,
                                                   std::string_view payload, const std::shared_ptr<OutcomeSink>& sink,
                                                   void* user_data, std::uint32_t timeout) {
    bool wanted;
    {
        std::lock_guard lock(mutex_);
        wanted = accept(prefix, channel, payload, sink, user_data, timeout);
    }
    if (wanted) wake_();
}

std::size_t Outbox::publish_many(std::span<const Publish> publishes, Error& why) noexcept {
    std::size_t done = 0;
    bool wanted = false;
    {
        std::lock_guard lock(mutex_);
        try {
            for (const std::string_view prefix = names_.channel_prefix(); done < publishes.size(); ++done) {
                const Publish& publish = publishes[done];
                names_.check_channel(publish.channel);
                check_size(publish.payload);
                const std::string plain =
                    frame::begins(publish.payload) ? frame::plain(publish.payload) : std::string();
                if (accept(prefix, publish.channel, plain.empty() ? publish.payload : plain, publish.sink,
                           publish.user_data, publish.timeout))
                    wanted = true;
            }
        } catch (const Failure& failure) {
            why = failure.error();
        } catch (const std::bad_alloc&) {
            why = Error::of(Status::NO_MEMORY, {"out of memory"});
        }
    }
    if (wanted) wake_();
    return done;
}

void Outbox::publish(std::string_view channel, std::string_view payload, const std::shared_ptr<OutcomeSink>& sink,
                     void* user_data, std::uint32_t timeout) {
    names_.check_channel(channel);
    check_size(payload);
    if (frame::begins(payload))  // whoever receives it would take it for one
        return publish_framed(names_.channel_prefix(), channel, frame::plain(payload), sink, user_data, timeout);
    enqueue(names_.channel_prefix(), channel, payload, sink, user_data, timeout);
}

void Outbox::publish_framed(std::string_view prefix, std::string_view channel, const std::string& framed,
                            const std::shared_ptr<OutcomeSink>& sink, void* user_data, std::uint32_t timeout) {
    enqueue(prefix, channel, framed, sink, user_data, timeout);
}

std::uint64_t Outbox::publish_wait(std::string_view channel, std::string_view payload, Deadline deadline) {
    refuse_io_thread("publish_wait");
    const auto sink = std::make_shared<WaitingSink>();
    publish(channel, payload, sink, nullptr, 0);
    std::optional<Outcome> outcome = sink->wait(deadline);
    // It is accepted: what follows must not fail for want of memory.
    if (!outcome) throw Failure(Error::of(Status::TIMEOUT, {"the publish has no outcome yet; it is still under way"}));
    if (outcome->error) throw Failure(std::move(outcome->error));
    return outcome->receivers;
}

bool Outbox::publishable() const {
    std::lock_guard lock(mutex_);
    return publishable_;
}

// What is counted for each publish is not counted in shared memory, which would cost more than all the rest.
void Outbox::count() const {
    std::lock_guard lock(mutex_);
    // First: what has ended was accepted before.
    const std::uint64_t settled =
        metrics_.publish_ok.get() + metrics_.publish_failed.get() + metrics_.publish_unknown.get();
    metrics_.published.set(accepted_count_);
    metrics_.publish_queued.set(accepted_count_ - settled);
    metrics_.publish_unsent.set(accepted_count_ - unqueued_count_.load(std::memory_order_relaxed));
    metrics_.publish_unsent_bytes.set(accepted_bytes_ - unqueued_bytes_.load(std::memory_order_relaxed));
}

void Outbox::shut() noexcept {
    std::lock_guard lock(mutex_);
    closed_ = true;
}

// ---- IO thread -----------------------------------------------------------------------------------------------------

bool Outbox::take() {
    {
        std::lock_guard lock(mutex_);
        const bool over = std::exchange(hold_over_, false);
        if (wake_at_bytes_ == 0 ? batch_.empty() : !over && !wake_asked_ && !closed_) return false;
        wake_at_bytes_ = 0;
        wake_asked_ = false;
        if (settings_.max_flush_delay_us > 0) hold_back();
        std::swap(taken_, batch_);
    }
    if (taken_.empty()) return false;
    taken_.taken_at = now_ms();
    taken_.deadline = taken_.taken_at + settings_.publish_timeout_ms;
    return true;
}

// Decides how long what is accepted from now on is held back. Under the mutex, with what is about to be taken in
// batch_.
void Outbox::hold_back() {
    const std::uint32_t delay_us = moderation_.taken(batch_.records.size(), last_accepted_us_, now_us());
    if (delay_us == 0) return;
    hold_(delay_us);
    // Fewer than would bring publish_buffer_bytes near.
    const auto limit = static_cast<std::uint64_t>(settings_.publish_buffer_bytes);
    wake_at_bytes_ = accepted_bytes_ + std::min<std::uint64_t>(ByteChunk::usual, limit / 4);
}

void Outbox::set_publishable(bool yes) noexcept {
    std::lock_guard lock(mutex_);
    publishable_ = yes;
}

void Outbox::set_refusal(Error why) noexcept {
    std::lock_guard lock(mutex_);
    refusal_ = std::move(why);
}

void Outbox::unqueued(std::size_t count, std::size_t bytes) noexcept {
    const auto add = [](std::atomic<std::uint64_t>& sum, std::size_t n) {
        sum.store(sum.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    };
    add(unqueued_count_, count);
    add(unqueued_bytes_, bytes);
}

std::size_t Outbox::refuse(const Error& why, const std::function<void(const SettledRun&)>& settle) noexcept {
    std::size_t refused = 0;
    while (true) {
        if (taken_.empty()) {
            std::lock_guard lock(mutex_);
            std::swap(taken_, batch_);
        }
        if (taken_.empty()) return refused;
        unqueued(taken_.records.size(), taken_.bytes());
        for (const PublishRecord& record : taken_.records) {
            const Settled settled{record.user_data, 0};
            settle({record.sink ? &taken_.sinks[record.sink - 1] : nullptr, taken_.accepted_us, {&settled, 1}, why});
        }
        refused += taken_.records.size();
        taken_.clear();
    }
}

}  // namespace fanwire::core
