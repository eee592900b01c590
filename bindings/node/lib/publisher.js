'use strict';
// The publishes of a bus. What is text, as most are, crosses into the engine once for all that come from one run of
// JavaScript: calling the addon costs more than a publish itself.

const addon = require('./addon.js');
const { AbortError, makeError } = require('./errors.js');
const keepalive = require('./keepalive.js');
const { onceAborted } = require('./signals.js');

// Of a batch. It is handed over at the next microtask, or when it has grown to this.
const kMostEntries = 512;
const kMostText = 32768;
// Longer text goes on its own: there the copying counts, not the call.
const kLongText = 4096;
const kEntry = 3; // [size of the channel, size of the payload, key], in UTF-16 code units

// The functions of the promise that is being made: one executor for all, because a closure for each would cost more.
let resolveNew;
let rejectNew;
const executor = (resolve, reject) => {
  resolveNew = resolve;
  rejectNew = reject;
};

const soon = Promise.resolve();

// Settles a publish that nobody waits for any more: its signal was aborted.
const abandoned = () => {};

class Publisher {
  #engine;
  #inbox;
  #resolves = []; // by key: what settles the promise of a publish that is under way
  #rejects = [];
  #freeKeys = [];
  #text = ''; // channel, payload, channel, payload, ...
  #entries = new Int32Array(kEntry * kMostEntries);
  #count = 0;
  #flush = () => this.flush();

  constructor(engine, inbox) {
    this.#engine = engine;
    this.#inbox = inbox;
  }

  /** The promise of its outcome. Payload and channel are strings or Uint8Arrays. */
  publish(channel, payload) {
    const promise = new Promise(executor);
    const key = this.#freeKeys.pop() ?? this.#resolves.length;
    this.#resolves[key] = resolveNew;
    this.#rejects[key] = rejectNew;
    keepalive.acquire();
    if (typeof payload === 'string' && typeof channel === 'string' && payload.length + channel.length <= kLongText) {
      this.#add(channel, payload, key);
    } else {
      this.#publishAlone(channel, payload, key);
    }
    return promise;
  }

  /** The same with a timeout of its own in ms (0: that of the bus) and an AbortSignal, or undefined. */
  publishWith(channel, payload, timeout, signal) {
    const promise = new Promise(executor);
    const key = this.#freeKeys.pop() ?? this.#resolves.length;
    if (signal === undefined) [this.#resolves[key], this.#rejects[key]] = [resolveNew, rejectNew];
    else this.#untilAborted(key, signal, resolveNew, rejectNew);
    keepalive.acquire();
    this.#publishAlone(channel, payload, key, timeout);
    return promise;
  }

  #untilAborted(key, signal, resolve, reject) {
    const stop = onceAborted(signal, () => {
      this.#resolves[key] = this.#rejects[key] = abandoned;
      keepalive.release();
      reject(new AbortError('publish() was aborted; the message may be published all the same', signal, true));
    });
    const stopping = (settle) => (value) => {
      stop();
      settle(value);
    };
    this.#resolves[key] = stopping(resolve);
    this.#rejects[key] = stopping(reject);
  }

  /** Throws when the engine refuses it. */
  publishNoWait(channel, payload) {
    this.flush();
    addon.publish(this.#engine, channel, payload);
  }

  /** Hands over what is not with the engine yet. */
  flush() {
    const count = this.#count;
    if (count === 0) return;
    const text = this.#text;
    this.#text = '';
    this.#count = 0;
    const refused = addon.publishBatch(this.#engine, this.#inbox.handle, text, this.#entries, count);
    if (refused !== undefined) this.#refuse(refused);
  }

  /** The outcome of the publish with this key; `inbox` is at its row. */
  settle(key, inbox) {
    const { receivers } = inbox;
    if (receivers >= 0) {
      this.#resolves[key](receivers);
    } else {
      const { status, text, count } = inbox.extra;
      if (status === 0) this.#resolves[key](count);
      else this.#rejects[key](makeError(status, text));
    }
    this.#release(key);
  }

  #add(channel, payload, key) {
    const entries = this.#entries;
    const at = kEntry * this.#count;
    entries[at] = channel.length;
    entries[at + 1] = payload.length;
    entries[at + 2] = key;
    this.#text += channel;
    this.#text += payload;
    if (++this.#count === 1) soon.then(this.#flush);
    else if (this.#count === kMostEntries || this.#text.length > kMostText) this.flush();
  }

  #publishAlone(channel, payload, key, timeout = 0) {
    this.flush();
    try {
      addon.publishAsync(this.#engine, channel, payload, this.#inbox.handle, key, timeout);
    } catch (error) {
      this.#rejects[key](error);
      this.#release(key);
    }
  }

  // [key, status, text, ...]
  #refuse(refused) {
    for (let i = 0; i < refused.length; i += 3) {
      const key = refused[i];
      this.#rejects[key](makeError(refused[i + 1], refused[i + 2]));
      this.#release(key);
    }
  }

  #release(key) {
    if (this.#resolves[key] !== abandoned) keepalive.release();
    this.#resolves[key] = this.#rejects[key] = undefined;
    this.#freeKeys.push(key);
  }
}

module.exports = { Publisher };
