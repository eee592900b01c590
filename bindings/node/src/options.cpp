#include "options.h"

namespace fanwire::node {
namespace {

std::string element_text(napi_env env, napi_value array, uint32_t index) {
    napi_value value = nullptr;
    check(env, napi_get_element(env, array, index, &value));
    const Bytes bytes(env, value);
    return std::string(bytes.data(), bytes.size());
}

// optionsCreate([name, value, ...]) -> options
napi_value options_create(const Call& call) {
    auto options = std::make_unique<Options>(Environment::of(call.env()));
    uint32_t count = 0;
    check(call.env(), napi_get_array_length(call.env(), call[0], &count));
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        const std::string name = element_text(call.env(), call[0], i);
        const std::string value = element_text(call.env(), call[0], i + 1);
        options->environment().check(fanwire_options_set(options->get(), name.c_str(), value.c_str()));
    }
    return make_external(call.env(), std::move(options));
}

// optionsGet(options, name) -> text, without passwords
napi_value options_get(const Call& call) {
    const auto& options = handle_at<Options>(call, 0);
    const std::string name = call.text(1);
    std::string value(256, '\0');
    size_t size = value.size();
    int status = fanwire_options_get(options.get(), name.c_str(), value.data(), &size);
    if (status == FANWIRE_LIMIT_REACHED) {
        value.resize(size);
        status = fanwire_options_get(options.get(), name.c_str(), value.data(), &size);
    }
    options.environment().check(status);
    return make_text(call.env(), value.c_str());
}

// optionsLog(options, id) -> log, of the engine that is opened with them; onWake(id) says that lines wait
napi_value options_log(const Call& call) {
    auto& options = handle_at<Options>(call, 0);
    const auto& environment = Environment::of(call.env());
    auto log = std::make_unique<Log>(environment, call.number(1));
    options.set_log(log->queue());
    return make_external(call.env(), std::move(log));
}

}  // namespace

Options::Options(std::shared_ptr<Environment> environment) : Handle(std::move(environment)) {
    this->environment().check(fanwire_options_create(&options_));
}

void Options::set_log(std::shared_ptr<LogQueue> log) {
    const auto add = [](void* queue, int level, const char* text) noexcept {
        static_cast<LogQueue*>(queue)->add(level, text);
    };
    environment().check(fanwire_options_set_log(options_, add, log.get()));
    log_ = std::move(log);
}

void Options::close() {
    fanwire_options_destroy(&options_);
    Handle::close();
}

void export_options(napi_env env, napi_value exports) {
    export_function<options_create>(env, exports, "optionsCreate");
    export_function<options_get>(env, exports, "optionsGet");
    export_function<options_log>(env, exports, "optionsLog");
}

}  // namespace fanwire::node
