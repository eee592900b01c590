'use strict';
// fanwire/ws-kit/adapter: a PubSubAdapter of @ws-kit/core, for withPubSub() of @ws-kit/pubsub. Without Redis it is an index of
// this process; with it, a process gets the topics that it has clients of.

const { open } = require('../../index.js');
const { Link, ClientBus } = require('../link.js');
const { Topics } = require('../topics.js');
const { kCommon, kLongestDelayMs } = require('./options.js');
const { parse, messageOf } = require('./serializers.js');

const kName = 'fanwire';
const kCloseMs = 500; // for what was published and is on its way

const errorNames = { MESSAGE_TOO_LARGE: 'PAYLOAD_TOO_LARGE', QUEUE_FULL: 'BACKPRESSURE' };

const failure = (cause) => ({
  ok: false,
  error: errorNames[cause?.code] ?? 'ADAPTER_ERROR',
  retryable: Boolean(cause?.retryable),
  adapter: kName,
  details: { message: messageOf(cause) },
  cause,
});

/** The index of this process, which is all there is without Redis. */
class MemoryAdapter {
  #topics = new Topics();

  async publish({ topic, meta }) {
    const members = this.#topics.membersOf(topic);
    const matched = members.size - (members.has(meta?.excludeClientId) ? 1 : 0);
    return { ok: true, capability: 'exact', matched };
  }

  async subscribe(clientId, topic) {
    if (this.#topics.add(topic, clientId)) await this.onFirst(topic);
  }

  async unsubscribe(clientId, topic) {
    if (this.#topics.remove(topic, clientId)) this.onLast(topic);
  }

  async *getSubscribers(topic) {
    yield* [...this.#topics.membersOf(topic)];
  }

  async replace(clientId, topics) {
    const wanted = new Set(topics);
    const had = [...this.#topics.topicsOf(clientId)];
    const added = [...wanted].filter((topic) => !this.#topics.has(topic, clientId));
    const removed = had.filter((topic) => !wanted.has(topic));
    const first = added.filter((topic) => this.#topics.add(topic, clientId));
    for (const topic of removed) if (this.#topics.remove(topic, clientId)) this.onLast(topic);
    await Promise.all(first.map((topic) => this.onFirst(topic)));
    return { added: added.length, removed: removed.length, total: wanted.size };
  }

  async listTopics() {
    return Object.freeze(this.#topics.topics);
  }

  async hasTopic(topic) {
    return this.#topics.hasTopic(topic);
  }

  async close() {
    this.#topics.clear();
  }

  /** The topic has its first client here, or has lost its last. */
  onFirst() {}
  onLast() {}
}

/** The same, with what is published going through Redis, to this process, too. */
class RedisAdapter extends MemoryAdapter {
  #options;
  #link;
  #onRemote; // while started
  #isClosed = false;

  constructor(options) {
    super();
    const { channelPrefix = '', encode = JSON.stringify, decode = parse } = options;
    this.#options = { ...options, channelPrefix, encode, decode };
  }

  async publish(envelope) {
    try {
      if (this.#isClosed) throw new Error('the adapter is closed');
      const payload = this.#options.encode(envelope);
      if (typeof payload !== 'string') throw new TypeError(`encode() must return a string, not ${typeof payload}`);
      await this.#connected().publish(this.#options.channelPrefix + envelope.topic, payload);
      return { ok: true, capability: 'unknown' };
    } catch (cause) {
      return failure(cause);
    }
  }

  /** Resolves when it delivers, or after the first failure to connect: it goes on trying. */
  async start(onRemote) {
    if (this.#onRemote !== undefined) throw new Error('the adapter has been started already');
    this.#onRemote = onRemote;
    this.#isClosed = false;
    await this.#connected().connect().catch((error) => this.#log('cannot connect to Redis, trying again:', error));
    const topics = await this.listTopics();
    await Promise.all(topics.map((topic) => this.onFirst(topic)));
    return () => {
      if (this.#onRemote !== onRemote) return;
      this.#onRemote = undefined;
      this.#link?.channels.clear();
    };
  }

  async close() {
    await super.close();
    this.#isClosed = true;
    this.#onRemote = undefined;
    const link = this.#link;
    this.#link = undefined;
    await link?.close(undefined, kCloseMs);
  }

  // Resolves when it is confirmed; when Redis is away the topic is wanted all the same.
  async onFirst(topic) {
    if (this.#onRemote === undefined) return;
    const name = this.#options.channelPrefix + topic;
    await this.#connected().channels.add(name, this.#receive).catch((error) => this.#log(`cannot subscribe to "${name}":`, error));
  }

  onLast(topic) {
    this.#link?.channels.remove(this.#options.channelPrefix + topic, this.#receive);
  }

  #receive = (envelope) => this.#onRemote?.(envelope);

  #connected() {
    this.#link ??= new Link({
      openBus: () => openBus(this.#options),
      onEvent: (event, payload) => event === 'error' && this.#log('the connection to Redis:', payload),
      decode: ({ channel, text }) => {
        const envelope = this.#options.decode(text);
        if (`${this.#options.channelPrefix}${envelope?.topic}` === channel) return envelope;
        throw new TypeError('it is no envelope of this topic');
      },
      call: (handler, envelope) => handler(envelope),
      onError: (error, name) => this.#log(`a message on "${name}" was dropped:`, error),
      makeError: (_name, cause) => cause,
    });
    return this.#link;
  }

  #log(text, error) {
    this.#options.logger?.error?.(`[${kName}] ${text}`, error);
  }
}

function openBus({ url, client }) {
  if (client) return new ClientBus(client);
  return open(url, { ...kCommon, maxReconnectDelayMs: kLongestDelayMs, reconnectJitter: 'full' });
}

// A URL, a client, or options that have one of them.
function optionsOf(target, options) {
  if (target === undefined || target === null) return { ...options };
  if (typeof target === 'string' || target instanceof URL) return { ...options, url: target };
  if (typeof target.publish === 'function') return { ...options, client: target };
  return { ...target, ...options };
}

/** An adapter over Redis when there is a `url` or a `client`, and of this process alone when there is none. */
function createAdapter(target, options) {
  const all = optionsOf(target, options);
  return all.url || all.client ? new RedisAdapter(all) : new MemoryAdapter();
}

module.exports = { createAdapter, redisPubSub: createAdapter };
