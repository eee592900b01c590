#pragma once

#include <node_api.h>

namespace fanwire::node {

void export_publishing(napi_env env, napi_value exports);

}  // namespace fanwire::node
