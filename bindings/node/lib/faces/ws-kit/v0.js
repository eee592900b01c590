'use strict';
// fanwire/ws-kit/v0: the createRedisPubSub() of @ws-kit/redis-pubsub 0.1.

const { open } = require('../../index.js');
const { Link, ClientBus } = require('../link.js');
const { DeserializationError, DisconnectedError } = require('./errors.js');
const { kCommon, kDefaultUrl, kFirstDelayMs, kLongestDelayMs } = require('./options.js');
const { parse, messageOf } = require('./serializers.js');

const kCloseMs = 500; // for what was published and is on its way

function serialize(message) {
  if (typeof message === 'string') return message;
  if (ArrayBuffer.isView(message)) return Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('base64');
  if (message instanceof ArrayBuffer || message instanceof SharedArrayBuffer) return Buffer.from(message).toString('base64');
  const json = JSON.stringify(message);
  if (json === undefined) throw new TypeError(`a message must be text, bytes or JSON, not ${typeof message}`);
  return json;
}

// Strings are sent as they are: what is no JSON was one.
function deserialize(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

function openBus({ client, url, host = 'localhost', port = 6379, password, db, tls, maxReconnectDelay = kLongestDelayMs }) {
  if (client) return new ClientBus(client);
  const reconnectDelayMs = Math.min(kFirstDelayMs, maxReconnectDelay);
  const settings = {
    ...kCommon, password, db, tls, reconnectDelayMs, maxReconnectDelayMs: maxReconnectDelay, reconnectJitter: 'full',
  };
  return url ? open(url, settings) : open({ ...settings, url: kDefaultUrl, host, port });
}

class RedisPubSub {
  #options;
  #prefix;
  #serialize;
  #link;
  #destroying;

  constructor(options = {}) {
    const { namespace = 'ws', serializeMessage = serialize, deserializeMessage = deserialize } = options;
    this.#options = options;
    this.#prefix = namespace === '' ? '' : `${namespace}:`;
    this.#serialize = serializeMessage;
    this.#link = new Link({
      openBus: () => openBus(options),
      onEvent: (event, payload) => this.#onEvent(event, payload),
      decode({ text }) {
        try {
          return deserializeMessage(text);
        } catch (cause) {
          throw new DeserializationError(`Failed to deserialize message: ${messageOf(cause)}`, { cause });
        }
      },
      call: (handler, value) => handler(value),
      onError: (error) => this.#call('onError', asError(error)),
      makeError: (_name, cause) => cause,
    });
    // onConnect is what callers wait for before they use it. It keeps no process alive.
    this.#link.connect(false).catch(() => {});
  }

  async publish(channel, message) {
    this.#checkOpen();
    try {
      await this.#link.publish(this.#prefix + channel, this.#serialize(message));
    } catch (cause) {
      const error = asError(cause);
      this.#call('onError', error);
      throw error;
    }
  }

  subscribe(channel, handler) {
    this.#checkOpen();
    this.#link.channels.add(this.#prefix + channel, handler).catch(() => {}); // onError hears of it
  }

  unsubscribe(channel, handler) {
    this.#link.channels.remove(this.#prefix + channel, handler);
  }

  isConnected() {
    return this.#destroying === undefined && this.#link.connected;
  }

  destroy() {
    this.#destroying ??= this.#link.close(destroyed(), kCloseMs);
    return this.#destroying;
  }

  #checkOpen() {
    if (this.#destroying !== undefined) throw destroyed();
  }

  #onEvent(event, payload) {
    if (event === 'connect') this.#call('onConnect');
    if (event === 'disconnect') this.#call('onDisconnect');
    if (event === 'error') this.#call('onError', payload);
  }

  #call(name, ...args) {
    try {
      this.#options[name]?.(...args);
    } catch {} // a hook that fails must not stop delivery
  }
}

const asError = (error) => (error instanceof Error ? error : new Error(String(error)));
const destroyed = () => new DisconnectedError('RedisPubSub has been destroyed', { retryable: false });

function createRedisPubSub(options) {
  return new RedisPubSub(options);
}

module.exports = { RedisPubSub, createRedisPubSub };
