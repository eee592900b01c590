'use strict';

const { open, cleanJson } = require('../../index.js');
const { serverOf, settingsOf, timeoutOf, redisUrlOf } = require('./config.js');
const { RedisConnectionException, textOf, creationError } = require('./errors.js');
const { RedisClientFactory } = require('./factory.js');
const { clientBus, factoryBus } = require('./queueing.js');

const kCloseMs = 500; // for what was published and is on its way
const kLongestDelayMs = 1000; // the original tries once a second
const kLongestTimeoutMs = 3_600_000; // the engine's
const kAway = ['TIMEOUT', 'NOT_CONNECTED'];

// (logger, messageHandler, channel, server, clientFactory), as the port to Bun has it; Laravel's order, in which the factory
// comes first and there is no logger; or one object.
function namesOf(args) {
  if (args.length <= 1) return args[0] ?? {};
  if (typeof args[0]?.make === 'function') {
    const [clientFactory, messageHandler, channel, server] = args;
    return { clientFactory, messageHandler, channel, server };
  }
  const [logger, messageHandler, channel, server, clientFactory] = args;
  return { logger, messageHandler, channel, server, clientFactory };
}

function check({ messageHandler, channel, clientFactory }) {
  const lacks = (object, method) => object && typeof object[method] !== 'function';
  if (lacks(messageHandler, 'handle')) throw new TypeError('messageHandler must have a method handle()');
  if (typeof channel !== 'string' || channel === '') throw new TypeError('channel must be a string that is not empty');
  if (lacks(clientFactory, 'make')) throw new TypeError('clientFactory must have a method make()');
}

class RedisPubSubProvider {
  #options;
  #channel;
  #listeners = new Map(); // type -> Set of callbacks
  #bus; // from connect() to disconnect()
  #subscription;
  #timeout; // seconds
  #alarm; // a timer, while Redis is away
  #waiting = new Set(); // resolve functions of connect() and subscribe()

  /** Opens nothing. */
  constructor(...args) {
    const options = namesOf(args);
    this.#channel = options.channel ?? 'reverb';
    check({ ...options, channel: this.#channel });
    this.#options = options;
  }

  /**
   * Connects and subscribes. Resolves when messages arrive, or when the first attempt has failed: others follow by themselves.
   * Rejects when the configuration is wrong.
   */
  async connect() {
    if (this.#bus === undefined) {
      try {
        this.#open();
      } catch (cause) {
        this.#bus = undefined;
        throw creationError(cause);
      }
    }
    await this.#settled();
  }

  /** What was published is sent, if that takes not more than half a second. The listeners stay. */
  async disconnect() {
    const bus = this.#bus;
    this.#bus = this.#subscription = undefined;
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    this.#resolve();
    await bus?.close({ timeout: kCloseMs }).catch(() => {}); // whoever waits for a publish hears of it
  }

  /** connect() has subscribed: this waits for it. */
  async subscribe() {
    if (this.#bus === undefined) throw new Error('Subscriber not initialized');
    await this.#settled();
  }

  /** Returns what takes this callback away; stopListening() takes all of the event. */
  on(event, callback) {
    if (typeof callback !== 'function') throw new TypeError('callback must be a function');
    const callbacks = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, callbacks);
    const entry = { callback };
    callbacks.add(entry);
    return () => {
      callbacks.delete(entry);
      if (callbacks.size === 0 && this.#listeners.get(event) === callbacks) this.#listeners.delete(event);
    };
  }

  stopListening(event) {
    this.#listeners.get(event)?.clear();
    this.#listeners.delete(event);
  }

  /**
   * Resolves to the number of receivers that Redis counts, this server's own subscription among them. A rejection that nobody
   * waits for ends no process.
   */
  publish(payload) {
    const published = this.#publish(payload);
    published.catch((error) => this.#log('error', `Failed to publish to Redis: ${textOf(error)}`));
    return published;
  }

  async #publish(payload) {
    const bus = this.#bus;
    if (bus === undefined) throw new Error('Publisher not initialized');
    const json = encode(payload);
    try {
      return await bus.publish(this.#channel, json);
    } catch (cause) {
      if (!kAway.includes(cause?.code)) throw cause;
      const { code, retryable } = cause;
      throw Object.assign(RedisConnectionException.failedAfter('publisher', this.#timeout, { cause }), { code, retryable });
    }
  }

  /** Whether Redis is there and messages arrive. */
  isConnected() {
    return this.#bus !== undefined && this.#isReady;
  }

  #open() {
    const { client, clientFactory } = this.#options;
    const factory = clientFactory && !isOriginal(clientFactory) ? clientFactory : undefined;
    const server = serverOf(this.#options.server, Boolean(client || factory));
    this.#timeout = timeoutOf(server);
    const timeoutMs = Math.min(Math.max(Math.round(this.#timeout * 1000), 1), kLongestTimeoutMs);
    const isOff = this.#options.enabled === false || server.enabled === false;
    if (isOff) this.#use(open('memory://', { namespace: '' }));
    else if (client) this.#use(clientBus(client, timeoutMs));
    else if (factory) this.#use(factoryBus(factory, redisUrlOf(server), timeoutMs));
    else this.#use(openBus(server, timeoutMs));
  }

  #use(bus) {
    const current = (callback) => (...args) => this.#bus === bus && callback(...args);
    this.#bus = bus;
    bus.on('connect', current(() => this.#connected()));
    bus.on('disconnect', current(() => this.#away('info', 'Disconnected from Redis', '<fg=red>redis</>')));
    bus.on('reconnecting', current(() => this.#away('info', 'Attempting reconnection to Redis', '<fg=yellow>redis</>')));
    bus.on('error', current((error) => {
      this.#away('error', textOf(error));
      this.#resolve();
    }));
    try {
      this.#subscription = bus.subscribe(this.#channel, current((message) => this.#receive(message)));
    } catch (error) { // it cannot be the name of a channel
      bus.close({ timeout: 0 }).catch(() => {});
      throw error;
    }
    this.#subscription.on('active', current(() => this.#checkReady()));
    this.#subscription.on('resumed', current(() => this.#checkReady()));
    this.#subscription.on('failed', current((error) => {
      this.#log('error', textOf(error));
      this.#resolve();
    }));
    this.#subscription.on('gap', current(({ reason }) => this.#log('info', 'Events of other servers are missing', reason)));
  }

  get #isReady() {
    return this.#bus.connected && this.#subscription.state === 'active';
  }

  #settled() {
    if (this.#isReady) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #checkReady() {
    if (this.#isReady) this.#resolve();
  }

  #resolve() {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #connected() {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    this.#log('info', 'Redis connection established', '<fg=green>redis</>');
    this.#checkReady();
  }

  // One that lasts is told once. Where the original ends the process, the attempts go on.
  #away(level, ...args) {
    this.#log(level, ...args);
    this.#alarm ??= setTimeout(() => {
      this.#log('error', RedisConnectionException.failedAfter('redis', this.#timeout).message);
    }, Math.min(this.#timeout * 1000, kLongestTimeoutMs)).unref();
  }

  #receive(message) {
    let text;
    try {
      text = message.text;
    } catch (error) {
      return this.#log('error', `Failed to read Redis message: ${textOf(error)}`);
    }
    if (this.#listeners.size > 0) this.#tell(text);
    const { messageHandler } = this.#options;
    if (messageHandler) this.#call(() => messageHandler.handle(text));
  }

  #tell(text) {
    let event;
    try {
      event = JSON.parse(cleanJson(text));
    } catch (error) {
      return this.#log('error', `Failed to parse Redis message: ${error}`);
    }
    const callbacks = this.#listeners.get(event?.type);
    if (callbacks === undefined) return;
    for (const entry of [...callbacks]) if (callbacks.has(entry)) this.#call(() => entry.callback(event));
  }

  // What one throws is no concern of the others.
  #call(callback) {
    const failed = (error) => this.#log('error', `Failed to handle Redis message: ${error}`);
    try {
      const result = callback();
      if (typeof result?.then === 'function') result.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  }

  #log(level, ...args) {
    try {
      this.#options.logger?.[level]?.(...args);
    } catch {} // a logger must not stop delivery
  }
}

// Its clients would be ioredis's, which the bus takes the place of.
const isOriginal = ({ make, createClient }) =>
  make === RedisClientFactory.prototype.make && createClient === RedisClientFactory.prototype.createClient;

const openBus = (server, timeoutMs) =>
  open({
    ...settingsOf(server),
    namespace: '',
    offline: 'queue',
    unsubscribeLingerMs: 0,
    maxReconnectDelayMs: kLongestDelayMs,
    publishTimeoutMs: timeoutMs,
  });

function encode(payload) {
  const json = payload !== null && typeof payload === 'object' ? JSON.stringify(payload) : undefined;
  if (json === undefined) {
    throw new TypeError(`payload must be an object that JSON holds, not ${payload === null ? 'null' : typeof payload}`);
  }
  return json.includes('\\ud') ? json.replace(/\\(?:(ud[89a-f]..)|.)/g, wellFormed) : json;
}

// Half of a surrogate pair, which ends a server in PHP.
const wellFormed = (escape, surrogate) => (surrogate === undefined ? escape : '\\ufffd');

module.exports = { RedisPubSubProvider };
