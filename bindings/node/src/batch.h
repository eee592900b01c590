// How a batch of events crosses into JavaScript: numbers in an Int32Array that is reused, the bytes of small messages
// in common slabs, and JavaScript values only for what is rare. lib/inbox.js reads what this writes.
//
//   head[0]             how many rows follow
//   head[1]             1 when more may wait
//   head[2 + 7 * i]     row i: kind, key, a, b, c, d, e
//
//   MESSAGE             a: where the payload starts in values[d]   b: its size   d: index in `values` of a string, when
//                       all of the message is ASCII and not very large, or of a Buffer; with b = -1 there is neither:
//                       of {channel, size, status} c: size of the channel, which stands before the payload; 0: exact Of
//                       a request d is -1 - the index, and the next value is what reply() of the addon takes e: a
//                       number, the same in rows next to each other that are of the same message
//   PUBLISHED           a: receivers, or -1 for anything but a plain success: then b as below
//   REPLY               as MESSAGE
//   the others          b: index in `values` of {status, text, reason, count, missing, delayMs, willReconnect}; of a
//   NUMSUB that
//                       succeeded also counts
#pragma once

#include <node_api.h>

namespace fanwire::node {

class Inbox;

// Writes the next batch of `inbox` into `head` and returns `values`; or undefined when no event waits.
napi_value write_batch(napi_env env, Inbox& inbox, napi_value head);

}  // namespace fanwire::node
