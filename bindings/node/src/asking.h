#pragma once

#include <node_api.h>

#include "handle.h"

namespace fanwire::node {

// A request that this process has received, kept until it has been answered for the last time: its message.
class Asked : public Handle {
 public:
    Asked(std::shared_ptr<Environment> environment, fanwire_message* message)
        : Handle(std::move(environment)), message_(message) {
        fanwire_message_retain(message_);
    }
    ~Asked() override { Asked::close(); }
    const void* type() const override { return type_of<Asked>(); }
    void close() override {
        fanwire_message_release(message_);
        message_ = nullptr;
        Handle::close();
    }

    const fanwire_message* message() const { return message_; }

 private:
    fanwire_message* message_;
};

void export_asking(napi_env env, napi_value exports);

}  // namespace fanwire::node
