'use strict';

const { EventEmitter } = require('node:events');
const { inspect } = require('node:util');

const addon = require('./addon.js');
const { makeError } = require('./errors.js');
const keepalive = require('./keepalive.js');
const { decodedOf, kAnswer } = require('./message.js');
const { emitSafely, reportHandlerError, warn } = require('./report.js');

const { eventKinds: kinds, gapReasons } = addon.constants();

const kControl = Symbol('control');
const kDeliver = Symbol('deliver');
const kAttach = Symbol('attach');
const kUndecodable = Symbol('undecodable');

/** An event of a subscription that is not a message: {kind, error}, or of a gap {kind, reason, count}. */
function toEvent(kind, { status, text, reason, count }) {
  switch (kind) {
    case kinds.ACTIVE:
      return { kind: 'active' };
    case kinds.RESUMED:
      return { kind: 'resumed' };
    case kinds.LOST:
      return { kind: 'lost', error: makeError(status, text) };
    case kinds.FAILED:
      return { kind: 'failed', error: makeError(status, text) };
    case kinds.GAP:
      return { kind: 'gap', reason: gapReasons[reason], count: count < 0 ? null : count };
    default:
      return { kind: 'ended', error: makeError(status, text) };
  }
}

/** A wish for one channel or pattern, with a handler. */
class Subscription extends EventEmitter {
  #bus;
  #name;
  #handler;
  #native; // undefined once it has ended
  #state = 'pending';
  #wasActive = false;
  #stopped = false; // unsubscribe() was called: nothing is delivered any more
  #endedBy; // 'UNSUBSCRIBED' or 'CLOSED'
  #failure;
  #ready; // {promise, resolve, reject} while somebody waits
  #warned = false; // of a message that cannot be decoded

  constructor(bus, name, isPattern, handler) {
    super();
    this.#bus = bus;
    this.#name = typeof name === 'string' ? name : Buffer.from(name);
    this.#handler = handler;
    const text = this.#name.toString('utf8');
    this.channel = isPattern ? null : text;
    this.pattern = isPattern ? text : null;
  }

  get nameBytes() {
    return Buffer.from(this.#name);
  }

  /** 'pending', 'active', 'lost', 'failed' or 'ended', as of the events delivered so far. */
  get state() {
    return this.#state;
  }

  /** Resolves to this subscription once Redis has confirmed it; rejects when Redis refuses it or it ends before. */
  get ready() {
    if (this.#wasActive) return Promise.resolve(this);
    if (this.#endedBy !== undefined) return rejected(this.#endError());
    if (this.#state === 'failed') return rejected(this.#failure);
    this.#ready ??= makeDeferred(this);
    return this.#ready.promise;
  }

  /** Ends it; the handler is not called again. Throws UNSUBSCRIBED the second time, CLOSED after bus.close(). */
  unsubscribe() {
    if (this.#endedBy !== undefined) throw this.#endError();
    addon.unsubscribe(this.#native);
    this.#stopped = true;
  }

  /** unsubscribe() for callers who do not care whether it, or the bus, has ended already. */
  endQuietly() {
    if (this.#stopped || this.#endedBy !== undefined) return;
    try {
      this.unsubscribe();
    } catch (error) {
      if (error.code !== 'CLOSED') throw error;
    }
  }

  [kAnswer](asked, value) {
    this.#bus[kAnswer](asked, value);
  }

  get stopped() {
    return this.#stopped;
  }

  [inspect.custom](_depth, options) {
    const name = this.pattern === null ? { channel: this.channel } : { pattern: this.pattern };
    return `${this.constructor.name} ${inspect({ ...name, state: this.#state }, options)}`;
  }

  [kAttach](native) {
    this.#native = native;
  }

  [kDeliver](message) {
    if (this.#stopped) return;
    const { error } = decodedOf(message);
    if (error !== undefined) return this[kUndecodable](error, message);
    try {
      const result = this.#handler(message);
      if (typeof result?.then === 'function') result.then(undefined, (error) => this.#report(error, message));
    } catch (error) {
      this.#report(error, message);
    }
  }

  /** A message that cannot be decoded stands here. */
  [kUndecodable](error, message) {
    if (this.listenerCount('decodeError') > 0) return emitSafely(this, 'decodeError', error, message);
    if (this.#bus.listenerCount('handlerError') > 0) return this.#report(error, message);
    // Whoever may publish can send anything, so it ends no process; and one line is enough.
    if (this.#warned) return;
    this.#warned = true;
    warn(`a message on ${this.#describe()} cannot be decoded, and nobody listens to 'decodeError' of the subscription ` +
      `(later ones are not told): ${error.message}`);
  }

  /** An event of toEvent(). */
  [kControl](event) {
    switch (event.kind) {
      case 'active':
        this.#becomeActive();
        return emitSafely(this, 'active');
      case 'lost':
        this.#state = 'lost';
        return emitSafely(this, 'lost', event.error);
      case 'resumed':
        this.#becomeActive(); // in an inbox that was full, ACTIVE may have been folded into this
        return emitSafely(this, 'resumed');
      case 'gap':
        return emitSafely(this, 'gap', { reason: event.reason, count: event.count });
      case 'failed':
        this.#state = 'failed';
        this.#failure = event.error;
        this.#settleReady('reject', this.#failure);
        return emitSafely(this, 'failed', this.#failure);
      case 'ended':
        return this.#end(event.error.code);
    }
  }

  #becomeActive() {
    this.#state = 'active';
    this.#wasActive = true;
    this.#settleReady('resolve', this);
  }

  #end(code) {
    this.#state = 'ended';
    this.#endedBy = code;
    addon.subscriptionDestroy(this.#native);
    this.#native = undefined;
    this.#settleReady('reject', this.#endError());
    emitSafely(this, 'ended');
  }

  #settleReady(how, value) {
    const ready = this.#ready;
    this.#ready = undefined;
    ready?.[how](value);
  }

  #endError() {
    const why = this.#endedBy === 'CLOSED' ? 'the bus was closed' : 'it was unsubscribed';
    return makeError(this.#endedBy, `the subscription to ${this.#describe()} has ended: ${why}`);
  }

  #describe() {
    return this.pattern === null ? `channel "${this.channel}"` : `pattern "${this.pattern}"`;
  }

  #report(error, message) {
    reportHandlerError(this.#bus, error, { subscription: this, message });
  }
}

// Rejections of `ready` end no process: whoever waits for it sees them.
function rejected(error) {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

// A promise that keeps the process alive, and `owner` in memory, until it is settled.
function makeDeferred(owner) {
  const deferred = {};
  deferred.promise = new Promise((resolve, reject) => {
    const releasing = (settle) => (value) => {
      keepalive.letGo(owner);
      settle(value);
    };
    deferred.resolve = releasing(resolve);
    deferred.reject = releasing(reject);
  });
  deferred.promise.catch(() => {});
  keepalive.hold(owner);
  return deferred;
}

if (Symbol.dispose !== undefined) {
  Subscription.prototype[Symbol.dispose] = function dispose() {
    this.endQuietly();
  };
}

module.exports = { Subscription, kControl, kDeliver, kAttach, kUndecodable, toEvent };
