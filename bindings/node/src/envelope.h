#pragma once

#include <node_api.h>

namespace fanwire::node {

// Envelopes: encodeEnvelope(payload, type, ids, numbers, texts), decodeEnvelope(bytes).
void export_envelope(napi_env env, napi_value exports);

}  // namespace fanwire::node
