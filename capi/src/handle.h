// The boundary between C++ and C: tagged handles, and one ladder that turns exceptions into statuses.
#pragma once

#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "capi/src/first_sizes.h"
#include "core/base/thread.h"
#include "core/engine/engine.h"
#include "core/fanout/dispatcher.h"
#include "fanwire/fanwire.h"

namespace fanwire::capi {

using core::Failure;
using core::Status;

// Keeps the text for fanwire_last_error(); returns the status as C sees it.
int fail(Status status, const char* text) noexcept;

// Runs `body`, which speaks C++. No exception leaves.
template <class Body>
int guarded(Body&& body) noexcept {
    try {
        body();
        return FANWIRE_OK;
    } catch (const Failure& failure) {
        return fail(failure.status(), failure.what());
    } catch (const std::bad_alloc&) {
        return fail(Status::NO_MEMORY, "out of memory");
    } catch (const std::exception& error) {
        return fail(Status::INTERNAL, error.what());
    } catch (...) {
        return fail(Status::INTERNAL, "an exception of unknown type");
    }
}

// The same for calls that wait, or end what waits: see CancellationOff.
template <class Body>
int guarded_wait(Body&& body) noexcept {
    const core::CancellationOff off;
    return guarded(std::forward<Body>(body));
}

[[noreturn]] inline void reject(std::string text) {
    throw Failure(Status::INVALID_ARGUMENT, std::move(text));
}

template <class Handle>
Handle& checked_kind(Handle* handle) {
    if (!handle) reject(std::string(Handle::kind) + " is NULL");
    if (handle->tag != Handle::tag_value) reject(std::string("the handle is not a ") + Handle::kind);
    return *handle;
}

template <class Handle>
void refuse_if(bool forked) {
    if (forked)
        throw Failure(Status::FORKED,
                      std::string(Handle::kind) + " was made by the parent process: after fork() make one of your own");
}

// The handle, or INVALID_ARGUMENT when it is NULL or of another type, or FORKED when it is the parent process's.
template <class Handle>
Handle& checked(Handle* handle) {
    checked_kind(handle);
    if constexpr (requires { handle->forked(); }) refuse_if<Handle>(handle->forked());
    return *handle;
}

// The same, of a handle used together with an engine that has been checked: without the system call that it would take.
template <class Handle>
Handle& checked_beside(const core::Engine& engine, Handle* handle) {
    checked_kind(handle);
    refuse_if<Handle>(handle->fork_guard.differs(engine.fork_guard()));
    return *handle;
}

template <class T>
T& required(T* pointer, const char* name) {
    if (!pointer) reject(std::string(name) + " is NULL");
    return *pointer;
}

inline std::string_view bytes(const char* data, size_t size, const char* name) {
    if (!data && size != 0) reject(std::string(name) + " is NULL");
    return {data ? data : "", size};
}

// Copies the text with a NUL into a buffer of *size bytes; *size becomes the bytes needed. No buffer only asks for
// that.
inline void copy_text(const std::string& text, char* buffer, size_t* size, const std::string& what) {
    const size_t room = buffer ? *size : 0;
    *size = text.size() + 1;
    if (!buffer) return;
    if (room < text.size() + 1)
        throw Failure(Status::LIMIT_REACHED, "the buffer has " + std::to_string(room) + " bytes, " + what + " needs " +
                                                 std::to_string(text.size() + 1));
    std::memcpy(buffer, text.c_str(), text.size() + 1);
}

// Copies as much of `from` as the caller was compiled for.
template <class Struct>
void copy_out(Struct* to, size_t to_size, const Struct& from, const char* name) {
    required(to, name);
    if (to_size < first_size<Struct>) reject(std::string(name) + " is smaller than its first version");
    std::memset(static_cast<void*>(to), 0, to_size);  // fields that this library does not know
    std::memcpy(static_cast<void*>(to), &from, std::min(to_size, sizeof from));
}

// The caller's struct, however much of it the caller was compiled for. What lies beyond ours must not be asked for.
template <class Struct>
Struct copy_in(const Struct* from, size_t from_size, const char* name) {
    required(from, name);
    if (from_size < first_size<Struct>) reject(std::string(name) + " is smaller than its first version");
    const auto* const all = reinterpret_cast<const unsigned char*>(from);
    for (size_t i = sizeof(Struct); i < from_size; ++i)
        if (all[i] != 0) reject(std::string(name) + " has a field that this library does not know");
    Struct copy{};
    std::memcpy(static_cast<void*>(&copy), from, std::min(from_size, sizeof copy));
    return copy;
}

inline core::Engine::Deadline deadline_in(uint64_t timeout_ms) {
    using Deadline = core::Engine::Deadline;
    const auto now = Deadline::clock::now();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::max() - now).count();
    if (timeout_ms >= static_cast<uint64_t>(left)) return Deadline::max();
    return now + std::chrono::milliseconds(timeout_ms);
}

// In the child of a fork(): gives up what cannot be taken apart without the threads and locks of the parent.
template <class T>
void leak(T&& owner) {
    [[maybe_unused]] auto* lost = new std::remove_cvref_t<T>(std::forward<T>(owner));
}

// A subscription's handle is the subscription itself.
inline core::Subscription& checked(fanwire_subscription* handle) {
    if (!handle) reject("fanwire_subscription is NULL");
    auto& subscription = *reinterpret_cast<core::Subscription*>(handle);
    if (subscription.tag != core::Subscription::tag_value) reject("the handle is not a fanwire_subscription");
    if (subscription.share().fork_guard.forked())
        throw Failure(Status::FORKED,
                      "fanwire_subscription was made by the parent process: after fork() make one of your own");
    return subscription;
}

inline core::Error outcomes_full() {
    return {Status::QUEUE_FULL,
            "the inbox waits for " + std::to_string(core::Inbox::outcomes_max) + " outcomes that were not drained"};
}

// A slot of an inbox for one outcome, given back unless keep() is called.
class OutcomeSlot {
 public:
    explicit OutcomeSlot(core::Inbox& inbox) : inbox_(inbox) {
        if (!inbox.reserve_outcome()) throw Failure(outcomes_full());
    }
    ~OutcomeSlot() {
        if (!kept_) inbox_.cancel_outcome();
    }
    OutcomeSlot(const OutcomeSlot&) = delete;
    OutcomeSlot& operator=(const OutcomeSlot&) = delete;
    void keep() { kept_ = true; }

 private:
    core::Inbox& inbox_;
    bool kept_ = false;
};

// Of a handle that is one: the message itself.
const core::Message& message_of(const fanwire_message* handle);
// Where the subscriptions of the engine that use the inbox lead. The inbox has to know its engines, to end what they
// have for it when it is destroyed.
core::OutletRef outlet_of(fanwire_inbox& inbox, const std::shared_ptr<core::Engine>& engine);

// The broker that the options give; null: none.
std::unique_ptr<core::Broker> broker_of(const fanwire_options& options);

// A fanwire_subscription_kind, which is called `name`.
inline core::TargetKind kind_of(uint64_t kind, const char* name) {
    switch (kind) {
        case FANWIRE_SUBSCRIPTION_CHANNEL:
            return core::TargetKind::channel;
        case FANWIRE_SUBSCRIPTION_PATTERN:
            return core::TargetKind::pattern;
    }
    reject(std::string(name) + " is none that this library knows");
}

// Destroys *handle if there is one of the right type.
template <class Handle>
void destroy(Handle** handle) noexcept {
    if (!handle || !*handle || (*handle)->tag != Handle::tag_value) return;
    (*handle)->tag = 0;
    delete std::exchange(*handle, nullptr);
}

// The event as C sees it; its message stays owned by `event`.
fanwire_event to_c(const core::Event& event);

inline fanwire_message* to_c(core::Message* message) {
    return reinterpret_cast<fanwire_message*>(message);
}

}  // namespace fanwire::capi

struct fanwire_options {
    static constexpr const char* kind = "fanwire_options";
    static constexpr uint32_t tag_value = 0x6f707431;  // "opt1"
    uint32_t tag = tag_value;
    fanwire::core::Options options;
    fanwire_log_fn log = nullptr;
    void* log_user_data = nullptr;
    fanwire::core::EventTarget events;
    fanwire_broker_calls broker{};  // none: start is NULL
    void* broker_user_data = nullptr;
    std::unique_ptr<fanwire::core::ForkGuard> fork_guard;  // of the inbox in `events`, if there is one

    bool forked() const { return fork_guard && fork_guard->forked(); }
    ~fanwire_options();
};

struct fanwire_broker {
    static constexpr const char* kind = "fanwire_broker";
    static constexpr uint32_t tag_value = 0x62726b31;  // "brk1"
    uint32_t tag = tag_value;
    std::shared_ptr<fanwire::core::BrokerReports> reports;
    const fanwire::core::ForkGuard fork_guard{false};

    bool forked() const { return fork_guard.forked(); }
};

struct fanwire_inbox {
    static constexpr const char* kind = "fanwire_inbox";
    static constexpr uint32_t tag_value = 0x696e6231;  // "inb1"
    uint32_t tag = tag_value;
    std::shared_ptr<fanwire::core::Inbox> inbox;
    std::mutex mutex;  // of what follows
    struct User {
        std::weak_ptr<fanwire::core::Engine> engine;
        fanwire::core::OutletRef outlet;
    };
    std::vector<User> users;  // engines with subscriptions that use it
    std::unique_ptr<fanwire::core::Dispatcher> dispatcher;
    fanwire::core::Inbox::Batch drained;
    const fanwire::core::ForkGuard fork_guard{false};  // each batch asks it, and there may be many inboxes

    bool forked() const { return fork_guard.forked(); }
    ~fanwire_inbox();
};

struct fanwire_engine {
    static constexpr const char* kind = "fanwire_engine";
    static constexpr uint32_t tag_value = 0x656e6731;  // "eng1"
    uint32_t tag = tag_value;
    std::shared_ptr<fanwire::core::Engine> engine;

    bool forked() const { return engine && engine->forked(); }
    ~fanwire_engine();
};

struct fanwire_request {
    static constexpr const char* kind = "fanwire_request";
    static constexpr uint32_t tag_value = 0x72657131;  // "req1"
    uint32_t tag = tag_value;
    std::weak_ptr<fanwire::core::Engine> engine;
    std::shared_ptr<fanwire::core::Request> request;
    const fanwire::core::ForkGuard fork_guard{false};

    bool forked() const { return fork_guard.forked(); }
    ~fanwire_request();
};
