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

    // Tells the classes apart at less than the cost of a dynamic_cast: each publish asks it.
    virtual const void* type() const = 0;

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

// What type() of a T says.
template <class T>
const void* type_of() {
    static const char type = 0;
    return &type;
}

// The T behind argument `index`. Only lib/ passes externals around, so another type is a mistake of ours.
template <class T>
T& handle_at(const Call& call, size_t index) {
    void* data = nullptr;
    check(call.env(), napi_get_value_external(call.env(), call[index], &data));
    auto* handle = static_cast<Handle*>(data);
    if (handle->type() != type_of<T>()) throw_plain(call.env(), "a fanwire handle of another type was expected");
    return static_cast<T&>(*handle);
}

}  // namespace fanwire::node
