'use strict';
// What travels in a message: JSON, or msgpack when it holds bytes.

const kBrace = 0x7b; // how JSON of an object begins, and no msgpack does that has more than a number

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

/** {encode, decode}; decode() throws on what is neither. */
function bodies(msgpack) {
  return {
    encode: (value) => (hasBinary(value) ? msgpack.encode(value) : JSON.stringify(value)),
    decode: (data) => (data[0] === kBrace ? JSON.parse(data.toString()) : msgpack.decode(data)),
  };
}

module.exports = { bodies, isObject };
