#include "environment.h"

#include "handle.h"

namespace fanwire::node {

void Waker::open(napi_threadsafe_function function) {
    const std::lock_guard lock(mutex_);
    function_ = function;
}

void Waker::close() {
    const std::lock_guard lock(mutex_);
    function_ = nullptr;
}

void Waker::wake(uint32_t id) {
    const std::lock_guard lock(mutex_);
    if (function_ == nullptr) return;
    // The id travels as the pointer: a wake that arrives after its inbox has gone finds nothing to touch.
    const napi_status status = napi_call_threadsafe_function(
        function_, reinterpret_cast<void*>(static_cast<uintptr_t>(id)), napi_tsfn_nonblocking);
    if (status == napi_closing) function_ = nullptr;  // after this answer it must not be used again
}

const std::shared_ptr<Environment>& Environment::of(napi_env env) {
    void* data = nullptr;
    node::check(env, napi_get_instance_data(env, &data));
    return *static_cast<std::shared_ptr<Environment>*>(data);
}

namespace {

// Asked by tools that look for what keeps a process alive (Jest's --detectOpenHandles), as of Node's own handles.
napi_value has_ref(const Call& call) {
    return make_boolean(call.env(), Environment::of(call.env())->kept_alive());
}

}  // namespace

void Environment::create(napi_env env) {
    auto holder = std::make_unique<std::shared_ptr<Environment>>(new Environment(env));
    Environment* self = holder->get();
    node::check(env, napi_set_instance_data(
                         env, holder.get(),
                         [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Environment>*>(data); },
                         nullptr));
    holder.release();

    napi_value resource = nullptr;
    node::check(env, napi_create_object(env, &resource));
    export_function<has_ref>(env, resource, "hasRef");
    node::check(env, napi_create_threadsafe_function(env, nullptr, resource, make_text(env, "fanwire"), 0, 1, nullptr,
                                                     nullptr, self, on_threadsafe_call, &self->function_));
    node::check(env, napi_unref_threadsafe_function(env, self->function_));
    self->waker_->open(self->function_);
    // Hooks run last in, first out: this one runs before the thread-safe function's own.
    node::check(env, napi_add_env_cleanup_hook(env, on_cleanup, self));
}

void Environment::set_callbacks(napi_value on_wake, napi_value make_error) {
    node::check(env_, napi_create_reference(env_, on_wake, 1, &on_wake_));
    node::check(env_, napi_create_reference(env_, make_error, 1, &make_error_));
}

void Environment::check(int status) {
    if (status == FANWIRE_OK) return;
    napi_value factory = nullptr;
    napi_value error = nullptr;
    napi_value args[] = {make_number(env_, status), make_text(env_, fanwire_last_error())};
    node::check(env_, napi_get_reference_value(env_, make_error_, &factory));
    node::check(env_, napi_call_function(env_, make_undefined(env_), factory, 2, args, &error));
    node::check(env_, napi_throw(env_, error));
    throw PendingException{};
}

void Environment::keep_alive(bool yes) {
    node::check(env_,
                yes ? napi_ref_threadsafe_function(env_, function_) : napi_unref_threadsafe_function(env_, function_));
    kept_alive_ = yes;
}

void Environment::tell_memory(int64_t bytes) {
    int64_t all = 0;
    napi_adjust_external_memory(env_, bytes, &all);  // a hint: nothing depends on it
}

// env is nullptr when the environment is going away with wakes still queued.
void Environment::on_threadsafe_call(napi_env env, napi_value, void* context, void* data) noexcept {
    if (env == nullptr) return;
    try {
        static_cast<Environment*>(context)->call_on_wake(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data)));
    } catch (const PendingException&) {  // onWake catches everything itself; this is a worker being terminated
    }
}

void Environment::call_on_wake(uint32_t id) {
    napi_value function = nullptr;
    napi_value arg = make_number(env_, id);
    node::check(env_, napi_get_reference_value(env_, on_wake_, &function));
    node::check(env_, napi_call_function(env_, make_undefined(env_), function, 1, &arg, nullptr));
}

void Environment::on_cleanup(void* data) noexcept {
    auto* self = static_cast<Environment*>(data);
    self->waker_->close();
    self->close_handles();
    napi_release_threadsafe_function(self->function_, napi_tsfn_abort);  // no call of it comes any more
    for (napi_ref* reference : {&self->on_wake_, &self->make_error_}) {
        if (*reference != nullptr) napi_delete_reference(self->env_, *reference);  // Node would not
        *reference = nullptr;
    }
}

void Environment::close_handles() {
    while (!handles_.empty()) (*handles_.begin())->close();  // which untracks it
}

}  // namespace fanwire::node
