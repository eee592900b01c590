#pragma once

#include "handle.h"

namespace fanwire::node {

// An engine. Closing takes time and happens on a pool thread, which shares it meanwhile.
class Engine : public Handle {
   public:
    Engine(std::shared_ptr<Environment> environment, fanwire_engine* engine)
        : Handle(std::move(environment)), engine_(engine, [](fanwire_engine* e) { fanwire_engine_destroy(&e); }) {}

    const void* type() const override { return type_of<Engine>(); }
    void close() override {
        engine_.reset();
        Handle::close();
    }

    fanwire_engine* get() const { return engine_.get(); } // NULL when closed: every call takes that
    const std::shared_ptr<fanwire_engine>& shared() const { return engine_; }

   private:
    std::shared_ptr<fanwire_engine> engine_;
};

void export_engine(napi_env env, napi_value exports);

} // namespace fanwire::node
