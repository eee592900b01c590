'use strict';
// PondSocket's PubSub over Redis: topics, patterns, and bytes.

const { linkTo, optionsOf } = require('./connect.js');
const { PubSubClosedError, notFound, unavailable } = require('./errors.js');
const { globOf, prefixOf } = require('./topics.js');

const kCloseMs = 500; // for what was published and is on its way

// Only a message of a client that was passed in can be damaged.
function bytesOf(message) {
  if (message.damage !== undefined) throw message.damage;
  return message.data;
}

class RedisPubSub {
  #link;
  #subscriptions = new Map(); // pattern -> [{handler, call}]
  #onError;
  #closing;

  /** (url, options), (client, options), or all of it in one object. It connects at the first use. */
  constructor(source, more) {
    const { onError, ...settings } = optionsOf(source, more);
    this.#onError = onError;
    this.#link = linkTo(settings, {
      onEvent: (event, payload) => event === 'error' && this.#report(payload),
      decode: bytesOf,
      call: (call, data, { channel }) => call(channel, data),
      onError: (error) => this.#report(error),
    });
  }

  /**
   * Resolves, when Redis has confirmed it, to a function that takes the handler away again. Rejects when the attempt to
   * connect fails; then it is not subscribed.
   */
  subscribe(pattern, handler) {
    return quiet(this.#subscribe(pattern, handler));
  }

  /** Takes one handler away, or all of the pattern. */
  async unsubscribe(pattern, handler) {
    this.#checkOpen();
    const all = this.#subscriptions.get(pattern) ?? [];
    const gone = handler === undefined ? [...all] : all.filter((one) => one.handler === handler);
    if (gone.length === 0) throw notFound();
    for (const subscription of gone) this.#remove(pattern, subscription);
  }

  publish(topic, data) {
    return quiet(this.#publish(topic, data));
  }

  /** Resolves when the connections are closed; a client that was passed in stays open. */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #subscribe(pattern, handler) {
    this.#checkOpen();
    if (typeof pattern !== 'string' || pattern === '') throw new TypeError('a pattern must be a string that is not empty');
    if (typeof handler !== 'function') throw new TypeError(`a handler must be a function, not ${typeof handler}`);
    const subscription = { handler, call: (topic, data) => handler(topic, data) }; // each call of subscribe() counts
    const all = this.#subscriptions.get(pattern);
    if (all === undefined) this.#subscriptions.set(pattern, [subscription]);
    else all.push(subscription);
    const [wanted, name] = this.#wantedOf(pattern);
    try {
      await wanted.add(name, subscription.call);
    } catch (cause) {
      this.#remove(pattern, subscription);
      this.#checkOpen();
      throw unavailable(`failed to subscribe to pattern ${pattern}`, cause);
    }
    return () => this.#remove(pattern, subscription);
  }

  async #publish(topic, data) {
    this.#checkOpen();
    if (typeof topic !== 'string') throw new TypeError(`a topic must be a string, not ${typeof topic}`);
    const payload = payloadOf(data);
    try {
      await this.#link.publish(topic, payload);
    } catch (cause) {
      this.#checkOpen();
      throw unavailable('failed to publish message', cause);
    }
  }

  async #close() {
    this.#subscriptions.clear();
    await this.#link.close(new PubSubClosedError(), kCloseMs);
  }

  #checkOpen() {
    if (this.#closing !== undefined) throw new PubSubClosedError();
  }

  #wantedOf(pattern) {
    const prefix = prefixOf(pattern);
    return prefix === undefined ? [this.#link.channels, pattern] : [this.#link.patterns, globOf(prefix)];
  }

  #remove(pattern, subscription) {
    const all = this.#subscriptions.get(pattern);
    const at = all?.indexOf(subscription) ?? -1;
    if (at < 0) return;
    all.splice(at, 1);
    if (all.length === 0) this.#subscriptions.delete(pattern);
    const [wanted, name] = this.#wantedOf(pattern);
    wanted.remove(name, subscription.call);
  }

  #report(error) {
    try {
      this.#onError?.(error);
    } catch {} // a hook that fails must not stop delivery
  }
}

// Bytes as a Buffer, which each of the clients takes.
function payloadOf(data) {
  if (typeof data === 'string') return data;
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return Buffer.from(data);
  throw new TypeError(`data must be bytes or text, not ${data === null ? 'null' : typeof data}`);
}

// What fails is no unhandled rejection when nobody looks.
function quiet(promise) {
  promise.catch(() => {});
  return promise;
}

function createRedisPubSub(source, more) {
  return new RedisPubSub(source, more);
}

module.exports = { RedisPubSub, createRedisPubSub };
