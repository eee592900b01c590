'use strict';
// The JavaScript end of an inbox: reads the batches that src/batch.h describes.

const addon = require('./addon.js');
const { Message, UnreadableMessage, setDecoded, setAsked } = require('./message.js');
const { setImmediate } = require('./runtime.js');
const { addWake, removeWake } = require('./wakes.js');

const kHead = 2;
const kRow = 7;

class Inbox {
  #id;
  #decode; // of the bus's codec; undefined without one
  #lastNumber; // of the message that was decoded last
  #lastDecoded;
  #head;
  #values;
  #at = kHead; // where the present row stands in #head
  #end = kHead;

  /**
   * `rows`: how many events a batch holds at most. With `isWeak` an inbox that nothing else refers to can be collected,
   * with what `onWake` refers to. What it holds is given back by release().
   */
  constructor(options, rows, { onWake, decode, isWeak = false }) {
    this.onWake = onWake;
    this.#decode = decode;
    this.#head = new Int32Array(kHead + kRow * rows);
    this.#id = addWake(this, isWeak);
    try {
      this.handle = addon.inboxCreate(options, this.#id, rows);
    } catch (error) {
      this.stopWaking();
      throw error;
    }
  }

  /** Asks for another wake in a later turn of the event loop, which stays free to end. */
  wakeLater() {
    setImmediate(() => addon.wake(this.#id)).unref();
  }

  /** From now on nobody is told that events wait. */
  stopWaking() {
    removeWake(this.#id);
  }

  /** A function that gives back what an inbox that was collected held; it does not refer to it. */
  release() {
    const { handle } = this;
    const id = this.#id;
    return () => {
      removeWake(id);
      addon.inboxDestroy(handle);
    };
  }

  destroy() {
    this.stopWaking();
    this.#at = this.#end = kHead;
    addon.inboxDestroy(this.handle);
  }

  /** Makes the first row of the next batch the present one; false when no event waits. */
  read() {
    this.#values = addon.inboxDrain(this.handle, this.#head);
    this.#at = kHead;
    this.#end = kHead + (this.#values === undefined ? 0 : kRow * this.#head[0]);
    return this.#values !== undefined;
  }

  /** Whether read() may find more than the batch at hand. */
  get more() {
    return this.#head[1] !== 0;
  }

  get hasRow() {
    return this.#at < this.#end;
  }

  next() {
    this.#at += kRow;
  }

  // The present row

  get kind() {
    return this.#head[this.#at];
  }

  get key() {
    return this.#head[this.#at + 1];
  }

  /** Of a MESSAGE. With a codec it is decoded, once for all rows of the same message that stand together. */
  message(subscription) {
    const message = this.#makeMessage(subscription);
    if (this.#decode === undefined) return message;
    const number = this.#head[this.#at + 6];
    if (number !== this.#lastNumber) {
      const decoded = this.#decode(message); // may call us
      this.#lastNumber = number;
      this.#lastDecoded = decoded;
    }
    setDecoded(message, this.#lastDecoded);
    return message;
  }

  #makeMessage(subscription) {
    const head = this.#head;
    const at = this.#at;
    const index = head[at + 5];
    if (index < 0) return this.#makeRequest(subscription, -1 - index);
    return this.#messageOf(subscription, this.#values[index]);
  }

  #makeRequest(subscription, index) {
    const message = this.#messageOf(subscription, this.#values[index]);
    setAsked(message, this.#values[index + 1]);
    return message;
  }

  #messageOf(subscription, source) {
    const head = this.#head;
    const at = this.#at;
    const size = head[at + 3];
    if (size < 0) return new UnreadableMessage(subscription, source);
    return new Message(subscription, source, head[at + 2], size, head[at + 4]);
  }

  /** Of a PUBLISHED: how many received it, or -1 when extra() tells. */
  get receivers() {
    return this.#head[this.#at + 2];
  }

  /** Of the others: {status, text, reason, count, missing, delayMs, willReconnect}. */
  get extra() {
    return this.#values[this.#head[this.#at + 3]];
  }
}

module.exports = { Inbox };
