// How a batch of events crosses into JavaScript: numbers in an Int32Array that is reused, the bytes of all small
// messages in one slab, and JavaScript values only for what is rare. lib/batch.js reads what this writes.
//
//   head[0]             how many rows follow
//   head[1]             1 when more may wait
//   head[2 + 5 * i]     row i: kind, key, a, b, c
//
//   MESSAGE             a: offset of the payload in the slab, or -1 - index in `extras` of a Buffer of its own
//                       b: payload size   c: size of the channel, which stands before the payload; 0: exact
//   PUBLISHED           a: receivers, or -1 for anything but a plain success: then b: index in `extras`
//   the others          b: index in `extras` of {status, text, reason, count, delayMs, willReconnect}
#pragma once

#include <node_api.h>

namespace fanwire::node {

class Inbox;

// Writes the next batch of `inbox` into `head` and returns [slab, extras], each undefined when there is none; or
// undefined when no event waits.
napi_value write_batch(napi_env env, Inbox& inbox, napi_value head);

} // namespace fanwire::node
