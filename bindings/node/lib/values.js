'use strict';
// From JavaScript values to bytes: the mapping all bindings share. Text is UTF-8, bytes are raw, the rest is JSON.

// Nothing here is `instanceof` anything: what comes from another realm (node:vm, Jest) is as good.

const { isUint8Array, isAnyArrayBuffer } = require('node:util').types;

const { makeError, kindOf } = require('./errors.js');

function bytesOf(value) {
  // A detached one looks empty; making a view of it throws.
  if (isUint8Array(value)) return value.length > 0 ? value : new Uint8Array(value.buffer, 0, 0);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  return undefined;
}

/** The payload of a value: a string (to be sent as UTF-8) or a Uint8Array. */
function encode(value) {
  if (typeof value === 'string') return value;
  let payload;
  try {
    payload = bytesOf(value) ?? JSON.stringify(value);
  } catch (cause) { // a cycle, a BigInt, a toJSON() that throws, a detached buffer
    throw makeError('INVALID_ARGUMENT', `the value cannot be sent: ${cause?.message ?? cause}`, { cause });
  }
  if (payload !== undefined) return payload;
  throw makeError('INVALID_ARGUMENT', `the value cannot be sent: ${kindOf(value)} has no JSON`);
}

/** A channel name or pattern as the addon takes it; `what` names it in the error. */
function checkName(name, what) {
  if (typeof name === 'string' || isUint8Array(name)) return name;
  throw makeError('INVALID_ARGUMENT', `the ${what} must be a string or a Uint8Array, not ${kindOf(name)}`);
}

module.exports = { bytesOf, encode, checkName };
