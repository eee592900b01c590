'use strict';

const addon = require('./addon.js');
const { Inbox } = require('./inbox.js');
const keepalive = require('./keepalive.js');
const { decodedOf } = require('./message.js');
const { Subscription, kControl, kAttach, kUndecodable, toEvent } = require('./subscription.js');

const { eventKinds: kinds } = addon.constants();
const kRows = 64;

const kSubscribe = Symbol('subscribe');
const kBusClosed = Symbol('busClosed');
const kNext = Symbol('next');

// Of a stream that was collected: ends its subscription. What is held for it must not refer to it.
const collected = new FinalizationRegistry((release) => release());

// Made here, where no stream is in scope.
const whenCollected = (release, onEnded) => () => {
  release();
  onEnded();
};

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
  #message; // the message that comes next, when it has been decoded
  #returned = false;

  #onEnded;

  /**
   * `onEnded` is called when nothing more will come, also when the stream was collected: for the bus. It must not refer to
   * the stream.
   */
  constructor(bus, name, isPattern, onEnded) {
    super(bus, name, isPattern, undefined);
    this.#onEnded = onEnded;
  }

  /** `subscribe(inbox)` returns the addon's subscription. */
  [kSubscribe](options, decode, subscribe) {
    const inbox = new Inbox(options, kRows, { onWake: () => this.#serve(), decode, isWeak: true });
    this.#inbox = inbox;
    try {
      this[kAttach](subscribe(inbox));
    } catch (error) {
      this.#destroyInbox();
      throw error;
    }
    collected.register(this, whenCollected(inbox.release(), this.#onEnded), this);
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
    keepalive.hold(this); // nothing but this may refer to a loop that waits
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
    this.#inbox.stopWaking();
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
    collected.unregister(this);
    this.#onEnded();
    this.#inbox.destroy();
  }

  #settle(result) {
    keepalive.letGo(this);
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
        if (this.#isStopped) {
          this.#message = undefined;
          inbox.next();
        } else if (this.#findMessage()) {
          return true;
        }
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

  // Whether the present row is a message to be given; one that cannot be decoded is an event in its place.
  #findMessage() {
    if (this.#message !== undefined) return true;
    const message = this.#inbox.message(this);
    const { error } = decodedOf(message);
    if (error === undefined) {
      this.#message = message;
      return true;
    }
    this.#inbox.next();
    if (this.#keepsEvents) this.#event = { kind: 'decodeError', error, message };
    if (!this.#keepsEvents || this.listenerCount('decodeError') > 0) this[kUndecodable](error, message);
    return false;
  }

  #takeFound() {
    if (this.#event !== undefined) {
      const event = this.#event;
      this.#event = undefined;
      return event;
    }
    const message = this.#message;
    this.#message = undefined;
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
