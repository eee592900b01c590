'use strict';
// From JavaScript values to bytes: the mapping all bindings share. Text is UTF-8, bytes are raw, the rest is JSON.

const { makeError, kindOf } = require('./errors.js');

function bytesOf(value) {
  // A detached one looks empty; making a view of it throws.
  if (value instanceof Uint8Array) return value.length > 0 ? value : new Uint8Array(value.buffer, 0, 0);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value);
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
  if (typeof name === 'string' || name instanceof Uint8Array) return name;
  throw makeError('INVALID_ARGUMENT', `the ${what} must be a string or a Uint8Array, not ${kindOf(name)}`);
}

module.exports = { encode, checkName };
