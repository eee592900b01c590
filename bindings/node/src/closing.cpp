#include "closing.h"

#include <cmath>
#include <string>

#include "napi_call.h"

namespace fanwire::node {
namespace {

struct Closing {
    std::shared_ptr<fanwire_engine> engine;
    uint64_t timeout_ms = 0;
    int status = FANWIRE_OK;
    std::string text;
    napi_deferred deferred = nullptr;
    napi_async_work work = nullptr;
};

uint64_t whole_ms(double timeout_ms) {
    constexpr double kLongest = 9e15;  // exact in a double, and longer than any process lives
    return std::isfinite(timeout_ms) && timeout_ms < kLongest ? static_cast<uint64_t>(timeout_ms) : FANWIRE_FOREVER;
}

void execute(napi_env, void* data) noexcept {
    auto* closing = static_cast<Closing*>(data);
    closing->status = fanwire_engine_close(closing->engine.get(), closing->timeout_ms);
    if (closing->status != FANWIRE_OK) closing->text = fanwire_last_error();  // of this thread
}

void complete(napi_env env, napi_status, void* data) noexcept {
    const std::unique_ptr<Closing> closing(static_cast<Closing*>(data));
    try {
        check(env, napi_delete_async_work(env, closing->work));
        napi_value result = make_array(env);
        append(env, result, 0, make_number(env, closing->status));
        append(env, result, 1, make_text(env, closing->text.c_str()));
        check(env, napi_resolve_deferred(env, closing->deferred, result));
    } catch (const PendingException&) {  // the environment is ending: nobody waits for the promise
    }
}

}  // namespace

napi_value close_on_pool_thread(napi_env env, std::shared_ptr<fanwire_engine> engine, double timeout_ms) {
    auto closing = std::make_unique<Closing>();
    closing->engine = std::move(engine);
    closing->timeout_ms = whole_ms(timeout_ms);
    napi_value promise = nullptr;
    check(env, napi_create_promise(env, &closing->deferred, &promise));
    check(env, napi_create_async_work(env, nullptr, make_text(env, "fanwire.close"), execute, complete, closing.get(),
                                      &closing->work));
    check(env, napi_queue_async_work(env, closing->work));
    closing.release();  // complete() frees it
    return promise;
}

}  // namespace fanwire::node
