'use strict';
// The backend of PondSocket's server for Node, which shares the channels of its endpoints by messages of version 1.

const { randomUUID } = require('node:crypto');

const { cleanJson } = require('../../index.js');
const { linkTo } = require('./connect.js');
const { PubSubClosedError } = require('./errors.js');
const { cleanEndpoint, formatChannelTopic, formatHeartbeatTopic } = require('./topics.js');

const kCloseMs = 500; // for what was published and is on its way
const kHeartbeat = '__heartbeat__';
const kMark = { protocol: 'pondsocket.distributed', version: 1 };

const DistributedMessageType = Object.freeze(Object.fromEntries([
  'STATE_REQUEST', 'STATE_RESPONSE', 'USER_JOINED', 'USER_LEFT', 'USER_MESSAGE', 'PRESENCE_UPDATE', 'PRESENCE_REMOVED',
  'ASSIGNS_UPDATE', 'EVICT_USER', 'USER_REMOVE', 'USER_GET_REQUEST', 'USER_GET_RESPONSE', 'NODE_HEARTBEAT',
].map((type) => [type, type])));

const kTexts = ['messageId', 'endpointName', 'channelName', 'sourceNodeId'];

const isMessage = (value) =>
  value?.protocol === kMark.protocol && value.version === kMark.version && Object.hasOwn(DistributedMessageType, value.type) &&
  typeof value.timestamp === 'number' && kTexts.every((key) => typeof value[key] === 'string');

class RedisDistributedBackend {
  nodeId = randomUUID();
  heartbeatTimeoutMs;
  #names; // {namespace, prefix}
  #heartbeatIntervalMs;
  #onError;
  #link;
  #heartbeats = new Set();
  #timer;
  #initializing;
  #closing;
  #onConnect; // of initialize()

  constructor({
    keyPrefix, namespace, heartbeatIntervalMs = 30_000, heartbeatTimeoutMs = 90_000, onError, database, client, ...settings
  } = {}) {
    this.#names = { namespace, prefix: keyPrefix };
    this.#heartbeatIntervalMs = heartbeatIntervalMs;
    this.heartbeatTimeoutMs = heartbeatTimeoutMs;
    this.#onError = onError;
    this.#link = linkTo({ client, ...(database !== undefined && { db: database }), ...settings }, {
      onEvent: (event, payload) => this.#onEvent(event, payload),
      decode: ({ text }) => this.#decode(text),
      call: (call, message) => message && call(message),
      onError: (error) => this.#report('Failed to handle message', error),
    });
  }

  /** Resolves when it is connected, however long that takes; `onError` hears of each failed attempt. */
  initialize() {
    this.#initializing ??= this.#initialize().catch((error) => {
      this.#initializing = undefined; // another call is another attempt
      throw error;
    });
    return this.#initializing;
  }

  async broadcast(endpointName, channelName, message) {
    if (!this.#link.connected) throw new Error('Redis backend is not connected');
    const envelope = {
      ...message,
      ...kMark,
      messageId: message.messageId ?? randomUUID(),
      timestamp: message.timestamp ?? Date.now(),
      sourceNodeId: this.nodeId,
      endpointName: cleanEndpoint(endpointName),
    };
    await this.#link.publish(formatChannelTopic(endpointName, channelName, this.#names), JSON.stringify(envelope));
  }

  /** Resolves, when Redis has confirmed it, to a function that takes this handler away again. */
  async subscribeToChannel(endpointName, channelName, handler) {
    const topic = formatChannelTopic(endpointName, channelName, this.#names);
    const call = (message) => handler(message);
    await this.#subscribe(topic, call);
    return () => void this.#link.channels.remove(topic, call);
  }

  subscribeToHeartbeats(handler) {
    const call = (nodeId) => handler(nodeId);
    this.#heartbeats.add(call);
    return () => void this.#heartbeats.delete(call);
  }

  cleanup() {
    this.#closing ??= this.#cleanup();
    return this.#closing;
  }

  async #initialize() {
    await this.#subscribe(formatHeartbeatTopic(this.#names), (message) => this.#onHeartbeat(message));
    while (this.#closing === undefined && !this.#link.connected) {
      await new Promise((resolve) => (this.#onConnect = resolve)); // both connections: one of them has subscribed
    }
    this.#checkOpen();
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), this.#heartbeatIntervalMs);
    this.#timer.unref?.();
  }

  async #cleanup() {
    clearInterval(this.#timer);
    this.#onConnect?.();
    this.#heartbeats.clear();
    await this.#link.close(new PubSubClosedError(), kCloseMs);
  }

  #checkOpen() {
    if (this.#closing !== undefined) throw new PubSubClosedError();
  }

  #onEvent(event, payload) {
    if (event === 'connect') this.#onConnect?.();
    if (event !== 'error') return;
    for (const label of ['publish', 'subscribe']) this.#report(`Redis ${label} client error`, payload);
  }

  // Waits for as long as trying again may help.
  async #subscribe(topic, call) {
    for (;;) {
      this.#checkOpen();
      try {
        return await this.#link.channels.add(topic, call);
      } catch (error) {
        if (this.#link.open().state !== 'gave_up' && error?.retryable !== false) continue;
        this.#link.channels.remove(topic, call);
        throw error;
      }
    }
  }

  // Undefined is what is not for us.
  #decode(text) {
    let message;
    try {
      message = JSON.parse(cleanJson(text));
    } catch {
      return undefined;
    }
    return isMessage(message) && message.sourceNodeId !== this.nodeId ? message : undefined;
  }

  #onHeartbeat({ type, sourceNodeId }) {
    if (type !== DistributedMessageType.NODE_HEARTBEAT) return;
    for (const call of [...this.#heartbeats]) {
      try {
        call(sourceNodeId);
      } catch (error) {
        this.#report('Failed to handle message', error);
      }
    }
  }

  #beat() {
    if (!this.#link.connected) return;
    const heartbeat = {
      ...kMark,
      type: DistributedMessageType.NODE_HEARTBEAT,
      messageId: randomUUID(),
      endpointName: kHeartbeat,
      channelName: kHeartbeat,
      sourceNodeId: this.nodeId,
      timestamp: Date.now(),
      nodeId: this.nodeId,
    };
    this.#link.publish(formatHeartbeatTopic(this.#names), JSON.stringify(heartbeat)).catch((error) =>
      this.#report('Failed to publish heartbeat', error));
  }

  #report(what, error) {
    try {
      this.#onError?.(new Error(`${what}: ${error?.message ?? error}`, { cause: error }));
    } catch {} // a hook that fails must not stop delivery
  }
}

module.exports = { RedisDistributedBackend, DistributedMessageType };
