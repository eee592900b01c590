'use strict';

const addon = require('./addon.js');
const { AbortError, makeError, codeOf } = require('./errors.js');
const keepalive = require('./keepalive.js');
const { onceAborted } = require('./signals.js');

const kReply = Symbol('reply');
const kDone = Symbol('done');
const kOpen = Symbol('open');

// How a request may end that has been asked, and whose replies count.
const partial = new Set(['OK', 'TIMEOUT', 'LIMIT_REACHED', 'UNSUBSCRIBED']);

/** A request under way: the replies are iterated over as they come, or all() gives all of them. */
class Request {
  #name;
  #native;
  #replies = []; // that nobody has taken yet
  #waiting = []; // {resolve, reject} of the calls of next() that found nothing
  #outcome; // {result} or {error}, when it is over
  #returned = false;
  #done = {};
  #stopListening;

  constructor(name) {
    this.#name = typeof name === 'string' ? name : Buffer.from(name);
    this.channel = this.#name.toString('utf8');
    this.pattern = null;
    this.#done.promise = new Promise((resolve, reject) => Object.assign(this.#done, { resolve, reject }));
    this.#done.promise.catch(() => {}); // whoever waits for it sees it
  }

  [kOpen](native, signal) {
    this.#native = native;
    keepalive.acquire();
    if (signal === undefined) return;
    this.#stopListening = onceAborted(signal, () => {
      this.#end({ error: new AbortError('request() was aborted; some may have received it', signal, true) });
    });
  }

  get nameBytes() {
    return Buffer.from(this.#name);
  }

  /**
   * {replies, missing, status}: how many replies came, how many did not (null: nobody knows), and why it ended. Rejects when
   * the request itself failed, and ends no process when nobody waits for it.
   */
  get done() {
    return this.#done.promise;
  }

  /** {replies, missing}: all replies that nobody has iterated over. */
  async all() {
    const replies = [];
    for (;;) {
      const { value, done } = await this.next();
      if (done) break;
      replies.push(value);
    }
    const { missing } = await this.done;
    return { replies, missing };
  }

  next() {
    if (this.#replies.length > 0 && this.#waiting.length === 0) {
      return Promise.resolve({ value: this.#replies.shift(), done: false });
    }
    if (this.#outcome?.error !== undefined) return Promise.reject(this.#outcome.error);
    if (this.#outcome !== undefined) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** What break does: ends the request and forgets the replies that were not taken. */
  return(value) {
    this.#replies = [];
    this.#returned = true;
    if (this.#outcome === undefined) addon.requestDestroy(this.#native); // its end follows
    return Promise.resolve({ value, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  [kReply](message) {
    if (this.#outcome !== undefined || this.#returned) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#replies.push(message);
    else waiting.resolve({ value: message, done: false });
  }

  [kDone]({ status, text, count, missing }) {
    const code = codeOf(status);
    if (!partial.has(code)) return this.#end({ error: makeError(status, text) });
    this.#end({ result: { replies: count, missing: missing < 0 ? null : missing, status: code } });
  }

  #end(outcome) {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#stopListening?.();
    addon.requestDestroy(this.#native);
    keepalive.release();
    const { result, error } = outcome;
    if (error === undefined) this.#done.resolve(result);
    else this.#done.reject(error);
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (error === undefined) resolve({ value: undefined, done: true });
      else reject(error);
    }
  }
}

if (Symbol.asyncDispose !== undefined) {
  Request.prototype[Symbol.asyncDispose] = async function dispose() {
    await this.return();
  };
}

module.exports = { Request, kReply, kDone, kOpen };
