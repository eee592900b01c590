// A native object held by a JavaScript external: closed by JavaScript, by the garbage collector, or by the end of its
// environment, whichever comes first.
#pragma once

#include <node_api.h>

#include <memory>

#include "environment.h"

namespace fanwire::node {

class Handle {
   public:
    explicit Handle(std::shared_ptr<Environment> environment) : environment_(std::move(environment)) {
        environment_->track(this);
    }
    virtual ~Handle() { environment_->untrack(this); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    // Gives the native object back; later calls find it closed. Twice is harmless. Overrides call this one.
    virtual void close() { environment_->untrack(this); }

    Environment& environment() const { return *environment_; }

   private:
    std::shared_ptr<Environment> environment_;
};

// A new JavaScript external that owns `handle`.
template <class T>
napi_value make_external(napi_env env, std::unique_ptr<T> handle) {
    napi_value value = nullptr;
    Handle* base = handle.get();
    check(env, napi_create_external(
                   env, base,
                   [](napi_env, void* data, void*) {
                       auto* owned = static_cast<Handle*>(data);
                       owned->close();
                       delete owned;
                   },
                   nullptr, &value));
    handle.release();
    return value;
}

// The T behind argument `index`. Only lib/ passes externals around, so another type is a mistake of ours.
template <class T>
T& handle_at(const Call& call, size_t index) {
    void* data = nullptr;
    check(call.env(), napi_get_value_external(call.env(), call[index], &data));
    T* handle = dynamic_cast<T*>(static_cast<Handle*>(data));
    if (handle == nullptr) throw_plain(call.env(), "a fanwire handle of another type was expected");
    return *handle;
}

} // namespace fanwire::node
