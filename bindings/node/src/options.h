#pragma once

#include "handle.h"
#include "log.h"

namespace fanwire::node {

// A set of settings. JavaScript gives them as text: [name, value, name, value, ...].
class Options : public Handle {
 public:
    explicit Options(std::shared_ptr<Environment> environment);
    ~Options() override { fanwire_options_destroy(&options_); }
    const void* type() const override { return type_of<Options>(); }
    void close() override;

    fanwire_options* get() const { return options_; }

    // Has the engine that is opened with these write its log there.
    void set_log(std::shared_ptr<LogQueue> log);
    const std::shared_ptr<LogQueue>& log() const { return log_; }

 private:
    fanwire_options* options_ = nullptr;
    std::shared_ptr<LogQueue> log_;
};

void export_options(napi_env env, napi_value exports);

}  // namespace fanwire::node
