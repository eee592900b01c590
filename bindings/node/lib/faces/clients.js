'use strict';
// How the clients differ that an application may pass in: node-redis, ioredis and Bun's RedisClient, and the clients of
// clusters of the first two. Subscriptions are of a kind: to a channel, a pattern, or a channel of a shard.

const kChannel = '';
const kPattern = 'p';
const kShard = 's';

/** What a client lacks, which trying again does not mend. */
const missing = (text) => Object.assign(new Error(text), { code: 'CLIENT_LACKS', retryable: false });

const isNodeRedis = (client) => typeof client?.pSubscribe === 'function';
const isLikeIoredis = (client) => !isNodeRedis(client) && typeof client?.psubscribe === 'function';

/** Whether it is one that publishes and can be duplicated. */
const isClient = (value) => (isNodeRedis(value) || isLikeIoredis(value)) && typeof value.duplicate === 'function';

/** `binary`: messages arrive as Buffers where the client can do that. */
function dialectOf(client, binary) {
  if (isLikeIoredis(client)) return typeof client.on === 'function' ? ioredis(binary) : bun();
  return nodeRedis(binary);
}

const end = (client) => {
  const close = client.destroy ?? client.disconnect ?? client.close ?? client.quit;
  return close?.call(client);
};

// sSubscribe of a client of redis.
const camelCase = (kind, name) => (kind === kChannel ? name : kind + name[0].toUpperCase() + name.slice(1));
const sum = (answers) => answers.reduce((total, [, count]) => total + Number(count), 0);

const nodeRedis = (binary) => ({
  resubscribes: true,
  hasGivenUp: (client) => client.isOpen === false,
  isReady: (client) => client.isReady ?? client.isOpen ?? true,
  connect: (client) => (client.isOpen ? undefined : client.connect?.()),
  listen() {},
  subscribe(client, { kind, name }, deliver) {
    const listener = (message, channel) => deliver(String(channel ?? name), message);
    const args = binary ? [name, listener, true] : [name, listener];
    return client[camelCase(kind, 'subscribe')](...args);
  },
  unsubscribe: (client, { kind, name }) => client[camelCase(kind, 'unsubscribe')](name),
  publish: (client, kind, channel, payload) => client[camelCase(kind, 'publish')](channel, payload),
  async numsub(client, command, channel) {
    const count = (each) => each.sendCommand(['PUBSUB', command, channel]);
    if (!Array.isArray(client.masters)) return sum([await count(client)]);
    return sum(await Promise.all(client.masters.map(async (master) => count(await client.nodeClient(master)))));
  },
});

const ioredis = (binary) => ({
  isLazy: true, // its first command would connect it
  hasGivenUp: (client) => client.status === 'end',
  isReady: (client) => client.status === 'ready',
  connect: (client) =>
    client.status === 'ready' ? undefined
    : client.status === 'wait' || client.status === 'end' ? client.connect()
    : firstOf(client, 'ready', 'error'),
  listen(client, deliver) {
    const suffix = binary ? 'Buffer' : '';
    const listen = (kind) => (channel, message) => deliver(kind, String(channel), String(channel), message);
    client.on(`message${suffix}`, listen(kChannel));
    client.on(`smessage${suffix}`, listen(kShard));
    client.on(`pmessage${suffix}`, (pattern, channel, message) => deliver(kPattern, String(pattern), String(channel), message));
  },
  subscribe: (client, { kind, name }) => client[`${kind}subscribe`](name),
  unsubscribe: (client, { kind, name }) => client[`${kind}unsubscribe`](name),
  publish: (client, kind, channel, payload) => client[`${kind}publish`](channel, payload),
  async numsub(client, command, channel) {
    const nodes = typeof client.nodes === 'function' ? client.nodes('master') : [client];
    return sum(await Promise.all(nodes.map((node) => node.call('PUBSUB', command, channel))));
  },
});

// It gives messages as text only, and publishes text only, but for commands that are sent as they are.
const bun = () => ({
  isText: true,
  isLazy: true,
  lacks: (kind) =>
    kind === kPattern ? "Bun's RedisClient has no subscriptions to patterns"
    : kind === kShard ? "Bun's RedisClient has no sharded pub/sub"
    : undefined,
  isReady: (client) => client.connected,
  connect: (client) => (client.connected ? undefined : client.connect()),
  listen() {},
  async subscribe(client, { name, isAgain }, deliver) {
    if (isAgain) await client.unsubscribe(name); // the listener of before is still there
    return client.subscribe(name, (message, channel) => deliver(String(channel ?? name), message));
  },
  unsubscribe: (client, { name }) => client.unsubscribe(name),
  publish: (client, _kind, channel, payload) =>
    typeof payload === 'string' ? client.publish(channel, payload) : client.send('PUBLISH', [channel, payload]),
  numsub: async (client, command, channel) => sum([await client.send('PUBSUB', [command, channel])]),
});

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

module.exports = { kChannel, kPattern, kShard, dialectOf, isClient, missing, end };
