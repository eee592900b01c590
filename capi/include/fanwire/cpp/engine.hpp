// Connecting, publishing, subscribing. Part of fanwire.hpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fanwire/cpp/inbox.hpp"

namespace fanwire {

// One wish for a channel or pattern. Destroying it unsubscribes; ENDED still follows in its inbox.
class Subscription {
 public:
    Subscription() noexcept = default;  // none

    // Drains that begin afterwards give none of its messages, only ENDED. Throws UNSUBSCRIBED, CLOSED.
    void unsubscribe() { detail::check(fanwire_unsubscribe(handle())); }

    // A fanwire_subscription_state.
    int state() const {
        int state = 0;
        detail::check(fanwire_subscription_state_get(handle(), &state));
        return state;
    }

    // Waits until Redis has confirmed it. Throws TIMEOUT, UNSUBSCRIBED, CLOSED, or why it was refused.
    void wait_active(std::chrono::milliseconds timeout = forever) const {
        detail::check(fanwire_subscription_wait_active(handle(), detail::timeout(timeout)));
    }

    explicit operator bool() const noexcept { return handle_ != nullptr; }

    // Borrowed from this.
    fanwire_subscription* handle() const noexcept { return handle_.get(); }

 private:
    friend class Engine;
    explicit Subscription(fanwire_subscription* handle) noexcept : handle_(handle) {}

    detail::Handle<fanwire_subscription, fanwire_subscription_destroy> handle_;
};

// A message that asked for replies. Destroying it cancels it; REQUEST_DONE still follows in its inbox.
class Request {
 public:
    Request() noexcept = default;  // none

    // Ends it early. Throws UNSUBSCRIBED when it has ended.
    void cancel() { detail::check(fanwire_request_cancel(handle())); }

    explicit operator bool() const noexcept { return handle_ != nullptr; }

    // Borrowed from this.
    fanwire_request* handle() const noexcept { return handle_.get(); }

 private:
    friend class Engine;
    explicit Request(fanwire_request* handle) noexcept : handle_(handle) {}

    detail::Handle<fanwire_request, fanwire_request_destroy> handle_;
};

// One connection to one Redis, with its IO thread. Destroying it closes with a timeout of 0.
class Engine {
 public:
    // Begins to connect and returns at once; connects again for as long as it is open. Throws the errors of the
    // settings; that no server answers is not one: see wait_connected().
    explicit Engine(const Options& options) : log_(options.log_) { open(options); }
    explicit Engine(const std::string& url) : Engine(Options(url)) {}
    Engine(Engine&&) noexcept = default;
    Engine& operator=(Engine other) noexcept {  // by value: what was here ends before its log handler does
        log_.swap(other.log_);
        handle_.swap(other.handle_);
        return *this;
    }

    // Waits until ready, or throws why the last attempt failed, while the engine goes on trying. TIMEOUT, CLOSED.
    void wait_connected(std::chrono::milliseconds timeout = forever) {
        detail::check(fanwire_engine_wait_connected(handle(), detail::timeout(timeout)));
    }

    // A fanwire_engine_state; also after close().
    int state() const {
        int state = 0;
        detail::check(fanwire_engine_state_get(handle(), &state));
        return state;
    }

    // Makes the next attempt to connect at once, also after the engine gave up (max_reconnect_attempts); links that are
    // ready are left alone. Returns at once. Throws CLOSED.
    void reconnect() { detail::check(fanwire_engine_reconnect(handle())); }

    // Logs in as another user, or with another password, from now on, without a break in publishing. With another
    // username the subscribe link is renewed: LOST, GAP, RESUMED. A login that is refused on a live link leaves it as
    // it was and is told as an ERROR event. Empty: the server's default user; no password. Both empty: the publish link
    // is renewed, too, since Redis logs nobody out. Throws INVALID_OPTION, CLOSED.
    void set_credentials(const std::string& username, const std::string& password) {
        detail::check(fanwire_engine_set_credentials(handle(),
                                                     detail::c_text(username, FANWIRE_INVALID_OPTION, "the username"),
                                                     detail::c_text(password, FANWIRE_INVALID_OPTION, "the password")));
    }

    // Sends the accepted publishes, waits for their outcomes for up to `timeout`, ends all subscriptions, stops.
    // Closing again does nothing. Throws TIMEOUT (closed all the same).
    void close(std::chrono::milliseconds timeout) {
        detail::check(fanwire_engine_close(handle(), detail::timeout(timeout)));
    }

    // Accepted means queued; what becomes of it is counted in stats().
    // Throws INVALID_CHANNEL, MESSAGE_TOO_LARGE, QUEUE_FULL, NOT_CONNECTED, CLOSED.
    void publish(std::string_view channel, std::string_view payload) {
        detail::check(fanwire_publish(handle(), channel.data(), channel.size(), payload.data(), payload.size()));
    }

    // The same, and exactly one PUBLISHED event with user_data to `inbox`. When this throws there is none.
    void publish_async(std::string_view channel, std::string_view payload, const Inbox& inbox,
                       void* user_data = nullptr) {
        detail::check(fanwire_publish_async(handle(), channel.data(), channel.size(), payload.data(), payload.size(),
                                            inbox.handle(), user_data));
    }

    // publish(), or with an inbox publish_async(), with a timeout of its own. `args` as described at
    // fanwire_publish_args.
    void publish_with(const fanwire_publish_args& args) {
        detail::check(fanwire_publish_with(handle(), &args, sizeof args));
    }

    // publish_with() for each, in their order. When it throws, the publish behind the first `*accepted` was refused,
    // and none that follows it is published.
    void publish_many(const fanwire_publish_args* args, std::size_t count, std::size_t* accepted = nullptr) {
        detail::check(fanwire_publish_many(handle(), args, sizeof *args, count, accepted));
    }

    // Publishes, waits for the outcome and returns the number of receivers as Redis counts them. Throws what
    // publish() does, and the outcome when it is not OK; TIMEOUT leaves the publish under way.
    std::uint64_t publish_wait(std::string_view channel, std::string_view payload,
                               std::chrono::milliseconds timeout = forever) {
        std::uint64_t receivers = 0;
        detail::check(fanwire_publish_wait(handle(), channel.data(), channel.size(), payload.data(), payload.size(),
                                           detail::timeout(timeout), &receivers));
        return receivers;
    }

    // How many subscribers Redis counts for each of the channels, of which there are 1024 at most; patterns do not
    // count. Waits up to `timeout`. Throws TIMEOUT, LIMIT_REACHED, INVALID_CHANNEL, NOT_CONNECTED, NO_PERMISSION,
    // CLOSED.
    std::vector<std::uint64_t> numsub(const std::vector<std::string_view>& channels,
                                      std::chrono::milliseconds timeout = forever) {
        std::vector<std::uint64_t> counts(channels.size());
        const detail::Names names(channels);
        detail::check(fanwire_numsub(handle(), names.data(), names.sizes(), channels.size(), counts.data(),
                                     detail::timeout(timeout)));
        return counts;
    }

    // The same without waiting: exactly one NUMSUB event with user_data to `inbox`; see Event::counts(). When this
    // throws there is none.
    void numsub_async(const std::vector<std::string_view>& channels, const Inbox& inbox, void* user_data = nullptr) {
        const detail::Names names(channels);
        detail::check(
            fanwire_numsub_async(handle(), names.data(), names.sizes(), channels.size(), inbox.handle(), user_data));
    }

    // Publishes a message that can be answered: a REPLY event for each reply and then one REQUEST_DONE to `inbox`.
    // `expect`: how many replies; 0: as many as Redis says received it. `timeout` 0: publish_timeout_ms. Throws what
    // publish() does, and LIMIT_REACHED (max_requests); then there is no event.
    [[nodiscard]] Request request(std::string_view channel, std::string_view payload, const Inbox& inbox,
                                  std::uint64_t expect = 0,
                                  std::chrono::milliseconds timeout = std::chrono::milliseconds(0),
                                  void* user_data = nullptr) {
        fanwire_request_args args{};
        args.channel = channel.data();
        args.channel_size = channel.size();
        args.payload = payload.data();
        args.payload_size = payload.size();
        args.expect = expect;
        args.timeout_ms = detail::timeout(timeout);
        args.inbox = inbox.handle();
        args.user_data = user_data;
        fanwire_request* opened = nullptr;
        detail::check(fanwire_request_open(&opened, handle(), &args, sizeof args));
        return Request(opened);
    }

    // Answers a request that this engine has received; see Message::is_request(). Throws INVALID_ARGUMENT when it is
    // none, and what publish() does.
    void reply(const Message& request, std::string_view payload) {
        detail::check(fanwire_reply(handle(), request.handle(), payload.data(), payload.size()));
    }

    // Asks for a channel, or for all channels matching a pattern; events go to `inbox` with user_data. Returns at
    // once; ACTIVE follows. Throws INVALID_CHANNEL, LIMIT_REACHED, CLOSED. Dispatcher gives each its own handler.
    [[nodiscard]] Subscription subscribe(std::string_view channel, const Inbox& inbox, void* user_data = nullptr) {
        return subscribe_by(fanwire_subscribe, channel, inbox.handle(), user_data);
    }
    [[nodiscard]] Subscription psubscribe(std::string_view pattern, const Inbox& inbox, void* user_data = nullptr) {
        return subscribe_by(fanwire_psubscribe, pattern, inbox.handle(), user_data);
    }

    // subscribe() or psubscribe(), as args.kind says. `args` as described at fanwire_subscribe_args.
    [[nodiscard]] Subscription subscribe_with(const fanwire_subscribe_args& args) {
        fanwire_subscription* made = nullptr;
        detail::check(fanwire_subscribe_with(&made, handle(), &args, sizeof args));
        return Subscription(made);
    }

    // Is delivery working? Asks nobody. Also after close(), as the next three.
    fanwire_health health() const {
        fanwire_health health{};
        detail::check(fanwire_engine_health(handle(), &health, sizeof health));
        return health;
    }

    // Counters since the engine was opened, and what is now.
    fanwire_engine_stats stats() const {
        fanwire_engine_stats stats{};
        detail::check(fanwire_engine_stats_get(handle(), &stats, sizeof stats));
        return stats;
    }

    // The histogram of a fanwire_latency_kind.
    fanwire_latency latency(int kind) const {
        fanwire_latency latency{};
        detail::check(fanwire_engine_latency(handle(), kind, &latency, sizeof latency));
        return latency;
    }

    // Health, stats and latencies in a fanwire_metrics_format.
    std::string metrics(int format) const {
        return detail::text_of(
            [&](char* buffer, std::size_t* size) { return fanwire_engine_metrics(handle(), format, buffer, size); });
    }

    // Borrowed from this.
    fanwire_engine* handle() const noexcept { return handle_.get(); }

 private:
    void open(const Options& options) {
        fanwire_engine* opened = nullptr;
        detail::check(fanwire_engine_open(&opened, options.handle()));
        handle_.reset(opened);
    }

    Subscription subscribe_by(decltype(&fanwire_subscribe) call, std::string_view name, fanwire_inbox* inbox,
                              void* user_data) {
        fanwire_subscription* made = nullptr;
        detail::check(call(&made, handle(), name.data(), name.size(), inbox, user_data));
        return Subscription(made);
    }

    std::shared_ptr<Options::LogHandler> log_;  // outlives the handle below
    detail::Handle<fanwire_engine, fanwire_engine_destroy> handle_;
};

}  // namespace fanwire
