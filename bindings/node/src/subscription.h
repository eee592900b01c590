#pragma once

#include "handle.h"

namespace fanwire::node {

class Subscription : public Handle {
 public:
    Subscription(std::shared_ptr<Environment> environment, fanwire_subscription* subscription)
        : Handle(std::move(environment)), subscription_(subscription) {}
    ~Subscription() override { fanwire_subscription_destroy(&subscription_); }

    const void* type() const override { return type_of<Subscription>(); }
    void close() override {
        fanwire_subscription_destroy(&subscription_);
        Handle::close();
    }

    fanwire_subscription* get() const { return subscription_; }

 private:
    fanwire_subscription* subscription_;
};

void export_subscription(napi_env env, napi_value exports);

}  // namespace fanwire::node
