'use strict';

const { isAscii } = require('node:buffer'); // undefined before Node 18.15
const { inspect } = require('node:util');

const notDecoded = Object.freeze({ value: undefined, error: undefined });
let setDecoded;
let decodedOf;
let setAsked;

const kAnswer = Symbol('answer');

// Properties of a message's own are what {...message}, JSON.stringify(), structuredClone() and postMessage() see. Text that
// is there costs nothing; text that is to be made of bytes is made when it is asked for. Object.defineProperty() takes
// half as long again.
const { __defineGetter__: defineGetter } = Object.prototype;
const kReadText = Symbol('readText');
function getText() {
  return this[kReadText]();
}

const { makeError, codeOf } = require('./errors.js');
const { isHarmless, parseCleaned } = require('./json.js');

// From this size on Node makes strings of Latin-1 outside of V8's heap, those of UTF-8 always within.
const kOutsideHeap = 1 << 20;

/** One message. Its data, and its text when it is not ASCII, are made when they are asked for. */
class Message {
  #subscription;
  #source; // what several messages of a batch lie in: ... channel (if by pattern), payload ...; a string when it is ASCII
  #start;
  #size;
  #channelSize;
  #text;
  #data;
  #decoded = notDecoded; // {value} or {error}
  #asked; // of a request: what an answer needs

  static {
    setDecoded = (message, decoded) => {
      message.#decoded = decoded;
      if (decoded.error !== undefined) return;
      Object.defineProperty(message, 'value', { value: decoded.value, enumerable: true, configurable: true });
    };
    decodedOf = (message) => message.#decoded;
    setAsked = (message, asked) => {
      message.#asked = asked;
    };
  }

  constructor(subscription, source, start, size, channelSize) {
    this.#subscription = subscription;
    this.#source = source;
    this.#start = start;
    this.#size = size;
    this.#channelSize = channelSize;
    const { pattern } = subscription;
    this.channel = pattern === null ? subscription.channel : this.#textOf(start - channelSize, start);
    this.pattern = pattern;
    if (typeof source === 'string') this.text = source.substring(start, start + size);
    else defineGetter.call(this, 'text', getText);
  }

  /** Tells it from the events of a stream's events(). */
  get kind() {
    return 'message';
  }

  get subscription() {
    return this.#subscription;
  }

  get channelBytes() {
    if (this.pattern === null) return this.#subscription.nameBytes;
    return this.#bytesOf(this.#start - this.#channelSize, this.#start);
  }

  get data() {
    return (this.#data ??= this.#bytesOf(this.#start, this.#start + this.#size));
  }

  /** `text` of one that is not ASCII. */
  [kReadText]() {
    return (this.#text ??= this.#payloadText());
  }

  /** What the codec of the bus makes of the payload; without a codec `data`. */
  get value() {
    const { error } = this.#decoded; // what was decoded is a property of its own
    if (error !== undefined) throw error;
    return this.data;
  }

  /** Whether it can be answered. */
  get isRequest() {
    return this.#asked !== undefined;
  }

  /** Answers a request; what becomes of it is not told. Throws what publishNoWait() throws, but CLOSED, and INVALID_ARGUMENT. */
  reply(value) {
    if (this.#asked === undefined) {
      throw makeError('INVALID_ARGUMENT', `the message on channel "${this.channel}" is no request: it cannot be answered`);
    }
    this.#subscription[kAnswer](this.#asked, value);
  }

  json() {
    const { text } = this;
    return isHarmless(text) ? JSON.parse(text) : parseCleaned(text, this.#bytesOf(this.#start, this.#start + this.#size));
  }

  toString() {
    return this.text;
  }

  [inspect.custom](_depth, options) {
    const { channel, pattern } = this;
    return `Message ${inspect({ channel, ...(pattern !== null && { pattern }), ...this.#shown() }, options)}`;
  }

  // Whoever shows a message to tell of an error with it must not get the same error again.
  #shown() {
    try {
      return { text: this.text, ...(Object.hasOwn(this, 'value') && { value: this.value }) };
    } catch (error) {
      return { error };
    }
  }

  #payloadText() {
    try {
      return this.#textOf(this.#start, this.#start + this.#size);
    } catch (cause) {
      throw unreadable('MESSAGE_TOO_LARGE', this, this.#size, 'too many for a string; data has them', { cause });
    }
  }

  #textOf(start, end) {
    const source = this.#source;
    if (typeof source === 'string') return source.substring(start, end);
    const isLatin1 = end - start >= kOutsideHeap && isAscii?.(source.subarray(start, end));
    return source.toString(isLatin1 ? 'latin1' : 'utf8', start, end);
  }

  #bytesOf(start, end) {
    const source = this.#source;
    return typeof source === 'string' ? Buffer.from(source.substring(start, end), 'latin1') : source.subarray(start, end);
  }
}

/**
 * One whose payload there is no memory for, or is larger than a Buffer can be. It is delivered like any other, so that
 * its owner hears of it.
 */
class UnreadableMessage extends Message {
  #status;
  #size;

  constructor(subscription, { status, channel, size }) {
    super(subscription, channel, channel.length, 0, channel.length);
    this.#status = status;
    this.#size = size;
  }

  get data() {
    throw this.#error();
  }

  [kReadText]() {
    throw this.#error();
  }

  #error() {
    const why = codeOf(this.#status) === 'NO_MEMORY' ? 'there is no memory for them' : 'more than a Buffer holds';
    return unreadable(this.#status, this, this.#size, why);
  }
}

function unreadable(status, message, size, why, options) {
  return makeError(status, `the message on channel "${message.channel}" has ${size} bytes: ${why}`, options);
}

module.exports = { Message, UnreadableMessage, setDecoded, decodedOf, setAsked, kAnswer };
