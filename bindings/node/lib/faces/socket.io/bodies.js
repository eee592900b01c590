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

const kBase64 = '~'; // what bytes as text begin with

/**
 * {encode, decode}; decode(message) throws on what is neither. (No msgpack of an object begins with a brace.) `isText`:
 * what carries them is for text only, so msgpack is sent in base64.
 */
function bodies(msgpack, isText = false) {
  return {
    encode(value) {
      if (!hasBinary(value)) return JSON.stringify(value);
      const bytes = msgpack.encode(value);
      return isText ? kBase64 + Buffer.from(bytes).toString('base64') : bytes;
    },
    // The text is asked for first, because a Buffer of each message would cost more than all else of it.
    decode(message) {
      const { text } = message;
      if (text.startsWith('{')) return JSON.parse(text);
      if (text.startsWith(kBase64)) return msgpack.decode(Buffer.from(text.slice(1), 'base64'));
      if (isText) throw new TypeError('it has bytes, and the client that was passed in gives messages as text only');
      return msgpack.decode(message.data);
    },
  };
}

module.exports = { bodies, hasBinary, isObject };
