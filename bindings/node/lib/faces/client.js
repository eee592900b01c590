'use strict';
// A client that the application passes in (node-redis, ioredis, Bun's RedisClient) as what carries a face, with as much of a
// bus's interface as the faces use. It publishes through that client, which is never closed, and subscribes through a
// duplicate of it, which is ours.

const { EventEmitter } = require('node:events');

const kPollMs = 50;
const kRetryMs = 500;
const kFew = 100; // "error" listeners of many faces on one client are no leak

/** How the clients differ. `binary`: messages arrive as Buffers where the client can do that. */
function dialectOf(client, binary) {
  if (typeof client.pSubscribe !== 'function' && typeof client.psubscribe === 'function') {
    return typeof client.on === 'function' ? ioredis(binary) : bun();
  }
  return nodeRedis(binary);
}

const end = (client) => {
  const close = client.destroy ?? client.disconnect ?? client.close ?? client.quit;
  return close?.call(client);
};

const nodeRedis = (binary) => ({
  resubscribes: true,
  isReady: (client) => client.isReady ?? client.isOpen ?? true,
  connect: (client) => (client.isOpen ? undefined : client.connect?.()),
  listen() {},
  subscribe: (client, { name, isPattern }, deliver) => {
    const listener = (message, channel) => deliver(String(channel ?? name), message);
    const args = binary ? [name, listener, true] : [name, listener];
    return isPattern ? client.pSubscribe(...args) : client.subscribe(...args);
  },
  unsubscribe: (client, { name, isPattern }) => (isPattern ? client.pUnsubscribe(name) : client.unsubscribe(name)),
});

const ioredis = (binary) => ({
  isReady: (client) => client.status === 'ready',
  connect: (client) =>
    client.status === 'ready' ? undefined
    : client.status === 'wait' || client.status === 'end' ? client.connect()
    : firstOf(client, 'ready', 'error'),
  listen(client, deliver) {
    const suffix = binary ? 'Buffer' : '';
    client.on(`message${suffix}`, (channel, message) => deliver(`c${channel}`, String(channel), message));
    client.on(`pmessage${suffix}`, (pattern, channel, message) => deliver(`p${pattern}`, String(channel), message));
  },
  subscribe: (client, { name, isPattern }) => (isPattern ? client.psubscribe(name) : client.subscribe(name)),
  unsubscribe: (client, { name, isPattern }) => (isPattern ? client.punsubscribe(name) : client.unsubscribe(name)),
});

const bun = () => ({
  isReady: (client) => client.connected,
  connect: (client) => (client.connected ? undefined : client.connect()),
  listen() {},
  subscribe(client, { name, isPattern }, deliver) {
    if (!isPattern) return client.subscribe(name, (message, channel) => deliver(String(channel ?? name), message));
    throw missing("Bun's RedisClient has no subscriptions to patterns");
  },
  unsubscribe: (client, { name }) => client.unsubscribe(name),
});

// Something that a client lacks, which trying again does not mend.
const missing = (text) => Object.assign(new Error(text), { code: 'CLIENT_LACKS', retryable: false });

function firstOf(emitter, good, bad) {
  return new Promise((resolve, reject) => {
    const settle = (how) => (value) => {
      emitter.off(good, onGood);
      emitter.off(bad, onBad);
      how(value);
    };
    const onGood = settle(resolve);
    const onBad = settle(reject);
    emitter.on(good, onGood);
    emitter.on(bad, onBad);
  });
}

/** A wish for a channel or pattern, of which a ClientBus has one for each name. */
class ClientSubscription extends EventEmitter {
  state = 'pending';
  #end;

  constructor(name, isPattern, handler, end) {
    super();
    Object.assign(this, { name, isPattern, handler });
    this.#end = end;
  }

  endQuietly() {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.#end();
  }

  become(state, error) {
    if (this.state === 'ended') return;
    const wasLost = this.state === 'lost';
    this.state = state;
    this.emit(state === 'active' && wasLost ? 'resumed' : state, error);
  }
}

class ClientBus extends EventEmitter {
  #client;
  #dialect;
  #wanted = new Map(); // 'c' or 'p' and the name -> ClientSubscription
  #have = new Map(); // the same, of those that Redis knows of
  #busy = new Set();
  #subscriber; // {client, ready: a promise}
  #listeners = []; // [event, listener] on the client
  #wasReady = false;
  #isClosed = false;

  constructor(client, { binary = false } = {}) {
    super();
    this.#client = client;
    this.#dialect = dialectOf(client, binary);
    const look = () => this.#look();
    this.#listen('ready', look);
    this.#listen('end', look);
    this.#listen('close', look);
    this.#listen('error', (error) => this.#onError(error));
    this.#listen('reconnecting', (delayMs) => {
      look();
      this.emit('reconnecting', { attempt: 1, delayMs: typeof delayMs === 'number' ? delayMs : 0 });
    });
    this.opened = this.#open();
    this.opened.catch(() => {});
  }

  get connected() {
    return !this.#isClosed && Boolean(this.#dialect.isReady(this.#client));
  }

  get state() {
    return this.#isClosed ? 'closed' : this.connected ? 'connected' : 'reconnecting';
  }

  ref() {
    return this;
  }

  reconnect() {}

  /** Rejects at once while the client is not connected: it would keep the message for later. */
  async publish(channel, payload) {
    if (!this.connected) {
      throw Object.assign(new Error('the client is not connected to Redis'), { code: 'NOT_CONNECTED', retryable: true });
    }
    return this.#client.publish(channel, payload);
  }

  subscribe(channel, handler) {
    return this.#want(channel, false, handler);
  }

  psubscribe(pattern, handler) {
    return this.#want(pattern, true, handler);
  }

  async close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const [event, listener] of this.#listeners) (this.#client.off ?? this.#client.removeListener)?.call(this.#client, event, listener);
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    this.#wanted.clear();
    this.#have.clear();
    await this.#end(subscriber?.client);
  }

  #listen(event, listener) {
    if (typeof this.#client.on !== 'function') return;
    if (this.#client.getMaxListeners?.() < kFew && this.#client.getMaxListeners() > 0) this.#client.setMaxListeners(kFew);
    this.#client.on(event, listener);
    this.#listeners.push([event, listener]);
  }

  async #open() {
    try {
      await this.#dialect.connect(this.#client);
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
    if (isReady) this.emit('connect');
    else this.emit('disconnect', new Error('the connection to Redis was lost'), { willReconnect: true });
  }

  #onError(error) {
    if (this.#isClosed) return;
    this.#look();
    if (this.listenerCount('error') > 0) this.emit('error', error, { willReconnect: true });
  }

  #want(name, isPattern, handler) {
    const key = (isPattern ? 'p' : 'c') + name;
    const subscription = new ClientSubscription(name, isPattern, handler, () => {
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
          } else {
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
    await this.#dialect.subscribe(subscriber, wanted, (channel, data) => this.#deliver(key, channel, data));
    this.#have.set(key, wanted);
    wanted.become('active');
  }

  #deliver(key, channel, data) {
    const subscription = this.#wanted.get(key);
    const isText = typeof data === 'string';
    subscription?.handler({
      channel,
      get text() {
        return isText ? data : String(data);
      },
      get data() {
        return isText ? Buffer.from(data) : data;
      },
    });
  }

  #subscribing() {
    if (this.#subscriber === undefined) {
      const subscriber = { client: undefined };
      subscriber.ready = this.#duplicate(subscriber);
      subscriber.ready.catch(() => {
        if (this.#subscriber === subscriber) this.#subscriber = undefined; // the next wish tries again
      });
      this.#subscriber = subscriber;
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
      this.#lose();
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
    this.#dialect.listen(client, (key, channel, data) => this.#deliver(key, channel, data));
    if (client.on) {
      client.on('reconnecting', () => this.#lose());
      client.on('close', () => this.#lose());
      client.on('ready', () => this.#resume());
    } else {
      client.onclose = () => this.#lose();
      client.onconnect = () => this.#resume();
      this.#poll();
    }
    return client;
  }

  // A client without events is looked at while it is in use.
  #poll() {
    const timer = setInterval(() => {
      if (this.#isClosed) return clearInterval(timer);
      this.#look();
      if (this.#subscriber?.client?.connected && this.#wasReady) this.#resume();
    }, kPollMs);
    timer.unref();
  }

  #lose() {
    for (const subscription of this.#have.values()) if (subscription.state === 'active') subscription.become('lost');
  }

  // Connected again: node-redis has subscribed again by itself, for the others we do.
  #resume() {
    for (const [key, subscription] of this.#have) {
      if (this.#dialect.resubscribes) subscription.become('active');
      else this.#have.delete(key);
    }
    for (const key of this.#wanted.keys()) this.#sync(key);
  }

  async #end(client) {
    try {
      if (client !== undefined) await end(client);
    } catch {} // it has ended by itself
  }
}

module.exports = { ClientBus };
