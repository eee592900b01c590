#include "asking.h"

#include <cmath>
#include <memory>
#include <vector>

#include "engine.h"
#include "inbox.h"

namespace fanwire::node {
namespace {

void* key_at(const Call& call, size_t index) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(call.number(index)));
}

// A request that we have made; closing it cancels it.
class Request : public Handle {
 public:
    Request(std::shared_ptr<Environment> environment, fanwire_request* request)
        : Handle(std::move(environment)), request_(request) {}
    ~Request() override { Request::close(); }
    const void* type() const override { return type_of<Request>(); }
    void close() override {
        fanwire_request_destroy(&request_);
        Handle::close();
    }

 private:
    fanwire_request* request_;
};

uint32_t length_of(napi_env env, napi_value array) {
    uint32_t length = 0;
    check(env, napi_get_array_length(env, array, &length));
    return length;
}

napi_value element_of(napi_env env, napi_value array, uint32_t index) {
    napi_value element = nullptr;
    check(env, napi_get_element(env, array, index, &element));
    return element;
}

uint64_t number_of(napi_env env, napi_value value) {
    double number = 0;
    check(env, napi_get_value_double(env, value, &number));
    return std::isinf(number) ? FANWIRE_FOREVER : static_cast<uint64_t>(number);
}

// numsub(engine, inbox, channels, key): one NUMSUB row with that key follows
napi_value numsub(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const auto& inbox = handle_at<Inbox>(call, 1);
    std::vector<std::unique_ptr<Bytes>> channels;
    std::vector<const char*> names;
    std::vector<size_t> sizes;
    const uint32_t count = length_of(call.env(), call[2]);
    for (uint32_t i = 0; i < count; ++i) {
        channels.push_back(std::make_unique<Bytes>(call.env(), element_of(call.env(), call[2], i)));
        names.push_back(channels.back()->data());
        sizes.push_back(channels.back()->size());
    }
    engine.environment().check(
        fanwire_numsub_async(engine.get(), names.data(), sizes.data(), count, inbox.get(), key_at(call, 3)));
    return nullptr;
}

// requestOpen(engine, inbox, channel, payload, key, [expect, timeoutMs]) -> request: REPLY rows with that key follow,
// and then one REQUEST_DONE
napi_value request_open(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const auto& inbox = handle_at<Inbox>(call, 1);
    const Bytes channel(call.env(), call[2]);
    const Bytes payload(call.env(), call[3]);
    fanwire_request_args args{};
    args.channel = channel.data();
    args.channel_size = channel.size();
    args.payload = payload.data();
    args.payload_size = payload.size();
    args.expect = number_of(call.env(), element_of(call.env(), call[5], 0));
    args.timeout_ms = number_of(call.env(), element_of(call.env(), call[5], 1));
    args.inbox = inbox.get();
    args.user_data = key_at(call, 4);
    fanwire_request* request = nullptr;
    engine.environment().check(fanwire_request_open(&request, engine.get(), &args, sizeof args));
    return make_external(call.env(), std::make_unique<Request>(Environment::of(call.env()), request));
}

// requestDestroy(request): REQUEST_DONE follows, unless it has come
napi_value request_destroy(const Call& call) {
    handle_at<Request>(call, 0).close();
    return nullptr;
}

// reply(engine, asked, payload)
napi_value reply(const Call& call) {
    const auto& engine = handle_at<Engine>(call, 0);
    const auto& asked = handle_at<Asked>(call, 1);
    const Bytes payload(call.env(), call[2]);
    engine.environment().check(fanwire_reply(engine.get(), asked.message(), payload.data(), payload.size()));
    return nullptr;
}

}  // namespace

void export_asking(napi_env env, napi_value exports) {
    export_function<numsub>(env, exports, "numsub");
    export_function<request_open>(env, exports, "requestOpen");
    export_function<request_destroy>(env, exports, "requestDestroy");
    export_function<reply>(env, exports, "reply");
}

}  // namespace fanwire::node
