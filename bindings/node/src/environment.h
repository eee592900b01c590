// What one JavaScript environment (the main thread or one worker) owns: its way to be woken, its error factory and
// the handles that must be gone before it is. Nothing is shared between environments.
#pragma once

#include <fanwire/fanwire.h>
#include <node_api.h>

#include <memory>
#include <mutex>
#include <unordered_set>

#include "napi_call.h"

namespace fanwire::node {

class Handle;

// Wakes the environment from any thread. It outlives the thread-safe function, so that a late wake finds it closed.
class Waker {
 public:
    void open(napi_threadsafe_function function);
    void close();
    // Makes JavaScript call onWake(id) soon; harmless when closed. Takes a mutex nobody holds for long.
    void wake(uint32_t id);

 private:
    std::mutex mutex_;
    napi_threadsafe_function function_ = nullptr;  // nullptr: closed
};

class Environment {
 public:
    // Of a call's environment; a shared pointer, because handles are finalized in no particular order.
    static const std::shared_ptr<Environment>& of(napi_env env);
    static void create(napi_env env);

    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    void set_callbacks(napi_value on_wake, napi_value make_error);

    // Throws the FanwireError of `status` in JavaScript; OK returns. The text is fanwire_last_error().
    void check(int status);

    // Whether waking keeps the process alive.
    void keep_alive(bool yes);
    bool kept_alive() const { return kept_alive_; }

    // So many bytes more are held by what JavaScript refers to: it makes the garbage collector run in time.
    void tell_memory(int64_t bytes);

    const std::shared_ptr<Waker>& waker() const { return waker_; }

    // Handles that are to be closed when the environment goes.
    void track(Handle* handle) { handles_.insert(handle); }
    void untrack(Handle* handle) { handles_.erase(handle); }

 private:
    explicit Environment(napi_env env) : env_(env) {}

    static void on_threadsafe_call(napi_env env, napi_value callback, void* context, void* data) noexcept;
    static void on_cleanup(void* data) noexcept;
    void call_on_wake(uint32_t id);
    void close_handles();

    napi_env env_;
    napi_threadsafe_function function_ = nullptr;
    bool kept_alive_ = false;
    napi_ref on_wake_ = nullptr;
    napi_ref make_error_ = nullptr;
    std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
    std::unordered_set<Handle*> handles_;
};

}  // namespace fanwire::node
