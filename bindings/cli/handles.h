// Owners of the library's handles.
#pragma once

#include <memory>

#include "fanwire/fanwire.h"

namespace fanwire::cli {

struct Destroy {
    void operator()(fanwire_options* handle) const { fanwire_options_destroy(&handle); }
    void operator()(fanwire_inbox* handle) const { fanwire_inbox_destroy(&handle); }
    void operator()(fanwire_engine* handle) const { fanwire_engine_destroy(&handle); }
    void operator()(fanwire_request* handle) const { fanwire_request_destroy(&handle); }
    void operator()(fanwire_subscription* handle) const { fanwire_subscription_destroy(&handle); }
};

template <typename T>
using Handle = std::unique_ptr<T, Destroy>;

}  // namespace fanwire::cli
