#pragma once

#include <fanwire/fanwire.h>
#include <node_api.h>

#include <memory>

namespace fanwire::node {

// Closes an engine where waiting harms nobody and returns a Promise of [status, text], which is never rejected.
// The engine stays alive until that is done, even when its environment ends first.
napi_value close_on_pool_thread(napi_env env, std::shared_ptr<fanwire_engine> engine, double timeout_ms);

}  // namespace fanwire::node
