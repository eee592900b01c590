'use strict';

const { Link } = require('../link.js');
const {
  PubSubError,
  PublishError,
  SubscribeError,
  DisconnectedError,
  ConfigurationError,
  MaxSubscriptionsExceededError,
} = require('./errors.js');
const { checkOptions, normalizeNamespace, openBus } = require('./options.js');
const { serializerOf, messageOf } = require('./serializers.js');

const kCloseMs = 500; // for what was published and is on its way
// Of errors of a client that was passed in.
const kTransient = /\b(?:ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|EPIPE|READONLY|LOADING)\b/;
const kDown = ['NOT_CONNECTED', 'CONNECTION_LOST'];

class RedisPubSub {
  #namespace;
  #prefix;
  #serializer;
  #link;
  #listeners = new Map(); // event -> Set
  #waiting = new Set(); // reject functions of once(), ponce() and ready()
  #inflight = 0;
  #lastError; // {code, message, at}
  #closing;

  constructor(options = {}) {
    checkOptions(options);
    this.options = options;
    this.#namespace = normalizeNamespace(options.namespace);
    this.#prefix = this.#namespace && `${this.#namespace}:`;
    this.#serializer = serializerOf(options.serializer);
    this.#link = new Link({
      openBus: () => openBus(options),
      onEvent: (event, payload) => this.#onEvent(event, payload),
      decode: this.#serializer.decode,
      call: (handler, value, { channel }) => handler(value, { channel: channel.slice(this.#prefix.length) }),
      onError: (error) => this.#log('error', error instanceof PubSubError ? 'Deserialization error:' : 'Handler error:', error),
      makeError: (name, cause) => this.#subscribeError(name, cause),
    });
  }

  publish(channel, message) {
    let sent;
    try {
      this.#checkOpen('publish');
      sent = this.#link.publish(this.#nameOf(channel), this.#serializer.encode(message));
    } catch (error) {
      return Promise.reject(error);
    }
    ++this.#inflight;
    return sent.then(this.#onPublished, (cause) => {
      --this.#inflight;
      throw this.#publishError(channel, cause);
    });
  }

  #onPublished = () => {
    --this.#inflight;
  };

  subscribe(channel, handler) {
    this.#checkOpen('subscribe');
    return this.#add(this.#link.channels, channel, handler);
  }

  psubscribe(pattern, handler) {
    this.#checkOpen('psubscribe');
    return this.#add(this.#link.patterns, pattern, handler);
  }

  unsubscribe(channel, handler) {
    this.#link.channels.remove(this.#nameOf(channel), handler);
  }

  once(channel, options) {
    return quiet(this.#next('subscribe', channel, options, `message on "${channel}"`));
  }

  ponce(pattern, options) {
    return quiet(this.#next('psubscribe', pattern, options, `message on pattern "${pattern}"`));
  }

  /** Waits for the first connection, which it does not make. */
  ready() {
    return quiet(this.#ready());
  }

  async connect() {
    this.#checkOpen('connect');
    try {
      await this.#link.connect();
    } catch (cause) {
      if (this.isDestroyed()) this.#checkOpen('connect');
      throw new PublishError(`Failed to connect to Redis: ${messageOf(cause)}`, { cause, retryable: true });
    }
  }

  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  status() {
    const given = (name) => name.slice(this.#prefix.length);
    return {
      connected: this.isConnected(),
      channels: { exact: this.#link.channels.names.map(given), patterns: this.#link.patterns.names.map(given) },
      inflightPublishes: this.#inflight,
      ...(this.#lastError && { lastError: { ...this.#lastError } }),
    };
  }

  isConnected() {
    return this.#closing === undefined && this.#link.connected;
  }

  isSubscribed(channel) {
    return this.#link.channels.has(this.#nameOf(channel));
  }

  isDestroyed() {
    return this.#closing !== undefined;
  }

  async publishWithRetry(channel, message, policy) {
    return publishWithRetry(this, channel, message, policy);
  }

  /** The same with channels that begin with "{prefix}:". */
  ns(prefix) {
    const named = (channel) => `${prefix}:${channel}`;
    return new Proxy(this, {
      get: (target, property) => {
        const value = target[property];
        if (typeof value !== 'function' || property === 'constructor') return value;
        if (property === 'ns') return (next) => target.ns(named(next));
        if (kOfChannels.has(property)) return (channel, ...rest) => value.call(target, named(channel), ...rest);
        return value.bind(target);
      },
    });
  }

  on(event, handler) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(handler);
    return () => this.off(event, handler);
  }

  off(event, handler) {
    this.#listeners.get(event)?.delete(handler);
  }

  // ---- Channels

  #nameOf(channel) {
    if (this.#prefix === '' || !channel.startsWith(this.#prefix)) return this.#prefix + channel;
    throw new TypeError(`Channel "${channel}" is already prefixed with namespace "${this.#namespace}". Do not double-prefix.`);
  }

  #add(wanted, channel, handler) {
    const name = this.#nameOf(channel);
    const { maxSubscriptions } = this.options;
    const { channels, patterns } = this.#link;
    if (maxSubscriptions && !wanted.has(name) && channels.size + patterns.size >= maxSubscriptions) {
      throw new MaxSubscriptionsExceededError(`Maximum subscriptions (${maxSubscriptions}) exceeded`, maxSubscriptions);
    }
    let ready;
    try {
      ready = wanted.add(name, handler);
    } catch (cause) { // it cannot be the name of a channel
      ready = Promise.reject(this.#subscribeError(name, cause));
      ready.catch(() => {});
    }
    let isOver = false;
    const unsubscribe = () => {
      if (!isOver) wanted.remove(name, handler);
      isOver = true;
    };
    return { channel, ready, unsubscribe };
  }

  async #ready() {
    this.#checkOpen('wait for a connection');
    if (!this.isConnected()) await this.#untilClosed((resolve) => this.on('connect', () => resolve()));
  }

  async #next(method, name, { timeoutMs } = {}, what) {
    this.#checkOpen('wait for message');
    let subscription;
    let timer;
    const next = this.#untilClosed((resolve, reject) => {
      subscription = this[method](name, resolve);
      if (!timeoutMs) return;
      timer = setTimeout(() => reject(new Error(`Timeout waiting for ${what} after ${timeoutMs}ms`)), timeoutMs);
    });
    return next.finally(() => {
      clearTimeout(timer);
      subscription?.unsubscribe();
    });
  }

  // A promise that close() rejects.
  #untilClosed(start) {
    let undo;
    let giveUp;
    const promise = new Promise((resolve, reject) => {
      giveUp = () => reject(destroyed('wait for message'));
      this.#waiting.add(giveUp);
      undo = start(resolve, reject);
    });
    return promise.finally(() => {
      this.#waiting.delete(giveUp);
      undo?.();
    });
  }

  // ---- What happens

  async #close() {
    const closing = this.#link.close(destroyed('subscribe'), kCloseMs);
    for (const giveUp of [...this.#waiting]) giveUp();
    this.#listeners.clear();
    await closing;
  }

  #checkOpen(what) {
    if (this.#closing !== undefined) throw destroyed(what);
  }

  #onEvent(event, payload) {
    if (event === 'error') {
      const isSubscribing = this.#link.channels.size + this.#link.patterns.size > 0;
      const Kind = isSubscribing ? SubscribeError : PublishError;
      const error = new Kind(`Connection error: ${messageOf(payload)}`, { cause: payload, retryable: true });
      this.#note(error);
      this.#log('error', error.message);
      return this.#emit('error', error);
    }
    if (event === 'reconnecting') this.#log('info', `Reconnecting in ${payload.delayMs}ms (attempt ${payload.attempt})`);
    if (event === 'connect') this.#log('info', 'Connected to Redis');
    if (event === 'disconnect') this.#log('warn', 'Disconnected from Redis');
    this.#emit(event, payload);
  }

  #emit(event, payload) {
    for (const handler of [...(this.#listeners.get(event) ?? [])]) {
      try {
        handler(payload);
      } catch (error) {
        this.#log('error', `Error in ${event} event handler:`, messageOf(error));
      }
    }
  }

  #log(level, ...args) {
    try {
      this.options.logger?.[level]?.(...args);
    } catch {} // a logger must not stop delivery
  }

  #note(error) {
    this.#lastError = { code: error.code ?? 'UNKNOWN', message: error.message, at: Date.now() };
    return error;
  }

  #isRetryable(error) {
    return this.options.isRetryable?.(error) ?? error?.retryable ?? kTransient.test(`${error?.code} ${error?.message}`);
  }

  #publishError(channel, cause) {
    if (this.isDestroyed()) return destroyed('publish', cause);
    if (kDown.includes(cause?.code) || (cause?.code === 'CLOSED' && !this.isDestroyed())) {
      const text = `Cannot publish to channel "${channel}": not connected to Redis`;
      return this.#note(new DisconnectedError(text, { cause, channel, retryable: true }));
    }
    const text = `Failed to publish to channel "${channel}": ${messageOf(cause)}`;
    return this.#note(new PublishError(text, { cause, channel, retryable: this.#isRetryable(cause) }));
  }

  #subscribeError(name, cause) {
    const channel = name.slice(this.#prefix.length);
    if (cause?.code === 'CLIENT_LACKS') return this.#note(new ConfigurationError(cause.message, { cause, channel }));
    const text = `Failed to subscribe to channel "${channel}": ${messageOf(cause)}`;
    return this.#note(new SubscribeError(text, { cause, channel, retryable: this.#isRetryable(cause) }));
  }
}

const kOfChannels = new Set([
  'publish', 'publishWithRetry', 'subscribe', 'psubscribe', 'unsubscribe', 'once', 'ponce', 'isSubscribed',
]);

// Closing rejects what waits: that ends no process when nobody looks.
function quiet(promise) {
  promise.catch(() => {});
  return promise;
}

const destroyed = (what, cause) =>
  new DisconnectedError(`Cannot ${what}: instance has been destroyed`, { retryable: false, cause });

async function publishWithRetry(pubsub, channel, message, policy = {}) {
  const { maxAttempts = 3, initialDelayMs = 100, maxDelayMs = 10_000, jitter = 'full', onAttempt } = policy;
  const start = Date.now();
  let delayMs = initialDelayMs;
  for (let attempt = 1; ; ++attempt) {
    try {
      await pubsub.publish(channel, message);
      return { capability: 'unknown', attempts: attempt, durationMs: Date.now() - start };
    } catch (error) {
      if (!error.retryable || attempt >= maxAttempts) throw error;
      const longest = Math.min(initialDelayMs * 2 ** (attempt - 1), maxDelayMs);
      if (jitter === 'none') delayMs = longest;
      else if (jitter === 'full') delayMs = longest * Math.random();
      else delayMs = Math.min(maxDelayMs, initialDelayMs + Math.random() * (3 * delayMs - initialDelayMs));
      onAttempt?.(attempt, Math.round(delayMs), error);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

function createRedisPubSub(options) {
  return new RedisPubSub(options);
}

module.exports = { RedisPubSub, createRedisPubSub };
