'use strict';
// Between values and payloads: the codec of a bus. The built-in ones do what those of the other languages do.

const { isMap, isSet, isUint8Array } = require('node:util').types;

const { FanwireError, DecodeError, makeError, kindOf } = require('./errors.js');
const { isHarmless, parseCleaned } = require('./json.js');
const { bytesOf } = require('./values.js');

const invalid = (text, options) => makeError('INVALID_ARGUMENT', text, options);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// JSON leaves out or changes what it cannot hold; here that is an error.
function strictly(key, value) {
  const given = this[key];
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no JSON`);
  if (bytesOf(given) !== undefined) throw new TypeError('bytes have no JSON');
  if (value === given && (isMap(value) || isSet(value))) throw new TypeError(`a ${isMap(value) ? 'Map' : 'Set'} has no JSON`);
  return value;
}

function toJson(value) {
  const json = JSON.stringify(value, strictly);
  if (json === undefined) throw new TypeError(`${kindOf(value)} has no JSON`);
  return json;
}

const parseJson = (text, bytes) => (isHarmless(text) ? JSON.parse(text) : parseCleaned(text, bytes));

function textOnly(value) {
  if (typeof value === 'string') return value;
  throw new TypeError(`it takes a string, not ${kindOf(value)}`);
}

function bytesOnly(value) {
  const bytes = bytesOf(value);
  if (bytes !== undefined) return bytes;
  throw new TypeError(`it takes bytes, not ${kindOf(value)}`);
}

const toBase64 = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

// Buffer.from() passes over whatever is not base64.
function fromBase64(data) {
  const text = data.toString('latin1');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = padding > 0 ? text.slice(0, -padding) : text;
  if (text.length % 4 !== 0 || /[^A-Za-z0-9+/]/.test(digits)) throw new TypeError('it is not base64');
  return Buffer.from(text, 'base64');
}

function toWsKit(value) {
  if (typeof value === 'string') return value;
  const bytes = bytesOf(value);
  return bytes !== undefined ? toBase64(bytes) : toJson(value);
}

function fromWsKit(data) {
  const text = utf8.decode(data);
  try {
    return parseJson(text, data);
  } catch {
    return text;
  }
}

function msgpack() {
  let library;
  try {
    library = require('@msgpack/msgpack');
  } catch (cause) {
    throw invalid('the codec "msgpack" needs the package @msgpack/msgpack: npm install @msgpack/msgpack', { cause });
  }
  return { encode: (value) => library.encode(value), decode: (data) => library.decode(data) };
}

const builtIn = {
  json: () => ({ encode: toJson, decode: (data) => parseJson(utf8.decode(data), data) }),
  text: () => ({ encode: textOnly, decode: (data) => utf8.decode(data) }),
  bytes: () => ({ encode: bytesOnly, decode: (data) => data }),
  base64: () => ({ encode: (value) => toBase64(bytesOnly(value)), decode: fromBase64 }),
  'ws-kit': () => ({ encode: toWsKit, decode: fromWsKit }),
  msgpack,
};

// The same with failures told as fanwire's errors.
function checked(name, codec) {
  return {
    /** The payload of a value: a string or a Uint8Array. */
    encode(value) {
      let payload;
      try {
        payload = codec.encode(value);
        if (typeof payload !== 'string') payload = bytesOf(payload) ?? payload;
      } catch (cause) {
        if (cause instanceof FanwireError) throw cause;
        throw invalid(`the codec ${name} cannot encode the value: ${cause?.message ?? cause}`, { cause });
      }
      if (typeof payload === 'string' || isUint8Array(payload)) return payload;
      const made = typeof payload?.then === 'function' ? 'a promise' : kindOf(payload);
      throw invalid(`the codec ${name} made ${made} of the value, not a string or bytes`);
    },

    /** {value} or {error} of a message. */
    decode(message) {
      try {
        return { value: codec.decode(message.data) };
      } catch (cause) {
        return { error: new DecodeError(`the codec ${name} cannot decode the message: ${cause?.message ?? cause}`, cause) };
      }
    },
  };
}

/** The codec that an option names or is. */
function codecOf(codec) {
  if (typeof codec === 'string') {
    if (Object.hasOwn(builtIn, codec)) return checked(`"${codec}"`, builtIn[codec]());
    throw invalid(`there is no codec "${codec}"; there are ${Object.keys(builtIn).join(', ')}`);
  }
  for (const name of ['encode', 'decode']) {
    if (typeof codec?.[name] !== 'function') throw invalid(`a codec has a function ${name}, which ${kindOf(codec)} given lacks`);
  }
  return checked('of the bus', codec);
}

module.exports = { codecOf };
