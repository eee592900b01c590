'use strict';
// What @ws-kit/redis-pubsub 1.0 sends: text, in one of three ways or the caller's own.

const { cleanJson } = require('../../index.js');
const { PubSubError, SerializationError, DeserializationError } = require('./errors.js');

const parse = (text) => JSON.parse(cleanJson(text));

const builtIn = {
  json: {
    encode(value) {
      const json = JSON.stringify(value);
      if (json === undefined) throw new SerializationError(`JSON serializer cannot hold a value of type ${typeof value}`);
      return json;
    },
    decode: parse,
  },
  text: {
    encode(value) {
      if (typeof value === 'string') return value;
      throw new SerializationError(`Text serializer requires a string, got ${typeof value}`);
    },
    decode: (text) => text,
  },
  binary: {
    encode(value) {
      if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
      throw new SerializationError(`Binary serializer requires Buffer or Uint8Array, got ${typeof value}`);
    },
    decode: (text) => Buffer.from(text, 'base64'),
  },
};

const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/** {encode, decode} of the option `serializer`, with failures as the package's errors. */
function serializerOf(option = 'json') {
  const own = typeof option === 'object' ? option : builtIn[option];
  return {
    encode(value) {
      let text;
      try {
        text = own.encode(value);
      } catch (cause) {
        if (cause instanceof PubSubError) throw cause;
        throw new SerializationError(`Serialization failed: ${messageOf(cause)}`, { cause });
      }
      if (typeof text === 'string') return text;
      throw new SerializationError(`Custom serializer.encode() must return a string, got ${typeof text}`);
    },
    decode({ text }) {
      try {
        return own.decode(text);
      } catch (cause) {
        if (cause instanceof PubSubError) throw cause;
        throw new DeserializationError(`Deserialization failed: ${messageOf(cause)}`, { cause });
      }
    },
  };
}

module.exports = { serializerOf, parse, messageOf };
