'use strict';

const { EventEmitter } = require('node:events');
const { inspect } = require('node:util');

const addon = require('./addon.js');
const { makeError, kindOf } = require('./errors.js');
const { figuresOf, lastFigures, healthOf, LatencyHistogram } = require('./figures.js');
const { Inbox } = require('./inbox.js');
const keepalive = require('./keepalive.js');
const { Log } = require('./log.js');
const { kAnswer } = require('./message.js');
const { Publisher } = require('./publisher.js');
const { emitSafely } = require('./report.js');
const { Request, kReply, kDone, kOpen } = require('./request.js');
const { setImmediate } = require('./runtime.js');
const { callOptions, checkCredential, checkTimeout } = require('./settings.js');
const { checkSignal, throwIfAborted } = require('./signals.js');
const { MessageStream, kSubscribe, kBusClosed } = require('./stream.js');
const { Subscription, kControl, kDeliver, kAttach, toEvent } = require('./subscription.js');
const { encode, checkName } = require('./values.js');

const { eventKinds: kinds, states } = addon.constants();

// Events handled in one turn of the event loop; then timers and sockets have theirs.
const kRows = 512;
const kDefaultCloseTimeoutMs = 5000;
const kLongestPublishMs = 3_600_000;

const closeOptions = { timeout: checkTimeout };
const publishOptions = { timeout: checkPublishTimeout, signal: checkSignal };

// The engine counts whole milliseconds.
function checkPublishTimeout(timeout) {
  if (checkTimeout(timeout) > 0 && timeout <= kLongestPublishMs) return Math.ceil(timeout);
  throw makeError('INVALID_ARGUMENT', `timeout must be above 0 and at most ${kLongestPublishMs} ms, not ${timeout}`);
}

const requestOptions = { expect: checkExpect, timeout: checkRequestTimeout, signal: checkSignal };

function checkRequestTimeout(timeout) {
  if (timeout === Infinity) return timeout;
  if (checkTimeout(timeout) > 0 && timeout <= Number.MAX_SAFE_INTEGER) return Math.ceil(timeout);
  throw makeError('INVALID_ARGUMENT', `timeout must be a number of milliseconds above 0, not ${timeout}`);
}

function checkExpect(expect) {
  if (Number.isSafeInteger(expect) && expect >= 0) return expect;
  throw makeError('INVALID_ARGUMENT', `expect must be a whole number of replies, not ${kindOf(expect)} ${String(expect)}`);
}

// An array of names, of any iterable but a name.
function namesOf(channels) {
  if (typeof channels === 'string' || typeof channels?.[Symbol.iterator] !== 'function' || ArrayBuffer.isView(channels)) {
    throw makeError('INVALID_ARGUMENT', `the channels must be an array, not ${kindOf(channels)}`);
  }
  return Array.from(channels, (channel) => checkName(channel, 'channel'));
}

function tooMany(call, given) {
  return makeError('INVALID_ARGUMENT', `${call} takes no more arguments than these; ${given} were given`);
}

/** One engine: its connections to Redis, and everything published and subscribed through them. */
class Bus extends EventEmitter {
  #options;
  #engine;
  #figures; // of the engine
  #inbox;
  #publisher;
  #slots = [null]; // by key: a Subscription. Key 0 is the engine
  #freeKeys = [];
  #streams = new Set(); // WeakRefs
  #isConnected = false;
  #codec;
  #decode;
  #log;
  #opened; // {promise, resolve, reject}
  #isOpenedSettled = false;
  #isOpenedAwaited = false;
  #closing; // the promise of close()
  #handlers = 0; // subscriptions with a handler that have not ended
  #keeps = 'handlers'; // what keeps the process alive: 'handlers', after ref() 'open', after unref() 'nothing'
  #isKeeping = false;
  #gaveUp = false; // nothing will come until reconnect()
  #hadTurn = false; // a batch was delivered in this turn of the event loop

  /** What parseOptions() makes of the arguments of open(). */
  constructor({ pairs, log, codec }) {
    super();
    this.#codec = codec;
    this.#decode = codec?.decode;
    this.#options = addon.optionsCreate(pairs);
    this.#inbox = new Inbox(this.#options, kRows, { onWake: () => this.#onWake(), decode: this.#decode });
    this.#opened = {};
    this.#opened.promise = new Promise((resolve, reject) => Object.assign(this.#opened, { resolve, reject }));
    this.#opened.promise.catch(() => {}); // whoever waits for it sees it
    try {
      if (log !== undefined) this.#log = new Log(this.#options, log);
      this.#engine = addon.engineOpen(this.#options, this.#inbox.handle);
      this.#figures = figuresOf(this.#engine);
      this.#publisher = new Publisher(this.#engine, this.#inbox);
    } catch (error) {
      this.#inbox.destroy();
      this.#log?.end();
      throw error;
    }
  }

  /** What became of the first attempt to connect: resolves to this bus, or rejects. Ends no process when nobody waits. */
  get opened() {
    if (!this.#isOpenedSettled && !this.#isOpenedAwaited) {
      this.#isOpenedAwaited = true;
      keepalive.acquire();
    }
    return this.#opened.promise;
  }

  get connected() {
    return this.#isConnected;
  }

  /** 'connecting', 'connected', 'reconnecting', 'gave_up' or 'closed', as of now. */
  get state() {
    return this.#closing === undefined ? states[addon.engineState(this.#engine)] : 'closed';
  }

  /** Makes the next attempt to connect at once, also after giving up. */
  reconnect() {
    this.#checkOpen();
    addon.engineReconnect(this.#engine);
    this.#gaveUp = false;
    this.#updateKeeping();
  }

  /** Resolves to the number of receivers Redis counted. */
  publish(channel, value, options) {
    try {
      this.#checkOpen();
      if (this.#gaveUp) this.#noteUse();
      if (arguments.length > 2) return this.#publishWith(arguments, options);
      return this.#publisher.publish(checkName(channel, 'channel'), this.#encode(value));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #publishWith(args, options) {
    if (args.length > 3) throw tooMany('publish(channel, value, options)', args.length);
    const { timeout = 0, signal } = callOptions('publish()', options, publishOptions);
    throwIfAborted(signal, 'publish()');
    return this.#publisher.publishWith(checkName(args[0], 'channel'), this.#encode(args[1]), timeout, signal);
  }

  /** Publishes without asking for the outcome. */
  publishNoWait(channel, value) {
    this.#checkOpen();
    if (this.#gaveUp) this.#noteUse();
    if (arguments.length > 2) throw tooMany('publishNoWait(channel, value)', arguments.length);
    this.#publisher.publishNoWait(checkName(channel, 'channel'), this.#encode(value));
  }

  #encode(value) {
    return this.#codec === undefined ? encode(value) : this.#codec.encode(value);
  }

  /** Resolves to how many subscribers Redis counts for each of the channels. */
  numsub(channels) {
    try {
      this.#checkOpen();
      const names = namesOf(channels);
      this.#publisher.flush();
      return new Promise((resolve, reject) => {
        const key = this.#takeKey({ resolve, reject });
        try {
          addon.numsub(this.#engine, this.#inbox.handle, names, key);
        } catch (error) {
          this.#freeKey(key);
          return reject(error);
        }
        keepalive.acquire();
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #settleNumsub(key, { status, text, counts }) {
    const { resolve, reject } = this.#slots[key];
    this.#freeKey(key);
    keepalive.release();
    if (status === 0) resolve(counts);
    else reject(makeError(status, text));
  }

  /** Publishes a request, whose replies are the result: see index.d.ts. */
  request(channel, value, options) {
    this.#checkOpen();
    if (arguments.length > 3) throw tooMany('request(channel, value, options)', arguments.length);
    const name = checkName(channel, 'channel');
    const { expect = 0, timeout = 0, signal } = callOptions('request()', options, requestOptions);
    throwIfAborted(signal, 'request()');
    const payload = this.#encode(value);
    this.#publisher.flush();
    const request = new Request(name);
    const key = this.#takeKey(request);
    try {
      const native = addon.requestOpen(this.#engine, this.#inbox.handle, name, payload, key, [expect, timeout]);
      request[kOpen](native, signal);
    } catch (error) {
      this.#freeKey(key);
      throw error;
    }
    return request;
  }

  // A bus that closes still delivers requests; whoever answers must not fail for that. The reply is missing.
  [kAnswer](asked, value) {
    if (this.#closing !== undefined) return;
    this.#publisher.flush();
    addon.reply(this.#engine, asked, this.#encode(value));
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

  metrics(format) {
    format ??= 'prometheus';
    if (format !== 'prometheus' && format !== 'json') {
      const given = typeof format === 'string' ? `"${format}"` : kindOf(format);
      throw makeError('INVALID_ARGUMENT', `the format must be "prometheus" or "json", not ${given}`);
    }
    this.#publisher.flush();
    return this.#figures[format]();
  }

  /** The open bus keeps the process alive, with or without subscriptions. */
  ref() {
    this.#keeps = 'open';
    this.#updateKeeping();
    return this;
  }

  /** Neither the bus nor its subscriptions keep the process alive. */
  unref() {
    this.#keeps = 'nothing';
    this.#updateKeeping();
    return this;
  }

  // A handler may be called as long as the bus is open; after it has given up nothing comes by itself any more.
  #updateKeeping() {
    const wanted = this.#keeps === 'open' || (this.#keeps === 'handlers' && this.#handlers > 0 && !this.#gaveUp);
    const keeping = wanted && this.#closing === undefined;
    if (keeping === this.#isKeeping) return;
    this.#isKeeping = keeping;
    if (keeping) keepalive.acquire();
    else keepalive.release();
  }

  /** Sends what was accepted, ends the subscriptions and disconnects. Rejects with TIMEOUT, but closes all the same. */
  close(options) {
    try {
      const { timeout = kDefaultCloseTimeoutMs } = callOptions('close()', options, closeOptions);
      this.#closing ??= this.#close(timeout);
      return this.#closing;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [inspect.custom](_depth, options) {
    const { state } = this;
    const { subscriptions } = this.#figures.stats();
    return `Bus ${inspect({ url: addon.optionsGet(this.#options, 'url'), state, subscriptions }, { ...options, breakLength: Infinity })}`;
  }

  async #close(timeout) {
    keepalive.acquire();
    this.#publisher.flush();
    this.#settleOpened('reject', makeError('CLOSED', 'the bus was closed before it was connected'));
    try {
      await null; // so that #closing is set
      this.#updateKeeping();
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
    for (const { stream } of this.#streams) stream.deref()?.[kBusClosed]();
    this.#streams.clear();
    this.#inbox.destroy();
    this.#log?.end();
  }

  // What is done now may revive the engine, which gave up; if that fails it says so again.
  #noteUse() {
    this.#gaveUp = addon.optionsGet(this.#options, 'revive_on_use') !== 'true';
    this.#updateKeeping();
  }

  #checkOpen() {
    if (this.#closing !== undefined) throw makeError('CLOSED', 'the bus is closed');
  }

  #subscribe(name, isPattern, handler) {
    this.#checkOpen();
    if (this.#gaveUp) this.#noteUse();
    if (handler === undefined || handler === null) return this.#openStream(name, isPattern);
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
    ++this.#handlers;
    this.#updateKeeping();
    return subscription;
  }

  #openStream(name, isPattern) {
    const entry = { stream: undefined };
    const stream = new MessageStream(this, name, isPattern, forgetter(this.#streams, entry));
    entry.stream = new WeakRef(stream);
    const engine = this.#engine;
    stream[kSubscribe](this.#options, this.#decode, (inbox) => addon.subscribe(engine, inbox.handle, name, 0, isPattern));
    this.#streams.add(entry);
    return stream;
  }

  #takeKey(slot) {
    const key = this.#freeKeys.pop() ?? this.#slots.length;
    this.#slots[key] = slot;
    return key;
  }

  #forgetHandler(key) {
    this.#freeKey(key);
    --this.#handlers;
    this.#updateKeeping();
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
        if (!subscription.stopped) subscription[kDeliver](inbox.message(subscription));
      } else if (kind === kinds.PUBLISHED) {
        this.#publisher.settle(key, inbox);
      } else if (key === 0) {
        this.#onEngineEvent(kind, inbox.extra);
      } else if (kind === kinds.REPLY) {
        const request = this.#slots[key];
        request[kReply](inbox.message(request));
      } else if (kind === kinds.REQUEST_DONE) {
        const request = this.#slots[key];
        this.#freeKey(key);
        request[kDone](inbox.extra);
      } else if (kind === kinds.NUMSUB) {
        this.#settleNumsub(key, inbox.extra);
      } else {
        this.#slots[key][kControl](toEvent(kind, inbox.extra));
        if (kind === kinds.ENDED) this.#forgetHandler(key);
      }
    }
    return inbox.more;
  }

  #onEngineEvent(kind, extra) {
    switch (kind) {
      case kinds.CONNECTED:
        this.#isConnected = true;
        this.#gaveUp = false;
        this.#updateKeeping();
        this.#settleOpened('resolve', this);
        emitSafely(this, 'connect');
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
        this.#settleOpened('reject', error);
        // An 'error' nobody listens to would end the process, and the engine is about to try again.
        if (this.listenerCount('error') > 0) emitSafely(this, 'error', error, { willReconnect: extra.willReconnect });
        return;
      }
      case kinds.GAVE_UP:
        this.#gaveUp = true;
        this.#updateKeeping();
        emitSafely(this, 'gaveUp', makeError(extra.status, extra.text), { attempts: extra.count });
    }
  }

  #settleOpened(how, value) {
    if (this.#isOpenedSettled) return;
    this.#isOpenedSettled = true;
    if (this.#isOpenedAwaited) keepalive.release();
    this.#opened[how](value);
  }
}

// Made here, where no stream is in scope: a stream that nobody uses must be collected.
const forgetter = (streams, entry) => () => streams.delete(entry);

if (Symbol.asyncDispose !== undefined) {
  Bus.prototype[Symbol.asyncDispose] = function dispose() {
    return this.close();
  };
}

module.exports = { Bus };
