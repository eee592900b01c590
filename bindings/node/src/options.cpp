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

} // namespace

Options::Options(std::shared_ptr<Environment> environment) : Handle(std::move(environment)) {
    this->environment().check(fanwire_options_create(&options_));
}

void Options::close() {
    fanwire_options_destroy(&options_);
    Handle::close();
}

void export_options(napi_env env, napi_value exports) {
    export_function<options_create>(env, exports, "optionsCreate");
}

} // namespace fanwire::node
