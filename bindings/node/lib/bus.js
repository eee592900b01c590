'use strict';

const { EventEmitter } = require('node:events');

const addon = require('./addon.js');
const { makeError, kindOf } = require('./errors.js');
const { figuresOf, lastFigures, healthOf, LatencyHistogram } = require('./figures.js');
const { Inbox } = require('./inbox.js');
const keepalive = require('./keepalive.js');
const { Publisher } = require('./publisher.js');
const { emitSafely } = require('./report.js');
const { checkCredential } = require('./settings.js');
const { MessageStream, kSubscribe, kBusClosed } = require('./stream.js');
const { Subscription, kControl, kDeliver, kAttach, toEvent } = require('./subscription.js');
const { encode, checkName } = require('./values.js');

const { eventKinds: kinds } = addon.constants();

// Events handled in one turn of the event loop; then timers and sockets have theirs.
const kRows = 512;
const kDefaultCloseTimeoutMs = 5000;

const kFirstAttempt = Symbol('firstAttempt');

/** One engine: its connections to Redis, and everything published and subscribed through them. */
class Bus extends EventEmitter {
  #options;
  #engine;
  #figures; // of the engine
  #inbox;
  #publisher;
  #slots = [null]; // by key: a Subscription. Key 0 is the engine
  #freeKeys = [];
  #streams = new Set();
  #isConnected = false;
  #firstAttempt; // {resolve, reject} until connect() is settled
  #closing; // the promise of close()
  #referenced = false; // ref() was called
  #hadTurn = false; // a batch was delivered in this turn of the event loop

  constructor(pairs) {
    super();
    this.#options = addon.optionsCreate(pairs);
    this.#inbox = new Inbox(this.#options, kRows, () => this.#onWake());
    try {
      this.#engine = addon.engineOpen(this.#options, this.#inbox.handle);
      this.#figures = figuresOf(this.#engine);
      this.#publisher = new Publisher(this.#engine, this.#inbox);
    } catch (error) {
      this.#inbox.destroy();
      throw error;
    }
  }

  /** Settled by the first attempt to connect; a failed one closes the bus. */
  async [kFirstAttempt]() {
    keepalive.acquire();
    try {
      await new Promise((resolve, reject) => {
        this.#firstAttempt = { resolve, reject };
      });
    } catch (error) {
      await this.close({ timeout: 0 }).catch(() => {}); // what the caller is told is why it could not connect
      throw error;
    } finally {
      keepalive.release();
    }
  }

  get connected() {
    return this.#isConnected;
  }

  /** Resolves to the number of receivers Redis counted. */
  publish(channel, value) {
    try {
      this.#checkOpen();
      return this.#publisher.publish(checkName(channel, 'channel'), encode(value));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Publishes without asking for the outcome. */
  publishNoWait(channel, value) {
    this.#checkOpen();
    this.#publisher.publishNoWait(checkName(channel, 'channel'), encode(value));
  }

  subscribe(channel, handler) {
    return this.#subscribe(checkName(channel, 'channel'), false, handler);
  }

  psubscribe(pattern, handler) {
    return this.#subscribe(checkName(pattern, 'pattern'), true, handler);
  }

  /** Logs in with these from now on: see index.d.ts. */
  setCredentials(username, password) {
    this.#checkOpen();
    addon.setCredentials(this.#engine, checkCredential('username', username), checkCredential('password', password));
  }

  health() {
    return healthOf(this.#figures.health());
  }

  stats() {
    this.#publisher.flush(); // what was published counts
    return this.#figures.stats();
  }

  latency() {
    const [publish, delivery] = this.#figures.latency();
    return { publish: new LatencyHistogram(publish), delivery: new LatencyHistogram(delivery) };
  }

  metrics(format = 'prometheus') {
    if (format !== 'prometheus' && format !== 'json') {
      const given = typeof format === 'string' ? `"${format}"` : kindOf(format);
      throw makeError('INVALID_ARGUMENT', `the format must be "prometheus" or "json", not ${given}`);
    }
    this.#publisher.flush();
    return this.#figures[format]();
  }

  /** Keeps the process alive while the bus is open. */
  ref() {
    if (!this.#referenced && this.#closing === undefined) keepalive.acquire();
    this.#referenced = this.#closing === undefined;
    return this;
  }

  /** Undoes ref(). */
  unref() {
    if (this.#referenced) keepalive.release();
    this.#referenced = false;
    return this;
  }

  /** Sends what was accepted, ends the subscriptions and disconnects. Rejects with TIMEOUT, but closes all the same. */
  close({ timeout = kDefaultCloseTimeoutMs } = {}) {
    if (typeof timeout !== 'number' || !(timeout >= 0)) {
      const given = `${kindOf(timeout)} ${String(timeout)}`;
      return Promise.reject(makeError('INVALID_ARGUMENT', `timeout must be a number of milliseconds, not ${given}`));
    }
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  async #close(timeout) {
    keepalive.acquire();
    this.unref();
    this.#publisher.flush();
    try {
      const [status, text] = await addon.engineClose(this.#engine, timeout);
      await this.#deliverRest();
      this.#isConnected = false;
      this.#figures = lastFigures(this.#figures);
      addon.engineDestroy(this.#engine); // now, and not when it is collected: it has descriptors
      if (status !== 0) throw makeError(status, text);
    } finally {
      keepalive.release();
    }
  }

  async #deliverRest() {
    while (this.#deliverBatch()) await new Promise((resolve) => setImmediate(resolve));
    for (const stream of this.#streams) stream[kBusClosed]();
    this.#streams.clear();
    this.#inbox.destroy();
  }

  #checkOpen() {
    if (this.#closing !== undefined) throw makeError('CLOSED', 'the bus is closed');
  }

  #subscribe(name, isPattern, handler) {
    this.#checkOpen();
    if (handler === undefined) return this.#openStream(name, isPattern);
    if (typeof handler !== 'function') {
      throw makeError('INVALID_ARGUMENT', `the handler must be a function, not ${kindOf(handler)}`);
    }
    const subscription = new Subscription(this, name, isPattern, handler);
    const key = this.#takeKey(subscription);
    try {
      subscription[kAttach](addon.subscribe(this.#engine, this.#inbox.handle, name, key, isPattern));
    } catch (error) {
      this.#freeKey(key);
      throw error;
    }
    return subscription;
  }

  #openStream(name, isPattern) {
    const stream = new MessageStream(this, name, isPattern, () => this.#streams.delete(stream));
    stream[kSubscribe](this.#options, (inbox) => {
      stream[kAttach](addon.subscribe(this.#engine, inbox.handle, name, 0, isPattern));
    });
    this.#streams.add(stream);
    return stream;
  }

  #takeKey(slot) {
    const key = this.#freeKeys.pop() ?? this.#slots.length;
    this.#slots[key] = slot;
    return key;
  }

  #freeKey(key) {
    this.#slots[key] = null;
    this.#freeKeys.push(key);
  }

  // ---- Delivery

  // Node runs the wakes that have come in a row: without this a busy channel would keep timers and sockets waiting.
  #onWake() {
    if (this.#hadTurn) return this.#inbox.wakeLater();
    this.#hadTurn = true;
    setImmediate(() => {
      this.#hadTurn = false;
    }).unref();
    this.#deliver();
  }

  #deliver() {
    if (this.#deliverBatch()) this.#inbox.wakeLater();
  }

  // Delivers one batch; true when more may wait.
  #deliverBatch() {
    const inbox = this.#inbox;
    if (!inbox.read()) return false;
    for (; inbox.hasRow; inbox.next()) {
      const { kind, key } = inbox;
      if (kind === kinds.MESSAGE) {
        const subscription = this.#slots[key];
        subscription[kDeliver](inbox.message(subscription));
      } else if (kind === kinds.PUBLISHED) {
        this.#publisher.settle(key, inbox);
      } else if (key === 0) {
        this.#onEngineEvent(kind, inbox.extra);
      } else {
        this.#slots[key][kControl](toEvent(kind, inbox.extra));
        if (kind === kinds.ENDED) this.#freeKey(key);
      }
    }
    return inbox.more;
  }

  #onEngineEvent(kind, extra) {
    switch (kind) {
      case kinds.CONNECTED:
        this.#isConnected = true;
        // connect() itself tells of the first time.
        if (!this.#settleFirstAttempt('resolve')) emitSafely(this, 'connect');
        return;
      case kinds.DISCONNECTED:
        this.#isConnected = false;
        emitSafely(this, 'disconnect', makeError(extra.status, extra.text), { willReconnect: extra.willReconnect });
        return;
      case kinds.RECONNECTING:
        emitSafely(this, 'reconnecting', { attempt: extra.count, delayMs: extra.delayMs });
        return;
      case kinds.ERROR: {
        const error = makeError(extra.status, extra.text);
        if (this.#settleFirstAttempt('reject', error)) return;
        // An 'error' nobody listens to would end the process, and the engine is about to try again.
        if (this.listenerCount('error') > 0) emitSafely(this, 'error', error, { willReconnect: extra.willReconnect });
      }
    }
  }

  #settleFirstAttempt(how, value) {
    const attempt = this.#firstAttempt;
    if (attempt === undefined) return false;
    this.#firstAttempt = undefined;
    attempt[how](value);
    return true;
  }
}

if (Symbol.asyncDispose !== undefined) {
  Bus.prototype[Symbol.asyncDispose] = function dispose() {
    return this.close();
  };
}

module.exports = { Bus, kFirstAttempt };
