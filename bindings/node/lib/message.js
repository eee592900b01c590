'use strict';

const { isAscii } = require('node:buffer'); // undefined before Node 18.15
const { inspect } = require('node:util');

const { makeError, codeOf } = require('./errors.js');
const { isHarmless, parseCleaned } = require('./json.js');

// From this size on Node makes strings of Latin-1 outside of V8's heap, those of UTF-8 always within.
const kOutsideHeap = 1 << 20;

/** One message. Its text, data and channel are made when they are asked for. */
class Message {
  #subscription;
  #source; // what several messages of a batch lie in: ... channel (if by pattern), payload ...; a string when it is ASCII
  #start;
  #size;
  #channelSize;
  #text;
  #data;

  constructor(subscription, source, start, size, channelSize) {
    this.#subscription = subscription;
    this.#source = source;
    this.#start = start;
    this.#size = size;
    this.#channelSize = channelSize;
  }

  /** Tells it from the events of a stream's events(). */
  get kind() {
    return 'message';
  }

  get subscription() {
    return this.#subscription;
  }

  get channel() {
    if (this.pattern === null) return this.#subscription.channel;
    return this.#textOf(this.#start - this.#channelSize, this.#start);
  }

  get channelBytes() {
    if (this.pattern === null) return this.#subscription.nameBytes;
    return this.#bytesOf(this.#start - this.#channelSize, this.#start);
  }

  get pattern() {
    return this.#subscription.pattern;
  }

  get data() {
    return (this.#data ??= this.#bytesOf(this.#start, this.#start + this.#size));
  }

  get text() {
    return (this.#text ??= this.#payloadText());
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
      return { text: this.text };
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

  get text() {
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

module.exports = { Message, UnreadableMessage };
