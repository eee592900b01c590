// fanwire for C++17: RAII over fanwire.h, header only. Link fanwire::fanwire (or `pkg-config --libs fanwire`).
//
// Conventions, said once:
//  - Classes own one handle each and are moved, not copied, but for Message, whose copies share. Destruction never
//    throws and may happen in any order, from inside a handler too. A moved-from object may only be assigned to or
//    destroyed: other calls on it throw INVALID_ARGUMENT.
//  - What fails throws fanwire::Error and has changed nothing. Out of memory here throws std::bad_alloc.
//  - Any thread may call anything, unless a function says otherwise.
//  - std::string_view that a function returns is borrowed: from what, stands beside it. Channels, patterns and
//    payloads are bytes and may hold NUL.
//  - Times are std::chrono::milliseconds; `forever` waits without limit, zero and less do not wait.
//  - The enumerations (FANWIRE_EVENT_MESSAGE, FANWIRE_TIMEOUT, ...) and stats structs are those of fanwire.h.
//  - Everything is available since 0.1.0 unless it says otherwise.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fanwire/fanwire.h"

namespace fanwire {

inline constexpr std::chrono::milliseconds forever = std::chrono::milliseconds::max();

// ---- Errors ----------------------------------------------------------------------------------------------

// A call that failed: what() names the thing that is wrong.
class Error : public std::runtime_error {
   public:
    Error(int status, const std::string& text) : std::runtime_error(text), status_(status) {}

    // A fanwire_status, and its name ("CONNECT_FAILED"; static).
    int status() const noexcept { return status_; }
    std::string_view name() const noexcept { return fanwire_status_name(status_); }

    // The same call may succeed later with nothing changed by the caller.
    bool retryable() const noexcept {
        fanwire_status_info row{};
        for (std::size_t i = 0; fanwire_status_at(i, &row, sizeof row) == FANWIRE_OK; ++i)
            if (row.code == status_) return row.retryable != 0;
        return false;
    }

   private:
    int status_;
};

namespace detail {

[[noreturn]] inline void fail(int status) {
    const std::string_view text = fanwire_last_error();
    throw Error(status, std::string(text.empty() ? fanwire_status_text(status) : text));
}

inline void check(int status) {
    if (status != FANWIRE_OK) fail(status);
}

inline std::uint64_t timeout(std::chrono::milliseconds time) noexcept {
    if (time == forever) return FANWIRE_FOREVER;
    return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

inline std::string_view view(const char* bytes, std::size_t size) noexcept {
    return bytes == nullptr ? std::string_view{} : std::string_view{bytes, size};
}

template <typename T, void (*destroy)(T**)>
struct Destroy {
    void operator()(T* handle) const noexcept { destroy(&handle); }
};

template <typename T, void (*destroy)(T**)>
using Handle = std::unique_ptr<T, Destroy<T, destroy>>;

}  // namespace detail

// ---- Version ---------------------------------------------------------------------------------------------

// The library's version. Borrowed: static.
inline std::string_view version() noexcept { return fanwire_version(); }

// Throws VERSION_MISMATCH when the library does not fit the header this was compiled with. Options, Inbox and
// Engine call it themselves.
inline void check_version() { detail::check(FANWIRE_CHECK_VERSION()); }

// ---- Settings --------------------------------------------------------------------------------------------

class Inbox;

// A set of settings; what is not set comes from the URL, then the environment, then the table. One thread at a time.
class Options {
   public:
    // A log line without its newline, valid during the call; level is a fanwire_log_level. May come from the IO
    // thread: it must neither block nor call the engine. What it throws is dropped.
    using LogHandler = std::function<void(int level, std::string_view text)>;

    Options() {
        check_version();
        fanwire_options* created = nullptr;
        detail::check(fanwire_options_create(&created));
        handle_.reset(created);
    }

    // With the setting `url`. Throws INVALID_URL.
    explicit Options(const std::string& url) : Options() { set("url", url); }

    // Throws UNKNOWN_OPTION, INVALID_OPTION, INVALID_URL.
    Options& set(const std::string& name, const std::string& value) {
        // The C API would take the part before a NUL for the whole.
        if (name.find('\0') != std::string::npos) throw Error(FANWIRE_UNKNOWN_OPTION, "a setting's name holds a NUL");
        if (value.find('\0') != std::string::npos)
            throw Error(FANWIRE_INVALID_OPTION, name + ": the value holds a NUL");
        detail::check(fanwire_options_set(handle(), name.c_str(), value.c_str()));
        return *this;
    }
    Options& set(const std::string& name, const char* value) {  // else a literal would become a bool
        if (value == nullptr) throw Error(FANWIRE_INVALID_ARGUMENT, name + ": the value is NULL");
        return set(name, std::string(value));
    }
    template <typename Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
    Options& set(const std::string& name, Number value) {
        static_assert(std::is_integral_v<Number> && !std::is_same_v<Number, char>, "text, integers and booleans only");
        if constexpr (std::is_same_v<Number, bool>)
            return set(name, value ? "true" : "false");
        else
            return set(name, std::to_string(value));
    }

    // The value that an engine opened now would have; secrets read "***". Throws UNKNOWN_OPTION, and what opening
    // an engine would.
    std::string get(const std::string& name) const {
        std::size_t size = 0;
        detail::check(fanwire_options_get(handle(), name.c_str(), nullptr, &size));
        std::string value;
        int status = FANWIRE_LIMIT_REACHED;
        while (status == FANWIRE_LIMIT_REACHED) {  // again when the environment was changed between two calls
            value.resize(size);
            status = fanwire_options_get(handle(), name.c_str(), value.data(), &size);
        }
        detail::check(status);
        value.resize(size - 1);  // without the NUL
        return value;
    }

    // "option" "url" "environment" or "default". Borrowed: static. Throws as get() does.
    std::string_view source(const std::string& name) const {
        const char* from = "";
        detail::check(fanwire_options_source(handle(), name.c_str(), &from));
        return from;
    }

    // Engines opened with these options share the handler and keep it alive. An empty one: no log.
    Options& log(LogHandler handler) {
        if (!handler) {
            detail::check(fanwire_options_set_log(handle(), nullptr, nullptr));
            log_.reset();
            return *this;
        }
        auto shared = std::make_shared<LogHandler>(std::move(handler));
        detail::check(fanwire_options_set_log(handle(), &Options::call_log, shared.get()));
        log_ = std::move(shared);
        return *this;
    }

    // Where the engine events (CONNECTED DISCONNECTED RECONNECTING ERROR) of an engine opened with these options go.
    // The inbox must not be destroyed before that engine was opened.
    Options& engine_inbox(const Inbox& inbox, void* user_data = nullptr);

    // Borrowed from this.
    fanwire_options* handle() const noexcept { return handle_.get(); }

   private:
    friend class Engine;

    static void call_log(void* user_data, int level, const char* text) {
        try {
            (*static_cast<LogHandler*>(user_data))(level, text);
        } catch (...) {  // there is nowhere to report to: this is the report
        }
    }

    detail::Handle<fanwire_options, fanwire_options_destroy> handle_;
    std::shared_ptr<LogHandler> log_;
};

// ---- Messages and events ---------------------------------------------------------------------------------

// A message, kept: immutable and shared by all copies. Views are borrowed from it, valid while any copy lives.
class Message {
   public:
    Message() noexcept = default;

    // One more owner of `message` (NULL: an empty Message).
    explicit Message(fanwire_message* message) noexcept : message_(message) { fanwire_message_retain(message_); }
    Message(const Message& other) noexcept : Message(other.message_) {}
    Message(Message&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    Message& operator=(Message other) noexcept {
        std::swap(message_, other.message_);
        return *this;
    }
    ~Message() { fanwire_message_release(message_); }

    explicit operator bool() const noexcept { return message_ != nullptr; }

    // Without the namespace; pattern() is empty for exact subscriptions. Empty views of an empty Message.
    std::string_view channel() const noexcept { return part(fanwire_message_channel); }
    std::string_view pattern() const noexcept { return part(fanwire_message_pattern); }
    std::string_view payload() const noexcept { return part(fanwire_message_payload); }

    // Borrowed from this.
    fanwire_message* handle() const noexcept { return message_; }

   private:
    std::string_view part(int (*of)(const fanwire_message*, const char**, std::size_t*)) const noexcept {
        const char* bytes = nullptr;
        std::size_t size = 0;
        if (message_ == nullptr || of(message_, &bytes, &size) != FANWIRE_OK) return {};
        return detail::view(bytes, size);
    }

    fanwire_message* message_ = nullptr;
};

// One event, looked at: its views are borrowed from the Batch it stands in or valid during the handler's call.
// message() keeps what must live longer. What a kind does not name is 0 or empty; see fanwire_event_kind.
class Event {
   public:
    explicit Event(const fanwire_event& event) noexcept : event_(&event) {}

    // A fanwire_event_kind.
    int kind() const noexcept { return event_->kind; }
    bool is_message() const noexcept { return kind() == FANWIRE_EVENT_MESSAGE; }

    std::string_view channel() const noexcept { return detail::view(event_->channel, event_->channel_size); }
    std::string_view pattern() const noexcept { return detail::view(event_->pattern, event_->pattern_size); }
    std::string_view payload() const noexcept { return detail::view(event_->payload, event_->payload_size); }
    Message message() const noexcept { return Message(event_->message); }

    // A fanwire_status and what it is about.
    int status() const noexcept { return event_->status; }
    std::string_view text() const noexcept { return event_->text == nullptr ? "" : event_->text; }

    // A GAP's fanwire_gap_reason; its number of messages, a PUBLISHED's receivers, a RECONNECTING's attempt.
    int reason() const noexcept { return event_->reason; }
    std::uint64_t count() const noexcept { return event_->count; }
    bool count_known() const noexcept { return event_->count != FANWIRE_COUNT_UNKNOWN; }

    bool will_reconnect() const noexcept { return event_->will_reconnect != 0; }
    std::chrono::milliseconds delay() const noexcept {
        return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(event_->delay_ms));
    }
    void* user_data() const noexcept { return event_->user_data; }

    // Borrowed as this is.
    const fanwire_event& raw() const noexcept { return *event_; }

   private:
    const fanwire_event* event_;
};

using EventHandler = std::function<void(const Event& event)>;
using ErrorHandler = std::function<void(std::exception_ptr error)>;

// Room for the events of one drain, used again and again. It owns their messages until the next drain, clear() or
// its destruction. One thread at a time.
class Batch {
   public:
    explicit Batch(std::size_t capacity = 256) : events_(capacity > 0 ? capacity : 1) {}
    Batch(Batch&& other) noexcept : events_(std::move(other.events_)), count_(std::exchange(other.count_, 0)) {}
    Batch& operator=(Batch&& other) noexcept {
        clear();
        events_ = std::move(other.events_);
        count_ = std::exchange(other.count_, 0);
        return *this;
    }
    ~Batch() { clear(); }

    class Iterator {
       public:
        explicit Iterator(const fanwire_event* at) noexcept : at_(at) {}
        Event operator*() const noexcept { return Event(*at_); }
        Iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        bool operator!=(const Iterator& other) const noexcept { return at_ != other.at_; }

       private:
        const fanwire_event* at_;
    };

    Iterator begin() const noexcept { return Iterator(events_.data()); }
    Iterator end() const noexcept { return Iterator(events_.data() + count_); }
    Event operator[](std::size_t index) const noexcept { return Event(events_[index]); }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    std::size_t capacity() const noexcept { return events_.size(); }

    // Releases the messages.
    void clear() noexcept {
        if (count_ > 0) fanwire_events_release(events_.data(), sizeof(fanwire_event), count_);
        count_ = 0;
    }

   private:
    friend class Inbox;

    std::vector<fanwire_event> events_;
    std::size_t count_ = 0;
};

// ---- Inboxes ---------------------------------------------------------------------------------------------

// A bounded queue of events with one consumer: either a thread that polls fd() and drains, or a dispatcher.
// Destroying it ends the subscriptions that use it; afterwards no handler of it is called again. Inside its own
// handler that holds once the handler has returned.
class Inbox {
   public:
    // With the limits of the settings inbox_count, inbox_bytes and overflow.
    Inbox() : Inbox(nullptr) {}
    explicit Inbox(const Options& options) : Inbox(options.handle()) {}
    Inbox(Inbox&&) noexcept = default;
    Inbox& operator=(Inbox other) noexcept {  // by value: what was here is destroyed with `other`, in the right order
        wake_.swap(other.wake_);
        dispatching_.swap(other.dispatching_);
        handle_.swap(other.handle_);
        return *this;
    }
    ~Inbox() {
        // Inside its own handler the handle's end is put off, and wake_ would be gone before.
        if (wake_) fanwire_inbox_set_wake(handle(), nullptr, nullptr);
    }

    // Readable while events wait; for poll, epoll and event loops. Not to be read or closed. Borrowed from this.
    int fd() const {
        int descriptor = -1;
        detail::check(fanwire_inbox_fd(handle(), &descriptor));
        return descriptor;
    }

    // Calls `wake` whenever the inbox goes from empty to non-empty, mostly on an IO thread: it must neither block
    // nor call fanwire. What it throws is dropped. An empty one: none. When this returns the former one is done.
    void on_wake(std::function<void()> wake) {
        auto next = wake ? std::make_unique<std::function<void()>>(std::move(wake)) : nullptr;
        detail::check(fanwire_inbox_set_wake(handle(), next ? &Inbox::call_wake : nullptr, next.get()));
        wake_ = std::move(next);
    }

    // Moves up to batch.capacity() events into `batch`, after releasing what it held, and returns their number.
    // Does not block. One thread at a time. Throws INVALID_ARGUMENT when dispatching.
    std::size_t drain(Batch& batch) {
        batch.clear();
        std::size_t count = 0;
        detail::check(fanwire_inbox_drain(handle(), batch.events_.data(), sizeof(fanwire_event),
                                          batch.events_.size(), &count));
        batch.count_ = count;
        return count;
    }

    // Waits until events wait; false when the time passed without one. Throws INVALID_ARGUMENT when dispatching.
    bool wait(std::chrono::milliseconds timeout = forever) {
        const int status = fanwire_inbox_wait(handle(), detail::timeout(timeout));
        if (status == FANWIRE_TIMEOUT) return false;
        detail::check(status);
        return true;
    }

    // Starts a thread that calls `handler` with every event, in order. What it throws is kept inside: given to
    // `on_error` (if any), counted in stats().callback_errors, and delivery goes on.
    // Throws INVALID_ARGUMENT when already dispatching.
    void dispatch(EventHandler handler, ErrorHandler on_error = {}) {
        if (!handler) throw Error(FANWIRE_INVALID_ARGUMENT, "dispatch: the handler is empty");
        auto next = std::make_shared<Dispatching>(Dispatching{std::move(handler), std::move(on_error), nullptr});
        next->self = next;
        const int status = fanwire_inbox_dispatch(this->handle(), &Inbox::call_handler, next.get());
        if (status != FANWIRE_OK) {
            next->self.reset();
            detail::fail(status);
        }
        dispatching_ = Running(next.get());
    }

    fanwire_inbox_stats stats() const {
        fanwire_inbox_stats stats{};
        detail::check(fanwire_inbox_stats_get(handle(), &stats, sizeof stats));
        return stats;
    }

    // Borrowed from this.
    fanwire_inbox* handle() const noexcept { return handle_.get(); }

   private:
    struct Dispatching {
        EventHandler handler;
        ErrorHandler on_error;
        std::shared_ptr<Dispatching> self;  // held while the inbox lives, and by the call that outlives it
    };
    struct Stop {
        void operator()(Dispatching* dispatching) const noexcept { const auto last = std::move(dispatching->self); }
    };
    using Running = std::unique_ptr<Dispatching, Stop>;

    explicit Inbox(const fanwire_options* options) {
        check_version();
        fanwire_inbox* created = nullptr;
        detail::check(fanwire_inbox_create(&created, options));
        handle_.reset(created);
    }

    static void call_wake(void* user_data) {
        try {
            (*static_cast<std::function<void()>*>(user_data))();
        } catch (...) {  // an IO thread: there is nobody to tell
        }
    }

    static void call_handler(void* user_data, const fanwire_event* event) {
        // The handler may destroy the inbox, and so what it is called from.
        const std::shared_ptr<Dispatching> dispatching = static_cast<Dispatching*>(user_data)->self;
        try {
            dispatching->handler(Event(*event));
        } catch (...) {
            if (dispatching->on_error) dispatching->on_error(std::current_exception());
            throw;  // to the library, which catches and counts it
        }
    }

    // In this order: the handle is destroyed first, which waits for what the others are needed for.
    std::unique_ptr<std::function<void()>> wake_;
    Running dispatching_;
    detail::Handle<fanwire_inbox, fanwire_inbox_destroy> handle_;
};

inline Options& Options::engine_inbox(const Inbox& inbox, void* user_data) {
    detail::check(fanwire_options_set_engine_inbox(handle(), inbox.handle(), user_data));
    return *this;
}

// ---- Subscriptions ---------------------------------------------------------------------------------------

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

// ---- Engine ----------------------------------------------------------------------------------------------

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

    // Publishes, waits for the outcome and returns the number of receivers as Redis counts them. Throws what
    // publish() does, and the outcome when it is not OK; TIMEOUT leaves the publish under way.
    std::uint64_t publish_wait(std::string_view channel, std::string_view payload,
                               std::chrono::milliseconds timeout = forever) {
        std::uint64_t receivers = 0;
        detail::check(fanwire_publish_wait(handle(), channel.data(), channel.size(), payload.data(), payload.size(),
                                           detail::timeout(timeout), &receivers));
        return receivers;
    }

    // Asks for a channel, or for all channels matching a pattern; events go to `inbox` with user_data. Returns at
    // once; ACTIVE follows. Throws INVALID_CHANNEL, LIMIT_REACHED, CLOSED. Dispatcher gives each its own handler.
    [[nodiscard]] Subscription subscribe(std::string_view channel, const Inbox& inbox, void* user_data = nullptr) {
        return subscribe_by(fanwire_subscribe, channel, inbox.handle(), user_data);
    }
    [[nodiscard]] Subscription psubscribe(std::string_view pattern, const Inbox& inbox, void* user_data = nullptr) {
        return subscribe_by(fanwire_psubscribe, pattern, inbox.handle(), user_data);
    }

    // Also after close().
    fanwire_engine_stats stats() const {
        fanwire_engine_stats stats{};
        detail::check(fanwire_engine_stats_get(handle(), &stats, sizeof stats));
        return stats;
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

// ---- Dispatcher ------------------------------------------------------------------------------------------

// An inbox and its thread, with a handler of its own for each subscription, publish and engine. Handlers are called
// one at a time and in order; they may call anything of this header: unsubscribe themselves, subscribe others,
// destroy the Dispatcher. What they throw goes to `on_error`, is counted in stats().callback_errors, and delivery
// goes on. A subscription's handler is freed after its ENDED event, a publish's after its PUBLISHED, all with the
// Dispatcher.
class Dispatcher {
   public:
    explicit Dispatcher(ErrorHandler on_error = {}) { start(std::move(on_error)); }
    explicit Dispatcher(const Options& limits, ErrorHandler on_error = {}) : inbox_(limits) {
        start(std::move(on_error));
    }

    // `handler` gets every event of the subscription: MESSAGE, ACTIVE, LOST, RESUMED, GAP, FAILED, and ENDED last.
    // Throws what Engine::subscribe() does, and then never calls it.
    [[nodiscard]] Subscription subscribe(Engine& engine, std::string_view channel, EventHandler handler) {
        return with_route(std::move(handler), FANWIRE_EVENT_ENDED,
                          [&](void* route) { return engine.subscribe(channel, inbox_, route); });
    }
    [[nodiscard]] Subscription psubscribe(Engine& engine, std::string_view pattern, EventHandler handler) {
        return with_route(std::move(handler), FANWIRE_EVENT_ENDED,
                          [&](void* route) { return engine.psubscribe(pattern, inbox_, route); });
    }

    // `handler` gets the one PUBLISHED event: status() and, when that is OK, count(), the receivers.
    void publish(Engine& engine, std::string_view channel, std::string_view payload, EventHandler handler) {
        with_route(std::move(handler), FANWIRE_EVENT_PUBLISHED,
                   [&](void* route) { engine.publish_async(channel, payload, inbox_, route); });
    }

    // `handler` gets the CONNECTED, DISCONNECTED, RECONNECTING and ERROR events of the engines that are opened with
    // `options` while the Dispatcher lives.
    void engine_events(Options& options, EventHandler handler) {
        with_route(std::move(handler), 0, [&](void* route) { options.engine_inbox(inbox_, route); });
    }

    fanwire_inbox_stats stats() const { return inbox_.stats(); }

   private:
    struct Route {
        EventHandler handler;
        int last;  // the kind of event after which it is not needed; 0: none
    };
    // Shared with the dispatching thread, which may outlive this object by the call that destroyed it.
    struct Routes {
        std::mutex mutex;
        std::unordered_map<void*, std::shared_ptr<Route>> map;

        void add(const std::shared_ptr<Route>& route) {
            const std::lock_guard<std::mutex> lock(mutex);
            map.emplace(route.get(), route);
        }
        std::shared_ptr<Route> find(void* key, int kind) {
            const std::lock_guard<std::mutex> lock(mutex);
            const auto found = map.find(key);
            if (found == map.end()) return nullptr;
            std::shared_ptr<Route> route = found->second;
            if (route->last == kind) map.erase(found);
            return route;
        }
        std::shared_ptr<Route> remove(void* key) {  // returned, for its handler is freed without the lock
            const std::lock_guard<std::mutex> lock(mutex);
            const auto found = map.find(key);
            if (found == map.end()) return nullptr;
            std::shared_ptr<Route> route = std::move(found->second);
            map.erase(found);
            return route;
        }
    };

    void start(ErrorHandler on_error) {
        inbox_.dispatch(
            [routes = routes_](const Event& event) {
                if (const auto route = routes->find(event.user_data(), event.kind())) route->handler(event);
            },
            std::move(on_error));
    }

    template <typename Call>
    std::invoke_result_t<Call, void*> with_route(EventHandler handler, int last, Call call) {
        if (!handler) throw Error(FANWIRE_INVALID_ARGUMENT, "the handler is empty");
        if (!routes_) throw Error(FANWIRE_INVALID_ARGUMENT, "the Dispatcher was moved from");
        const auto route = std::make_shared<Route>(Route{std::move(handler), last});
        routes_->add(route);  // first: the event may come before the call returns
        try {
            return call(route.get());
        } catch (...) {
            routes_->remove(route.get());
            throw;
        }
    }

    std::shared_ptr<Routes> routes_ = std::make_shared<Routes>();
    Inbox inbox_;  // destroyed first
};

// ---- The tables ------------------------------------------------------------------------------------------

// All settings, as `fanwire info` lists them. Their texts are borrowed: static.
inline std::vector<fanwire_option_info> option_table() {
    std::vector<fanwire_option_info> rows(fanwire_option_count());
    for (std::size_t i = 0; i < rows.size(); ++i)
        detail::check(fanwire_option_at(i, &rows[i], sizeof(fanwire_option_info)));
    return rows;
}

// Names and versions of the libraries fanwire stands on. Borrowed: static.
inline std::vector<std::pair<std::string_view, std::string_view>> dependencies() {
    std::vector<std::pair<std::string_view, std::string_view>> rows;
    const char* name = nullptr;
    const char* version = nullptr;
    while (fanwire_dependency_at(rows.size(), &name, &version) == FANWIRE_OK) rows.emplace_back(name, version);
    return rows;
}

}  // namespace fanwire
