#pragma once

#include "handle.h"
#include "log.h"

namespace fanwire::node {

// An engine. Closing takes time and happens on a pool thread, which shares it meanwhile.
class Engine : public Handle {
 public:
    // `log` is kept for as long as the engine may write to it.
    Engine(std::shared_ptr<Environment> environment, fanwire_engine* engine, std::shared_ptr<LogQueue> log)
        : Handle(std::move(environment)),
          engine_(engine, [log = std::move(log)](fanwire_engine* e) { fanwire_engine_destroy(&e); }) {}

    const void* type() const override { return type_of<Engine>(); }
    void close() override {
        engine_.reset();
        Handle::close();
    }

    fanwire_engine* get() const { return engine_.get(); }  // NULL when closed: every call takes that
    const std::shared_ptr<fanwire_engine>& shared() const { return engine_; }

 private:
    std::shared_ptr<fanwire_engine> engine_;
};

void export_engine(napi_env env, napi_value exports);

}  // namespace fanwire::node
