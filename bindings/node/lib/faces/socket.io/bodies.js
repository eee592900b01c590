'use strict';
// What travels in a message: JSON, or msgpack when it holds bytes.

function hasBinary(value, isJson = false) {
  if (value === null || typeof value !== 'object') return false;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return true;
  if (Array.isArray(value)) return value.some((item) => hasBinary(item));
  if (!isJson && typeof value.toJSON === 'function') return hasBinary(value.toJSON(), true);
  for (const key in value) {
    if (Object.hasOwn(value, key) && hasBinary(value[key])) return true;
  }
  return false;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** {encode, decode}; decode(message) throws on what is neither. (No msgpack of an object begins with a brace.) */
function bodies(msgpack) {
  return {
    encode: (value) => (hasBinary(value) ? msgpack.encode(value) : JSON.stringify(value)),
    // The text is asked for first, because a Buffer of each message would cost more than all else of it.
    decode: (message) => (message.text.startsWith('{') ? JSON.parse(message.text) : msgpack.decode(message.data)),
  };
}

module.exports = { bodies, isObject };
