#pragma once

#include <node_api.h>

namespace fanwire::node {

// The JSON guard: cleanJsonBytes(bytes, start, size), cleanJsonText(text).
void export_json(napi_env env, napi_value exports);

}  // namespace fanwire::node
