#pragma once

#include <node_api.h>

namespace fanwire::node {

// The tables of fanwire.h as JavaScript values: statusTable(), optionTable(), constants(), dependencies(),
// version().
void export_tables(napi_env env, napi_value exports);

}  // namespace fanwire::node
