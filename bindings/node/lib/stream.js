'use strict';

const addon = require('./addon.js');
const { Inbox } = require('./inbox.js');
const keepalive = require('./keepalive.js');
const { Subscription, kControl, toEvent } = require('./subscription.js');

const { eventKinds: kinds } = addon.constants();
const kRows = 64;

const kSubscribe = Symbol('subscribe');
const kBusClosed = Symbol('busClosed');
const kNext = Symbol('next');

/**
 * A subscription to be iterated with for await. It has an inbox of its own in the engine, and takes from it only what
 * the iteration asks for: a slow loop fills the bounded inbox, not the JavaScript heap, and then sees a 'gap'.
 */
class MessageStream extends Subscription {
  #inbox;
  #isInboxDestroyed = false;
  #waiting = []; // {resolve, wantsEvents} of the calls of next() that found nothing
  #keepsEvents = false; // events() was called
  #event; // the event that comes next for events(); listeners have been told of it
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
    return this[kNext](false);
  }

  [kNext](wantsEvents) {
    // When others wait already, what is there is for them.
    if (this.#waiting.length === 0 && this.#find(wantsEvents)) {
      return Promise.resolve({ value: this.#takeFound(), done: false });
    }
    if (this.#finished) return Promise.resolve({ value: undefined, done: true });
    keepalive.acquire();
    return new Promise((resolve) => this.#waiting.push({ resolve, wantsEvents }));
  }

  /** Messages and events, in order: the same queue as that of the plain iteration. */
  events() {
    this.#keepsEvents = true;
    return new EventStream(this);
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

  get #isStopped() {
    return this.stopped || this.#returned;
  }

  get #finished() {
    return this.state === 'ended' || this.#isStopped;
  }

  // Hands out what has come, and ends the waits when nothing more will.
  #serve() {
    for (;;) {
      // Also when nobody waits, so that 'active' and the like do not wait for an iteration. Its listeners may end us or
      // serve who waited: only then is it looked who waits.
      const found = this.#find(this.#waiting[0]?.wantsEvents ?? this.#keepsEvents);
      if (this.#waiting.length === 0) return;
      if (found) {
        // Another may have come to wait first, to whom an event is nothing.
        if (this.#event === undefined || this.#waiting[0].wantsEvents) {
          this.#settle({ value: this.#takeFound(), done: false });
        }
      } else if (this.#finished) {
        this.#settle({ value: undefined, done: true });
      } else {
        return;
      }
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
    this.#waiting.shift().resolve(result);
  }

  // Handles the events before the next message, or, with wantsEvents, up to the next of either; false when there is none
  // yet. What is found stays until it is taken: an event that waits for events() keeps the rest in the bounded inbox.
  #find(wantsEvents) {
    const inbox = this.#inbox;
    for (;;) {
      if (this.#event !== undefined) {
        if (wantsEvents && !this.#isStopped) return true;
        this.#event = undefined;
      }
      if (!inbox.hasRow && (this.state === 'ended' || !inbox.read())) break;
      const { kind } = inbox;
      if (kind === kinds.MESSAGE) {
        if (!this.#isStopped) return true;
        inbox.next();
        continue;
      }
      const event = toEvent(kind, inbox.extra);
      inbox.next();
      if (this.#keepsEvents && kind !== kinds.ENDED) this.#event = event;
      this[kControl](event);
    }
    if (this.state === 'ended') this.#destroyInbox();
    return false;
  }

  #takeFound() {
    if (this.#event !== undefined) {
      const event = this.#event;
      this.#event = undefined;
      return event;
    }
    const message = this.#inbox.message(this);
    this.#inbox.next();
    return message;
  }
}

/** What a stream's events() gives. */
class EventStream {
  #stream;

  constructor(stream) {
    this.#stream = stream;
  }

  next() {
    return this.#stream[kNext](true);
  }

  return(value) {
    return this.#stream.return(value);
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

if (Symbol.asyncDispose !== undefined) {
  for (const type of [MessageStream, EventStream]) {
    type.prototype[Symbol.asyncDispose] = async function dispose() {
      await this.return();
    };
  }
}

module.exports = { MessageStream, kSubscribe, kBusClosed };
