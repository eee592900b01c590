'use strict';

const { inspect } = require('node:util');

const { isHarmless, parseCleaned } = require('./json.js');

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
    return (this.#text ??= this.#textOf(this.#start, this.#start + this.#size));
  }

  json() {
    const { text } = this;
    return isHarmless(text) ? JSON.parse(text) : parseCleaned(text, this.#bytesOf(this.#start, this.#start + this.#size));
  }

  toString() {
    return this.text;
  }

  [inspect.custom](_depth, options) {
    const { channel, pattern, text } = this;
    return `Message ${inspect({ channel, ...(pattern !== null && { pattern }), text }, options)}`;
  }

  #textOf(start, end) {
    const source = this.#source;
    return typeof source === 'string' ? source.substring(start, end) : source.toString('utf8', start, end);
  }

  #bytesOf(start, end) {
    const source = this.#source;
    return typeof source === 'string' ? Buffer.from(source.substring(start, end), 'latin1') : source.subarray(start, end);
  }
}

module.exports = { Message };
