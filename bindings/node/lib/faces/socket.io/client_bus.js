'use strict';
// A client of the application's (ioredis, node-redis), which is never closed, and a duplicate of it that subscribes, with
// as much of a bus's interface as an adapter uses. It is what the sharded wire goes over, because a bus speaks no sharded
// pub/sub.

const { EventEmitter } = require('node:events');

const isIoredis = (client) => typeof client?.psubscribe === 'function' && typeof client.duplicate === 'function';
const isNodeRedis = (client) => typeof client?.pSubscribe === 'function' && typeof client.duplicate === 'function';

// By what a client calls its commands: subscribe and unsubscribe of a channel, a pattern, and a channel of a shard.
const ioredis = {
  isReady: (client) => client.status === 'ready',
  connect: (client) => (['wait', 'end'].includes(client.status) ? client.connect() : undefined),
  listen(client, deliver) {
    client.on('messageBuffer', (channel, data) => deliver(String(channel), String(channel), data));
    client.on('smessageBuffer', (channel, data) => deliver(String(channel), String(channel), data));
    client.on('pmessageBuffer', (pattern, channel, data) => deliver(String(pattern), String(channel), data));
  },
  subscribe: (client, kind, name) => client[`${kind}subscribe`](name),
  unsubscribe: (client, kind, name) => client[`${kind}unsubscribe`](name),
  publish: (client, kind, channel, body) => client[`${kind}publish`](channel, body),
  numsub: (client, command, channel) => client.call('PUBSUB', command, channel),
  end: (client) => client.disconnect(),
};

const nodeRedisName = (kind, name) => (kind === '' ? name : kind + name[0].toUpperCase() + name.slice(1));

const nodeRedis = {
  isReady: (client) => client.isReady,
  connect: (client) => (client.isOpen ? undefined : client.connect()),
  listen() {},
  subscribe: (client, kind, name, deliver) =>
    client[nodeRedisName(kind, 'subscribe')](name, (data, channel) => deliver(name, String(channel), data), true),
  unsubscribe: (client, kind, name) => client[nodeRedisName(kind, 'unsubscribe')](name),
  publish: (client, kind, channel, body) => client[nodeRedisName(kind, 'publish')](channel, body),
  numsub: (client, command, channel) => client.sendCommand(['PUBSUB', command, channel]),
  end: (client) => (client.destroy ?? client.disconnect).call(client),
};

class ClientMessage {
  constructor(channel, data) {
    this.channel = channel;
    this.data = data;
  }

  get text() {
    return this.data.toString();
  }
}

class ClientSubscription extends EventEmitter {
  #bus;

  constructor(bus, kind, name, deliver) {
    super();
    this.#bus = bus;
    Object.assign(this, { kind, name, deliver, state: 'pending' });
    this.ready = new Promise((resolve) => {
      for (const event of ['active', 'failed', 'ended']) this.once(event, resolve);
    });
  }

  become(event, detail) {
    this.state = event;
    this.emit(event, detail);
  }

  endQuietly() {
    if (this.state === 'ended') return;
    this.become('ended');
    this.#bus.forget(this);
  }
}

/** `isSharded`: channels are those of shards. */
class ClientBus extends EventEmitter {
  #client;
  #subscriber;
  #dialect;
  #kind;
  #wanted = new Map(); // name -> ClientSubscription
  #last = Promise.resolve(); // of the commands that subscribe, one after another
  #wasLost = false;
  #onError = () => {};

  constructor(client, isSharded) {
    super();
    this.#client = client;
    this.#dialect = isNodeRedis(client) ? nodeRedis : ioredis;
    this.#kind = isSharded ? 's' : '';
    client.on('error', this.#onError); // it connects again by itself
    this.#subscriber = client.duplicate();
    this.#subscriber.on('error', () => this.#lose());
    for (const event of ['close', 'reconnecting', 'end']) this.#subscriber.on(event, () => this.#lose());
    this.#subscriber.on('ready', () => this.#resume());
    this.#dialect.listen(this.#subscriber, (...message) => this.#deliver(...message));
    this.#next(() => this.#dialect.connect(this.#subscriber));
  }

  get connected() {
    return Boolean(this.#dialect.isReady(this.#client));
  }

  subscribe(name, deliver) {
    return this.#want(this.#kind, name, deliver);
  }

  psubscribe(pattern, deliver) {
    return this.#want('p', pattern, deliver);
  }

  /** Throws while the client is not connected: it would keep the message for later. */
  publishNoWait(channel, body) {
    if (!this.connected) {
      const error = new Error('the client is not connected to Redis');
      throw Object.assign(error, { code: 'NOT_CONNECTED', retryable: true });
    }
    this.#dialect.publish(this.#client, this.#kind, channel, body).catch(() => {}); // lost with its connection
  }

  async numsub([channel]) {
    const command = this.#kind === 's' ? 'SHARDNUMSUB' : 'NUMSUB';
    const [, count] = await this.#dialect.numsub(this.#client, command, channel);
    return [Number(count)];
  }

  forget({ name, kind }) {
    this.#wanted.delete(name);
    this.#next(() => this.#wanted.has(name) || this.#dialect.unsubscribe(this.#subscriber, kind, name));
  }

  /** Ends the duplicate. */
  async close() {
    this.#client.off('error', this.#onError);
    this.#wanted.clear();
    await this.#dialect.end(this.#subscriber);
  }

  // A name that is wanted again while it is being given up is subscribed afterwards.
  #want(kind, name, deliver) {
    const subscription = new ClientSubscription(this, kind, name, deliver);
    this.#wanted.set(name, subscription);
    this.#subscribe(subscription);
    return subscription;
  }

  #subscribe(subscription) {
    const { kind, name } = subscription;
    this.#next(async () => {
      if (this.#wanted.get(name) !== subscription) return;
      try {
        await this.#dialect.subscribe(this.#subscriber, kind, name, (...message) => this.#deliver(...message));
        if (subscription.state !== 'ended') subscription.become('active');
      } catch (error) {
        if (subscription.state !== 'ended') subscription.become('failed', error);
      }
    });
  }

  #next(command) {
    this.#last = this.#last.then(command).catch(() => {});
  }

  #deliver(name, channel, data) {
    this.#wanted.get(name)?.deliver(new ClientMessage(channel, data));
  }

  #lose() {
    if (this.#wasLost) return;
    this.#wasLost = true;
    const error = new Error('the client lost its connection to Redis');
    for (const subscription of this.#wanted.values()) {
      if (subscription.state === 'active') subscription.become('lost', error);
    }
  }

  // The clients subscribe again by themselves, before or after they say that they are ready.
  #resume() {
    if (!this.#wasLost) return;
    this.#wasLost = false;
    for (const subscription of this.#wanted.values()) {
      if (subscription.state === 'failed') this.#subscribe(subscription);
      if (subscription.state !== 'lost') continue;
      subscription.emit('gap', { reason: 'reconnect', count: null });
      subscription.become('active');
      subscription.emit('resumed');
    }
  }
}

module.exports = { ClientBus, isClient: (value) => isIoredis(value) || isNodeRedis(value) };
