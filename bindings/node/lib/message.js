'use strict';

const { inspect } = require('node:util');

const { parseCleaned } = require('./json.js');

/** One message. Its text, data and channel are made when they are asked for. */
class Message {
  #subscription;
  #bytes; // the batch this message came in: ... channel (if by pattern), payload ...
  #start;
  #size;
  #channelSize;
  #text;

  constructor(subscription, bytes, start, size, channelSize) {
    this.#subscription = subscription;
    this.#bytes = bytes;
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
    return this.#bytes.toString('utf8', this.#start - this.#channelSize, this.#start);
  }

  get channelBytes() {
    if (this.pattern === null) return this.#subscription.nameBytes;
    return this.#bytes.subarray(this.#start - this.#channelSize, this.#start);
  }

  get pattern() {
    return this.#subscription.pattern;
  }

  get data() {
    return this.#bytes.subarray(this.#start, this.#start + this.#size);
  }

  get text() {
    this.#text ??= this.#bytes.toString('utf8', this.#start, this.#start + this.#size);
    return this.#text;
  }

  json() {
    return parseCleaned(this.#bytes, this.#start, this.#size, this.text);
  }

  toString() {
    return this.text;
  }

  [inspect.custom](_depth, options) {
    const { channel, pattern, text } = this;
    return `Message ${inspect({ channel, ...(pattern !== null && { pattern }), text }, options)}`;
  }
}

module.exports = { Message };
