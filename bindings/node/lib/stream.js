'use strict';

const addon = require('./addon.js');
const { Inbox } = require('./inbox.js');
const keepalive = require('./keepalive.js');
const { Subscription, kControl } = require('./subscription.js');

const { eventKinds: kinds } = addon.constants();
const kRows = 64;

const kSubscribe = Symbol('subscribe');
const kBusClosed = Symbol('busClosed');

/**
 * A subscription to be iterated with for await. It has an inbox of its own in the engine, and takes from it only what
 * the iteration asks for: a slow loop fills the bounded inbox, not the JavaScript heap, and then sees a 'gap'.
 */
class MessageStream extends Subscription {
  #inbox;
  #isInboxDestroyed = false;
  #waiting = []; // resolvers of next() calls that found nothing
  #returned = false;

  #onEnded;

  /** `onEnded` is called when nothing more will come: for the bus, which a listener of 'ended' could be taken from. */
  constructor(bus, name, isPattern, onEnded) {
    super(bus, name, isPattern, undefined);
    this.#onEnded = onEnded;
  }

  [kSubscribe](options, subscribe) {
    this.#inbox = new Inbox(options, kRows, () => this.#serve());
    try {
      subscribe(this.#inbox);
    } catch (error) {
      this.#destroyInbox();
      throw error;
    }
  }

  next() {
    const message = this.#waiting.length === 0 ? this.#take() : undefined; // else it is for who waits already
    if (message !== undefined) return Promise.resolve({ value: message, done: false });
    if (this.#finished) return Promise.resolve({ value: undefined, done: true });
    keepalive.acquire();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What break does: ends the subscription and forgets the messages not yet taken. */
  return(value) {
    this.#returned = true;
    this.endQuietly();
    this.#serve();
    return Promise.resolve({ value, done: true });
  }

  unsubscribe() {
    super.unsubscribe();
    this.#serve();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** The bus is closed: everything there will ever be is in the inbox now. */
  [kBusClosed]() {
    this.#serve();
    this.#inbox.stopWaking(); // so that a stream nobody iterates any more can be collected
  }

  get #finished() {
    return this.state === 'ended' || this.stopped || this.#returned;
  }

  // Hands out what has come, and ends the waits when nothing more will.
  #serve() {
    for (;;) {
      // Also when nobody waits, so that 'active' and the like do not wait for an iteration. Its listeners may end us or
      // serve who waited: only then is it looked who waits.
      const found = this.#skipToMessage();
      if (this.#waiting.length === 0) return;
      if (found) this.#settle({ value: this.#takePresent(), done: false });
      else if (this.#finished) this.#settle({ value: undefined, done: true });
      else return;
    }
  }

  #destroyInbox() {
    if (this.#isInboxDestroyed) return;
    this.#isInboxDestroyed = true;
    this.#onEnded();
    this.#inbox.destroy();
  }

  #settle(result) {
    keepalive.release();
    this.#waiting.shift()(result);
  }

  #take() {
    return this.#skipToMessage() ? this.#takePresent() : undefined;
  }

  #takePresent() {
    const message = this.#inbox.message(this);
    this.#inbox.next();
    return message;
  }

  // Handles the events before the next message; false when there is none yet.
  #skipToMessage() {
    const inbox = this.#inbox;
    while (inbox.hasRow || (this.state !== 'ended' && inbox.read())) {
      if (inbox.kind === kinds.MESSAGE && !this.stopped && !this.#returned) return true;
      const { kind } = inbox;
      const extra = kind === kinds.MESSAGE ? undefined : inbox.extra;
      inbox.next();
      if (extra !== undefined) this[kControl](kind, extra);
    }
    if (this.state === 'ended') this.#destroyInbox();
    return false;
  }
}

if (Symbol.asyncDispose !== undefined) {
  MessageStream.prototype[Symbol.asyncDispose] = async function dispose() {
    await this.return();
  };
}

module.exports = { MessageStream, kSubscribe, kBusClosed };
