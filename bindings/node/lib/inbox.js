'use strict';
// The JavaScript end of an inbox: reads the batches that src/batch.h describes, and knows which inbox a wake is for.

const addon = require('./addon.js');
const { Message, UnreadableMessage } = require('./message.js');
const { makeError } = require('./errors.js');

const kHead = 2;
const kRow = 6;

const inboxes = new Map(); // id -> Inbox, for as long as it may be woken
let lastId = 0;

class Inbox {
  #id;
  #onWake;
  #head;
  #values;
  #at = kHead; // where the present row stands in #head
  #end = kHead;

  /** `rows`: how many events a batch holds at most. */
  constructor(options, rows, onWake) {
    this.#id = lastId = (lastId % 0x7fffffff) + 1;
    this.#onWake = onWake;
    this.#head = new Int32Array(kHead + kRow * rows);
    inboxes.set(this.#id, this);
    try {
      this.handle = addon.inboxCreate(options, this.#id, rows);
    } catch (error) {
      this.stopWaking();
      throw error;
    }
  }

  static wake(id) {
    inboxes.get(id)?.#onWake();
  }

  /** Asks for another wake in a later turn of the event loop, which stays free to end. */
  wakeLater() {
    setImmediate(() => addon.wake(this.#id)).unref();
  }

  /** From now on nobody is told that events wait. */
  stopWaking() {
    inboxes.delete(this.#id);
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

  /** Of a MESSAGE. */
  message(subscription) {
    const head = this.#head;
    const at = this.#at;
    const source = this.#values[head[at + 5]];
    const size = head[at + 3];
    if (size < 0) return new UnreadableMessage(subscription, source);
    return new Message(subscription, source, head[at + 2], size, head[at + 4]);
  }

  /** Of a PUBLISHED: how many received it, or -1 when extra() tells. */
  get receivers() {
    return this.#head[this.#at + 2];
  }

  /** Of the others: {status, text, reason, count, delayMs, willReconnect}. */
  get extra() {
    return this.#values[this.#head[this.#at + 3]];
  }
}

addon.setup(Inbox.wake, makeError);

module.exports = { Inbox };
