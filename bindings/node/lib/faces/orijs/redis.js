'use strict';
// The provider across processes. A message goes through Redis to each process with a socket in the topic, and from there to
// the server's own sockets.

const { setTimeout: sleep } = require('node:timers/promises');

const { open } = require('../../index.js');
const { Link } = require('../link.js');
const { Connection } = require('./connection.js');
const { WsProvider, quiet, kFirst, kLast, kTopics, kForget, kNotReady, kLog } = require('./provider.js');
const { validateTopic, textOf } = require('./validation.js');
const { encode, decode } = require('./wire.js');

const kUrl = 'redis://localhost:6379';
const kDefaultConnectMs = 2000;
const kLongestConnectMs = 600_000;
const kFirstDelayMs = 50;
const kLongestDelayMs = 2000;
const kCloseMs = 500; // for what was published and is on its way
const kAttempts = 3; // to subscribe, of which the log hears
const kRetryMs = 100; // after the first of them, and twice as long after the next

function openBus(connection, connectTimeout) {
  const connectTimeoutMs = Math.min(Math.max(Math.round(connectTimeout), 1), kLongestConnectMs);
  return open({
    url: kUrl,
    namespace: '',
    offline: 'fail',
    unsubscribeLingerMs: 0,
    connectTimeoutMs,
    publishTimeoutMs: connectTimeoutMs,
    reconnectDelayMs: kFirstDelayMs,
    maxReconnectDelayMs: kLongestDelayMs,
    ...connection,
  });
}

class RedisWsProvider extends WsProvider {
  #connection;
  #link = null;
  #waits = new Map(); // channel -> of the call that waits until it is confirmed
  #stopping;
  #lastError; // since we were connected
  publisher = null;
  subscriber = null;
  pendingSubscriptions = new Set(); // channels that are not confirmed, until the log says that this has failed

  constructor({ connection, keyPrefix, connectTimeout, logger }) {
    super('RedisWsProvider', logger);
    this.#connection = connection;
    this.keyPrefix = keyPrefix ?? 'ws';
    this.connectTimeout = connectTimeout ?? kDefaultConnectMs;
  }

  getKeyPrefix() {
    return this.keyPrefix;
  }

  getConnectTimeout() {
    return this.connectTimeout;
  }

  /** Connects in the background, for as long as it takes. */
  async start() {
    if (this.started) return;
    this.#link = this.#makeLink();
    this.publisher = this.#makeConnection('publisher');
    this.subscriber = this.#makeConnection('subscriber');
    this.subscriber.on('message', (channel, text) => this.#receive({ channel, text }));
    this.subscriber.on('ready', () => this.#onReady());
    this.#link.connect().catch(() => {}); // the log hears of it
    for (const topic of this[kTopics]) this[kFirst](topic);
    await super.start();
  }

  async stop() {
    if (this.started) this.#stopping = this.#stop();
    await this.#stopping;
  }

  publish(topic, message) {
    validateTopic(topic);
    if (this.#link === null) return this[kNotReady](topic);
    let sent;
    try {
      sent = this.#link.publish(this.#channelOf(topic), encode(topic, message));
    } catch (error) {
      sent = Promise.reject(error);
    }
    return quiet(sent.then(nothing, (error) => {
      this[kLog]('error', 'Failed to publish to Redis', { topic, error: textOf(error) });
      throw error;
    }));
  }

  /** Resolves when Redis has confirmed the topic, in which a socket of this process is. */
  async whenSubscribed(topic) {
    validateTopic(topic);
    const link = this.#link;
    const channel = this.#channelOf(topic);
    while (link?.channels.has(channel)) {
      const isConfirmed = await link.channels.add(channel, this.#deliver).then(() => true, () => false);
      if (isConfirmed && link.channels.has(channel)) return;
    }
    throw new Error(`Topic "${topic}" is not subscribed`);
  }

  // ---- Connections

  #makeLink() {
    return new Link({
      openBus: () => openBus(this.#connection, this.connectTimeout),
      onEvent: (event, payload) => this.#onEvent(event, payload),
      decode: (message) => message,
      call: (handler, message) => handler(message),
      onError: (error, channel) => this.#reject(channel, error),
      makeError: (_channel, cause) => cause,
    });
  }

  #makeConnection(name) {
    const connection = new Connection(this.#link);
    connection.on('error', (error) => this[kLog]('warn', `Redis ${name} error`, { error: textOf(error) }));
    return connection;
  }

  #onEvent(event, payload) {
    if (event !== 'connect' && event !== 'error') return;
    this.#lastError = payload; // none when connected
    const name = event === 'connect' ? 'ready' : event;
    for (const connection of [this.publisher, this.subscriber]) {
      if (event === 'connect' || connection.listenerCount('error') > 0) connection.emit(name, payload);
    }
  }

  #onReady() {
    const channelCount = this.#link.channels.size - this.pendingSubscriptions.size;
    if (channelCount > 0) this[kLog]('info', 'Redis subscriber reconnected, resubscribing', { channelCount });
  }

  async #stop() {
    const link = this.#link;
    const connections = [this.publisher, this.subscriber];
    this.#link = this.publisher = this.subscriber = null;
    this.#waits.clear();
    this.pendingSubscriptions.clear();
    this[kForget]();
    await link.close(new Error('the provider was stopped'), kCloseMs);
    for (const connection of connections) connection.end();
    this[kLog]('info', 'RedisWsProvider stopped');
  }

  // ---- Topics

  #channelOf(topic) {
    return `${this.keyPrefix}:${topic}`;
  }

  [kFirst](topic) {
    if (this.#link !== null) this.#subscribe(this.#link, this.#channelOf(topic));
  }

  [kLast](topic) {
    const channel = this.#channelOf(topic);
    this.#link?.channels.remove(channel, this.#deliver);
    this.#waits.delete(channel);
    this.pendingSubscriptions.delete(channel);
  }

  // A channel is wanted from here on, whatever happens. That it is not confirmed yet is logged as often as the original
  // tries.
  async #subscribe(link, channel) {
    const wait = {};
    const isOver = () => this.#waits.get(channel) !== wait;
    this.#waits.set(channel, wait);
    this.pendingSubscriptions.add(channel);
    let error;
    for (let attempt = 1; ; ++attempt) {
      error = await this.#outcome(link, channel, error);
      if (isOver()) return;
      if (error === undefined) break;
      const context = { channel, [attempt < kAttempts ? 'attempt' : 'attempts']: attempt };
      if (attempt === kAttempts) {
        this[kLog]('error', 'Redis subscribe failed after max retries', { ...context, error: textOf(error) });
        break;
      }
      const delayMs = 2 ** (attempt - 1) * kRetryMs * (0.5 + Math.random());
      const nextRetryMs = Math.round(delayMs);
      this[kLog]('warn', 'Redis subscribe failed, retrying', { ...context, nextRetryMs, error: textOf(error) });
      await sleep(delayMs, undefined, { ref: false });
      if (isOver()) return;
    }
    this.#waits.delete(channel);
    this.pendingSubscriptions.delete(channel);
  }

  // The error of one attempt; none when the channel is confirmed. `before`: that of the attempt before.
  async #outcome(link, channel, before) {
    try {
      await within(link.channels.add(channel, this.#deliver), this.connectTimeout, () => this.#lastError ?? before);
    } catch (error) {
      return error;
    }
  }

  // ---- Messages

  #deliver = (message) => this.#receive(message);

  #receive(message) {
    if (this.server === null) {
      this[kLog]('warn', 'Cannot handle Redis message: Server not set');
      return;
    }
    try {
      const envelope = decode(message.text);
      if (envelope === undefined) this[kLog]('warn', 'Invalid Redis message format', { channel: message.channel });
      else this.server.publish(envelope.topic, envelope.payload);
    } catch (error) {
      this.#reject(message.channel, error);
    }
  }

  #reject(channel, error) {
    this[kLog]('warn', 'Failed to handle Redis message', { channel, error: textOf(error) });
  }
}

const nothing = () => {};

// `reason()` may have a better error than that time is over.
function within(promise, timeoutMs, reason) {
  return new Promise((resolve, reject) => {
    const onTimeout = () => reject(reason() ?? new Error(`Redis has not confirmed it within ${timeoutMs} ms`));
    const timer = setTimeout(onTimeout, timeoutMs);
    timer.unref?.();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function createRedisWsProvider(options) {
  return new RedisWsProvider(options);
}

module.exports = { RedisWsProvider, createRedisWsProvider };
