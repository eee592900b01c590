'use strict';
// Clients that the application passes in, or a factory makes, as what carries the provider: a bus whose publishes wait, in
// order, until Redis is there and our own subscription is back.

const { EventEmitter } = require('node:events');

const { settings } = require('../../index.js');
const { ClientBus } = require('../client.js');

const kRetryMs = 1000; // the original's
const kCloseMs = 500; // for what was published and is on its way
const kMostBytes = 8 << 20; // the engine's offlineBytes
const kMost = Number(settings.find(({ name }) => name === 'offline_count').default);
const kForwarded = ['disconnect', 'reconnecting', 'error'];

const failure = (code, text) => Object.assign(new Error(text), { code, retryable: true });

/** `make()`: a client or a promise of one. `isOurs`: it is closed in the end, and made again when it has ended by itself. */
class QueueingBus extends EventEmitter {
  #make;
  #isOurs;
  #timeoutMs;
  #client;
  #bus; // a ClientBus, once there is a client
  #subscription;
  #waiting = []; // {channel, payload, resolve, reject, deadline}
  #waitingBytes = 0;
  #sent = new Set(); // promises
  #expiry;
  #retry;
  #isHopeless = false; // the client cannot subscribe
  #isClosed = false;

  constructor({ make, isOurs, timeoutMs }) {
    super();
    this.#make = make;
    this.#isOurs = isOurs;
    this.#timeoutMs = timeoutMs;
    this.#open();
  }

  get connected() {
    return this.#bus?.connected ?? false;
  }

  subscribe(channel, handler) {
    this.#subscription = Object.assign(new EventEmitter(), { channel, handler, state: 'pending' });
    this.#subscribe();
    return this.#subscription;
  }

  publish(channel, payload) {
    if (this.#isReady && this.#waiting.length === 0) return this.#send(channel, payload);
    const size = Buffer.byteLength(payload);
    if (this.#waiting.length >= kMost || this.#waitingBytes + size > kMostBytes) {
      return Promise.reject(failure('QUEUE_FULL', `${this.#waiting.length} publishes wait for Redis already`));
    }
    this.#waitingBytes += size;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ channel, payload, resolve, reject, deadline: Date.now() + this.#timeoutMs });
      if (this.#expiry === undefined) this.#expireLater();
    });
  }

  async close() {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    const error = failure('CLOSED', 'disconnected before it could be published');
    for (const { reject } of this.#take(this.#waiting.length)) reject(error);
    let timer;
    const tooLong = new Promise((resolve) => (timer = setTimeout(resolve, kCloseMs)));
    await Promise.race([Promise.allSettled(this.#sent), tooLong]);
    clearTimeout(timer);
    await this.#bus?.close();
    this.#end(this.#client);
  }

  get #isReady() {
    return this.connected && (this.#subscription?.state === 'active' || this.#isHopeless);
  }

  async #open() {
    try {
      const client = await this.#makeClient();
      if (this.#isClosed) return this.#end(client);
      this.#use(client);
    } catch (error) {
      if (this.#isClosed) return;
      this.emit('error', error, { willReconnect: true });
      this.#openLater();
    }
  }

  async #makeClient() {
    const client = await this.#make();
    if (!this.#isOurs) return client;
    return likeIoredis(client, async () => {
      const bus = this.#bus;
      const subscriber = await this.#makeClient();
      if (!isLasting(subscriber)) this.#watchEnd(subscriber, bus); // the bus sees to others
      return subscriber;
    });
  }

  #openLater() {
    this.#retry = setTimeout(() => {
      this.emit('reconnecting', { attempt: 1, delayMs: kRetryMs });
      this.#open();
    }, kRetryMs);
  }

  #use(client) {
    const bus = new ClientBus(client);
    this.#client = client;
    this.#bus = bus;
    for (const event of kForwarded) bus.on(event, (...args) => this.#bus === bus && this.emit(event, ...args));
    bus.on('connect', () => {
      this.emit('connect');
      this.#drain();
    });
    if (this.#isOurs) this.#watchEnd(client, bus);
    if (bus.connected) queueMicrotask(() => this.#drain());
    this.#subscribe();
  }

  #watchEnd(client, bus) {
    for (const event of isLasting(client) ? ['end'] : ['end', 'close']) client.on?.(event, () => this.#replace(bus));
  }

  // It will not connect again by itself.
  #replace(bus) {
    if (this.#isClosed || this.#bus !== bus) return;
    this.emit('disconnect', new Error('the connection to Redis was lost'), { willReconnect: true });
    this.#bus = undefined;
    if (this.#subscription?.state === 'active') this.#subscription.state = 'lost';
    bus.close();
    this.#end(this.#client);
    this.#client = undefined;
    this.#openLater();
  }

  #subscribe() {
    const [bus, subscription] = [this.#bus, this.#subscription];
    if (bus === undefined || subscription === undefined) return;
    const inner = bus.subscribe(subscription.channel, subscription.handler);
    for (const event of ['active', 'lost', 'resumed', 'failed', 'gap']) {
      inner.on(event, (...args) => {
        if (this.#bus !== bus) return;
        if (event === 'active' && subscription.state === 'lost') subscription.emit('gap', { reason: 'reconnect', count: null });
        subscription.state = inner.state;
        if (event === 'failed') this.#isHopeless = args[0]?.retryable === false;
        subscription.emit(event, ...args);
        this.#drain();
      });
    }
  }

  #send(channel, payload) {
    const sent = Promise.resolve(this.#bus.publish(channel, payload));
    this.#sent.add(sent);
    const forget = () => this.#sent.delete(sent);
    sent.then(forget, forget);
    return sent;
  }

  #drain() {
    if (this.#isClosed || !this.#isReady) return;
    for (const { channel, payload, resolve } of this.#take(this.#waiting.length)) resolve(this.#send(channel, payload));
  }

  #take(count) {
    const taken = this.#waiting.splice(0, count);
    for (const { payload } of taken) this.#waitingBytes -= Buffer.byteLength(payload);
    if (this.#waiting.length === 0) {
      clearTimeout(this.#expiry);
      this.#expiry = undefined;
    }
    return taken;
  }

  #expireLater() {
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#expiry = setTimeout(() => {
      const now = Date.now();
      const fresh = this.#waiting.findIndex(({ deadline }) => deadline > now);
      const late = this.#take(fresh < 0 ? this.#waiting.length : fresh);
      for (const { reject } of late) reject(failure('TIMEOUT', 'it could not be sent in time'));
      this.#expireLater();
    }, Math.max(next.deadline - Date.now(), 1));
  }

  // quit() waits for its turn, which comes only while there is a connection.
  #end(client) {
    if (!this.#isOurs || client === undefined) return;
    const isReady = (client.status ?? 'ready') === 'ready';
    const end = (isReady && client.quit) || client.destroy || client.disconnect || client.close || client.quit;
    Promise.resolve()
      .then(() => end?.call(client))
      .catch(() => {}); // it has ended by itself
  }
}

// What the original wants of a client is on(), publish(), subscribe() and quit().
function likeIoredis(client, duplicate) {
  const added = { duplicate };
  if (typeof client.pSubscribe !== 'function' && typeof client.psubscribe !== 'function') added.psubscribe = () => {};
  return new Proxy(client, {
    get(target, property) {
      if (Object.hasOwn(added, property)) return added[property];
      const value = target[property];
      if (property === 'status') return value ?? 'ready';
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

// Whether it connects again by itself after 'close': ioredis's do, and say where they stand.
const isLasting = (client) => 'status' in client;

/** A bus over the clients of `factory`, which are ioredis's, or like them: one publishes and one subscribes. */
const factoryBus = (factory, redisUrl, timeoutMs) =>
  new QueueingBus({ make: () => factory.make(redisUrl), isOurs: true, timeoutMs });

/** A bus over a client that was passed in. */
const clientBus = (client, timeoutMs) =>
  new QueueingBus({ make: () => client, isOurs: false, timeoutMs });

module.exports = { clientBus, factoryBus };
