'use strict';
// A client that the application passes in (node-redis, ioredis, Bun's RedisClient) as what carries a face, with as much of a
// bus's interface as the faces use. It publishes through that client, which is never closed, and subscribes through a
// duplicate of it, which is ours.

const { EventEmitter } = require('node:events');

const { kChannel, kPattern, kShard, dialectOf, isClient, missing, end } = require('./clients.js');

const kPollMs = 50;
const kRetryMs = 500;
const kReplacement = '\ufffd'; // what a decoder puts in place of bytes that are no UTF-8
const kFew = 100; // "error" listeners of many faces on one client are no leak

class ClientMessage {
  #received;
  #text;

  constructor(channel, received) {
    this.channel = channel;
    this.#received = received;
  }

  get text() {
    return (this.#text ??= typeof this.#received === 'string' ? this.#received : this.#received.toString());
  }

  get data() {
    return typeof this.#received === 'string' ? Buffer.from(this.#received) : this.#received;
  }

  /** An error where the client has made text of bytes that are none, so that `data` is not what was sent. */
  get damage() {
    const isDamaged = typeof this.#received === 'string' && this.#received.includes(kReplacement);
    return isDamaged ? damaged(this.channel) : undefined;
  }
}

/** A wish for a channel or pattern, of which a ClientBus has one for each name. */
class ClientSubscription extends EventEmitter {
  state = 'pending';
  #end;
  #isBehind = false; // it was lost, and is not yet back
  #ready; // {promise, settle} once somebody has asked for it

  constructor(kind, name, handler, end) {
    super();
    Object.assign(this, { kind, name, handler, isPattern: kind === kPattern });
    this.#end = end;
  }

  /** Resolves when it is confirmed for the first time; rejects when that fails or it ends before. */
  get ready() {
    if (this.state === 'active') return Promise.resolve(this);
    if (this.#ready === undefined) {
      this.#ready = {};
      this.#ready.promise = new Promise((resolve, reject) => {
        this.#ready.settle = (error) => (error === undefined ? resolve(this) : reject(error));
      });
      this.#ready.promise.catch(() => {}); // whoever waits for it sees it
      if (this.state === 'ended') this.#settle(new Error('the subscription has ended'));
    }
    return this.#ready.promise;
  }

  endQuietly() {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.#settle(new Error('the subscription has ended'));
    this.#end();
  }

  /** 'active', 'lost' or 'failed'. */
  become(state, error) {
    if (this.state === 'ended') return;
    this.state = state;
    if (state === 'lost') this.#isBehind = true;
    if (state !== 'lost') this.#settle(error);
    if (state !== 'active' || !this.#isBehind) {
      this.emit(state, error);
      return;
    }
    this.#isBehind = false;
    this.emit('gap', { reason: 'reconnect', count: null });
    this.emit('resumed');
  }

  #settle(error) {
    this.#ready?.settle(error);
    if (error !== undefined && this.state !== 'ended') this.#ready = undefined; // another attempt has another outcome
  }
}

/**
 * `binary`: messages are bytes, where the client can give them. `isSharded`: channels are those of shards. `connects`: a
 * client that waits for connect() gets it; otherwise that is the application's to do.
 */
class ClientBus extends EventEmitter {
  #client;
  #dialect;
  #channelKind;
  #wanted = new Map(); // kind and name -> ClientSubscription
  #have = new Map(); // the same, of those that Redis knows of
  #known = new Set(); // names that this subscriber has subscribed to and not given up
  #busy = new Set();
  #subscriber; // {client, ready: a promise, isOpen}
  #listeners = []; // [event, listener] on the client
  #timer;
  #wasReady = false;
  #isClosed = false;

  constructor(client, { binary = false, isSharded = false, connects = true } = {}) {
    super();
    this.#client = client;
    this.#dialect = dialectOf(client, binary);
    this.#channelKind = isSharded ? kShard : kChannel;
    const lack = this.#dialect.lacks?.(this.#channelKind);
    if (lack !== undefined) throw new TypeError(lack);
    const look = () => this.#look();
    this.#listen('ready', look);
    this.#listen('end', look);
    this.#listen('close', look);
    this.#listen('error', (error) => this.#onError(error));
    this.#listen('reconnecting', (delayMs) => {
      look();
      this.emit('reconnecting', { attempt: 1, delayMs: typeof delayMs === 'number' ? delayMs : 0 });
    });
    this.opened = this.#open(connects);
    this.opened.catch(() => {});
  }

  get connected() {
    return !this.#isClosed && Boolean(this.#dialect.isReady(this.#client));
  }

  get state() {
    return this.#isClosed ? 'closed' : this.connected ? 'connected' : 'reconnecting';
  }

  /** Whether messages can only be text. */
  get isText() {
    return this.#dialect.isText === true;
  }

  ref() {
    return this;
  }

  reconnect() {}

  /** Rejects at once while the client is not connected: it would keep the message for later. */
  async publish(channel, payload) {
    this.#checkConnected();
    return this.#dialect.publish(this.#client, this.#channelKind, channel, payload);
  }

  /** The same without an outcome. Throws while the client is not connected. */
  publishNoWait(channel, payload) {
    this.#checkConnected();
    this.#dialect.publish(this.#client, this.#channelKind, channel, payload)?.catch(() => {}); // lost with its connection
  }

  subscribe(channel, handler) {
    return this.#want(this.#channelKind, channel, handler);
  }

  psubscribe(pattern, handler) {
    return this.#want(kPattern, pattern, handler);
  }

  /** How many subscribers one channel has, as an array. */
  async numsub([channel]) {
    const command = this.#channelKind === kShard ? 'SHARDNUMSUB' : 'NUMSUB';
    return [await this.#dialect.numsub(this.#client, command, channel)];
  }

  async close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    const off = this.#client.off ?? this.#client.removeListener;
    for (const [event, listener] of this.#listeners) off?.call(this.#client, event, listener);
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    this.#wanted.clear();
    this.#have.clear();
    await this.#end(subscriber?.client);
  }

  #checkConnected() {
    if (this.connected) return;
    throw Object.assign(new Error('the client is not connected to Redis'), { code: 'NOT_CONNECTED', retryable: true });
  }

  #listen(event, listener) {
    if (typeof this.#client.on !== 'function') return;
    if (this.#client.getMaxListeners?.() < kFew && this.#client.getMaxListeners() > 0) this.#client.setMaxListeners(kFew);
    this.#client.on(event, listener);
    this.#listeners.push([event, listener]);
  }

  async #open(connects) {
    try {
      if (connects || this.#dialect.isLazy) await this.#dialect.connect(this.#client);
    } catch (error) {
      if (!this.#client.on) this.#onError(error);
      throw error;
    }
    this.#look();
    return this;
  }

  // What the client says of itself, as events of a bus.
  #look() {
    const isReady = this.connected;
    if (isReady === this.#wasReady || this.#isClosed) return;
    this.#wasReady = isReady;
    if (!isReady) return void this.emit('disconnect', lost(), { willReconnect: true });
    this.emit('connect');
    for (const key of this.#wanted.keys()) this.#sync(key);
  }

  #onError(error) {
    if (this.#isClosed) return;
    this.#look();
    if (this.listenerCount('error') > 0) this.emit('error', error, { willReconnect: true });
  }

  #want(kind, name, handler) {
    const key = kind + '#' + name;
    const subscription = new ClientSubscription(kind, name, handler, () => {
      if (this.#wanted.get(key) === subscription) this.#wanted.delete(key);
      this.#sync(key);
    });
    this.#wanted.set(key, subscription);
    this.#sync(key);
    return subscription;
  }

  // Brings what Redis knows of one name to what is wanted; one command at a time, so that the last wish wins.
  async #sync(key) {
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    try {
      while (!this.#isClosed && this.#wanted.get(key) !== this.#have.get(key)) {
        const have = this.#have.get(key);
        const wanted = this.#wanted.get(key);
        try {
          const subscriber = await this.#subscribing();
          if (have !== undefined) {
            this.#have.delete(key);
            await this.#dialect.unsubscribe(subscriber, have);
            this.#known.delete(key);
          } else if (wanted !== undefined) {
            await this.#subscribe(subscriber, key, wanted);
          }
        } catch (error) {
          if (wanted === undefined || this.#wanted.get(key) === wanted) {
            wanted?.become('failed', error);
            if (wanted !== undefined && error?.retryable !== false) this.#syncLater(key);
            return;
          }
        }
      }
    } finally {
      this.#busy.delete(key);
    }
  }

  #syncLater(key) {
    setTimeout(() => this.#sync(key), kRetryMs).unref();
  }

  async #subscribe(subscriber, key, wanted) {
    const { kind, name } = wanted;
    const lack = this.#dialect.lacks?.(kind);
    if (lack !== undefined) throw missing(lack);
    const isAgain = this.#known.has(key);
    this.#known.add(key);
    const deliver = (channel, received) => this.#deliver(kind, name, channel, received);
    await this.#dialect.subscribe(subscriber, { kind, name, isAgain }, deliver);
    this.#have.set(key, wanted);
    wanted.become('active');
  }

  #deliver(kind, name, channel, received) {
    this.#wanted.get(kind + '#' + name)?.handler(new ClientMessage(channel, received));
  }

  #subscribing() {
    if (this.#subscriber === undefined) {
      const subscriber = { client: undefined, isOpen: false };
      subscriber.ready = this.#duplicate(subscriber);
      subscriber.ready.catch(() => {
        if (this.#subscriber === subscriber) this.#subscriber = undefined; // the next wish tries again
      });
      this.#subscriber = subscriber;
      this.#known.clear();
    }
    return this.#subscriber.ready;
  }

  async #duplicate(subscriber) {
    if (typeof this.#client.duplicate !== 'function') {
      throw missing('Redis client must support duplicate() for a second connection, which subscribes');
    }
    const client = await this.#client.duplicate();
    subscriber.client = client;
    client.on?.('error', (error) => {
      this.#onError(error);
      this.#lose(error);
      if (subscriber.isOpen && this.#dialect.hasGivenUp(client)) this.#giveUp(subscriber);
    });
    try {
      await this.#dialect.connect(client);
    } catch (error) {
      await this.#end(client);
      throw error;
    }
    if (this.#isClosed) {
      await this.#end(client);
      throw new Error('closed');
    }
    this.#dialect.listen(client, (kind, name, channel, received) => this.#deliver(kind, name, channel, received));
    subscriber.isOpen = true;
    if (client.on) {
      client.on('reconnecting', () => this.#lose());
      client.on('close', () => this.#lose());
      client.on('end', () => this.#giveUp(subscriber));
      client.on('ready', () => this.#resume());
    } else {
      client.onclose = () => this.#giveUp(subscriber);
      client.onconnect = () => { // which may be all that is heard of a connection that was lost
        this.#lose();
        this.#resume();
      };
      this.#poll();
    }
    return client;
  }

  // It does not connect again by itself: there is another when the application's client is connected.
  #giveUp(subscriber) {
    if (this.#subscriber !== subscriber || this.#isClosed) return;
    this.#lose();
    this.#subscriber = undefined;
    this.#have.clear();
    this.#end(subscriber.client);
    if (this.connected) for (const key of this.#wanted.keys()) this.#syncLater(key);
  }

  // A client without events is looked at while it is in use.
  #poll() {
    this.#timer ??= setInterval(() => this.#look(), kPollMs);
    this.#timer.unref();
  }

  #lose(error = lost()) {
    for (const subscription of this.#have.values()) if (subscription.state === 'active') subscription.become('lost', error);
  }

  // Connected again: node-redis has subscribed again by itself, for the others we do.
  #resume() {
    for (const [key, subscription] of this.#have) {
      if (this.#dialect.resubscribes) {
        if (subscription.state === 'lost') subscription.become('active');
      } else {
        this.#have.delete(key);
      }
    }
    for (const key of this.#wanted.keys()) this.#sync(key);
  }

  async #end(client) {
    if (client === undefined) return;
    // Not within a handler: redis 4 reads on what it has got, and throws when its connection is gone.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      await end(client);
    } catch {} // it has ended by itself
  }
}

const damaged = (channel) =>
  Object.assign(
    new Error(`a message of ${channel} has bytes that are no text, and the client that was passed in gives messages as text only`),
    { code: 'CLIENT_LACKS', retryable: false, channel },
  );

const lost = () => Object.assign(new Error('the connection to Redis was lost'), { code: 'CONNECTION_LOST', retryable: true });

module.exports = { ClientBus, isClient };
