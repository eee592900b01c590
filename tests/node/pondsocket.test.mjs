// fanwire/pondsocket: topics, patterns and bytes, and messages of version 1.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  createRedisPubSub, DistributedMessageType, formatChannelTopic, formatHeartbeatTopic, formatTopic, matchTopic, PondError,
  PubSubClosedError, RedisDistributedBackend, RedisPubSub,
} from 'fanwire/pondsocket';

import { makers } from './fixtures/clients.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

async function using(options, body) {
  const pubsub = createRedisPubSub(server.url, options);
  try {
    await body(pubsub);
  } finally {
    await pubsub.close();
  }
}

async function usingBackends(options, body) {
  const errors = [];
  const make = () => new RedisDistributedBackend({ url: server.url, onError: (error) => errors.push(error.message), ...options });
  const both = [make(), make()];
  try {
    await Promise.all(both.map((one) => one.initialize()));
    await body(...both, errors);
  } finally {
    await Promise.all(both.map((one) => one.cleanup()));
  }
}

const nothing = () => {};
const closed = { name: 'PubSubClosedError', message: 'pubsub: closed' };

test('topics and patterns', () => {
  assert.equal(formatTopic('api', 'chat-room-123', 'message'), 'pondsocket:api:chat-room-123:message');
  assert.equal(formatTopic('api', 'lobby', 'presence:join'), 'pondsocket:api:lobby:presence:join');
  assert.equal(formatChannelTopic('/api/socket', '/chat/1'), 'pondsocket:v1:default:api/socket:/chat/1');
  assert.equal(formatChannelTopic('api', 'c', { namespace: 'n', prefix: 'p' }), 'p:v1:n:api:c');
  assert.equal(formatHeartbeatTopic({ namespace: 'n' }), 'pondsocket:v1:n:__heartbeat__');
  const cases = [
    ['a', 'a', true], ['a', 'ab', false], ['a.*', 'a', true], ['a.*', 'ab', true], ['a.*', 'a.*', true], ['a.*', 'b', false],
    ['a:.*', 'a:b', true], ['a:.*', 'ab', false], ['.*', 'a', false], ['.*', '.*', true], ['..*', '.x', true], ['a*', 'ab', false],
    ['a.*b', 'axb', false], ['a?.*', 'ab', false], ['a?.*', 'a?b', true], ['', 'a', false],
  ];
  for (const [pattern, topic, expected] of cases) assert.equal(matchTopic(pattern, topic), expected, `${pattern} ${topic}`);
});

test('what a pattern gets from Redis is what matchTopic() says', () =>
  using({}, async (pubsub) => {
    const patterns = [
      'a', 'a.*', 'ab.*', 'a*.*', 'a?.*', '[ab].*', 'a\\.*', 'a[b.*', 'a^.*', '.*', 'é.*', 'a*', 'a?', '[ab]', 'a\\', 'a.*.*', 'a-b.*', '..*',
    ];
    const topics = [
      'a', 'ab', 'abc', 'a*x', 'a?x', 'ax', '[ab]x', 'bx', 'a\\x', 'a[bx', 'a^x', '.*', 'éx', 'é', 'a*', 'a?', '[ab]', 'a\\', 'a.*x', 'a-bx',
      '.x', 'x',
    ];
    const seen = [];
    for (const pattern of patterns) await pubsub.subscribe(pattern, (topic) => seen.push(`${pattern} ${topic}`));
    for (const topic of topics) assert.equal(await pubsub.publish(topic, ''), undefined);
    await pubsub.subscribe('end', () => seen.push('end'));
    await pubsub.publish('end', '');
    await until(() => seen.includes('end'));
    const expected = patterns.flatMap((pattern) => topics.filter((topic) => matchTopic(pattern, topic)).map((topic) => `${pattern} ${topic}`));
    assert.deepEqual(seen.filter((one) => one !== 'end').sort(), expected.sort());
  }));

test('within one process it needs no Redis', async () => {
  const [one, other] = [new RedisPubSub('memory://pond'), new RedisPubSub({ url: 'memory://pond' })];
  const seen = [];
  await one.subscribe('a*.*', (topic, data) => seen.push([topic, ...data]));
  for (const topic of ['ab', 'a*', 'a*b']) await other.publish(topic, new Uint8Array([0, 1]));
  await until(() => seen.length === 2);
  assert.deepEqual(seen, [['a*', 0, 1], ['a*b', 0, 1]]);
  await Promise.all([one.close(), other.close()]);
});

test('any bytes arrive, also none', () =>
  using({}, async (pubsub) => {
    const seen = [];
    await pubsub.subscribe('b.*', (topic, data) => {
      assert.ok(Buffer.isBuffer(data));
      seen.push([topic, ...data]);
    });
    const bytes = new Uint8Array([0, 255, 10, 128]);
    const shared = new SharedArrayBuffer(1);
    const values = [
      [bytes, ...bytes], [bytes.buffer, ...bytes], [new DataView(bytes.buffer, 1, 2), 255, 10], [new Uint16Array([7]), 7, 0],
      [shared, 0], [Buffer.alloc(0)], [''], ['é\0', 0xc3, 0xa9, 0],
    ];
    for (const [value] of values) await pubsub.publish('b:1', value);
    await until(() => seen.length === values.length);
    assert.deepEqual(seen, values.map(([, ...expected]) => ['b:1', ...expected]));
    for (const wrong of [undefined, null, 1, {}, [1]]) await assert.rejects(pubsub.publish('b', wrong), TypeError);
    await assert.rejects(pubsub.publish(1, 'x'), TypeError);
  }));

test('handlers of a pattern come and go one by one', () =>
  using({}, async (pubsub) => {
    const seen = [];
    const handlers = ['x', 'y'].map((name) => () => seen.push(name));
    const [offX] = await Promise.all([...handlers, handlers[0]].map((handler) => pubsub.subscribe('a.*', handler)));
    const flush = async () => {
      await pubsub.publish('a', '');
      await pubsub.publish('end', '');
      await until(() => seen.at(-1) === 'end');
      return seen.splice(0).join(' ');
    };
    await pubsub.subscribe('end', () => seen.push('end'));
    assert.equal(await flush(), 'x y x end');
    offX();
    offX();
    assert.equal(await flush(), 'y x end');
    await pubsub.unsubscribe('a.*', handlers[1]);
    assert.equal(await flush(), 'x end');
    const missing = { name: 'PondError', code: 404, message: 'Error in Channel pubsub: pattern not found (code: 404)' };
    await assert.rejects(pubsub.unsubscribe('a.*', handlers[1]), missing);
    await pubsub.unsubscribe('a.*');
    assert.equal(await flush(), 'end');
    for (const pattern of ['a.*', 'a', 'never']) await assert.rejects(pubsub.unsubscribe(pattern), missing);
    for (let i = 0; i < 5; ++i) {
      void pubsub.subscribe('a.*', handlers[0]);
      void pubsub.unsubscribe('a.*');
    }
    await pubsub.subscribe('a.*', handlers[0]);
    assert.equal(await flush(), 'x end');
    for (const [pattern, handler] of [['a'], ['a', 1], ['', nothing], [1, nothing]]) {
      await assert.rejects(pubsub.subscribe(pattern, handler), TypeError);
    }
  }));

test('handlers that fail, or wait for an answer over the same bus, hold up nobody', () => {
  const errors = [];
  const onError = (error) => {
    errors.push(error.message);
    throw new Error('of the hook');
  };
  return using({ onError }, async (pubsub) => {
    const seen = [];
    await pubsub.subscribe('a.*', () => {
      throw new Error('of a handler');
    });
    await pubsub.subscribe('a.*', () => Promise.reject(new Error('later')));
    await pubsub.subscribe('a.*', async (topic, data) => {
      const answer = new Promise((resolve) => (seen.resolve = resolve));
      await pubsub.publish('replies', data);
      seen.push(String(await answer));
    });
    await pubsub.subscribe('replies', (_topic, data) => seen.resolve(data));
    await pubsub.publish('a', '1');
    await until(() => seen.length === 1 && errors.length === 2);
    assert.deepEqual([...seen], ['1']);
    assert.deepEqual(errors, ['of a handler', 'later']);
  });
});

test('it opens nothing before it is used, and closes for good', async () => {
  const idle = new RedisPubSub('redis://no.such.host.invalid:1');
  await Promise.all([idle.close(), idle.close()]);
  await using({}, async (pubsub) => {
    const seen = [];
    await pubsub.subscribe('a.*', () => seen.push('a'));
    const pending = pubsub.subscribe('b', nothing);
    const closing = pubsub.close();
    await assert.rejects(pending, closed);
    await assert.rejects(pubsub.publish('a', ''), (error) => error instanceof PubSubClosedError);
    await assert.rejects(pubsub.subscribe('a', nothing), closed);
    await assert.rejects(pubsub.unsubscribe('a.*'), closed);
    await closing;
    await pubsub.close();
    const redis = await RespClient.connect(server.port);
    await until(async () => String(await redis.command('CLIENT', 'LIST')).trim().split('\n').length === 1);
    redis.close();
  });
});

test('while Redis is away calls reject, and what was subscribed comes back', async () => {
  const own = await RedisServer.start();
  const errors = [];
  const pubsub = createRedisPubSub({ host: '127.0.0.1', port: own.port, onError: (error) => errors.push(error) });
  try {
    const seen = [];
    await pubsub.subscribe('a.*', (_topic, data) => seen.push(String(data)));
    await own.kill();
    await assert.rejects(async () => {
      for (;;) await pubsub.publish('a', 'lost');
    }, (error) => error instanceof PondError && error.code === 503 && error.temporary && error.cause !== undefined);
    await assert.rejects(pubsub.subscribe('b', () => seen.push('b')), { name: 'PondError', code: 503 });
    await assert.rejects(pubsub.unsubscribe('b'), { code: 404 }); // it is not subscribed
    assert.ok(errors.length > 0 && errors.every((error) => error instanceof Error));
    await own.restart();
    await until(() => pubsub.publish('a', 'again').then(() => seen.includes('again'), () => false));
    await pubsub.subscribe('b', () => seen.push('b'));
    await pubsub.publish('b', '');
    await until(() => seen.includes('b'));
    assert.deepEqual(seen.filter((one) => one === 'b' || one === 'lost'), ['b']);
  } finally {
    await pubsub.close();
    await own.stop();
  }
});

for (const kind of ['redis', 'redis-5', 'redis-6', 'ioredis', 'ioredis-6']) {
  test(`closing within a handler, with a client that is passed in: ${kind}`, async () => {
    const client = await makers[kind](server.url);
    const pubsub = new RedisPubSub(client);
    const seen = [];
    const off = await pubsub.subscribe('a.*', async () => {
      off();
      await pubsub.close();
      seen.push(await client.publish('nobody', ''));
    });
    await pubsub.subscribe('a', nothing);
    await pubsub.publish('a', '');
    await until(() => seen.length === 1);
    assert.deepEqual(seen, [0]);
    await client.quit();
  });
}

test('arguments that cannot be', async () => {
  const bad = new RedisPubSub({ host: 'x', port: 99999 });
  await assert.rejects(bad.publish('a', ''), { name: 'PondError', code: 503, temporary: false, message: /port must be/ });
  await assert.rejects(bad.subscribe('a', nothing), { code: 503, message: /failed to subscribe to pattern a: port must be/ });
  await bad.close();
  for (const client of [1, {}, 'redis://localhost', null]) assert.throws(() => new RedisPubSub({ client }), TypeError);
  const client = { publish: nothing, psubscribe: nothing, pSubscribe: nothing, duplicate: nothing };
  assert.throws(() => new RedisPubSub({ client, host: 'x' }), /the option host is a setting, and what connects was passed in/);
});

const message = (type, more) => ({ type, endpointName: '/api', channelName: '/chat/1', ...more });

test('messages of version 1 go from node to node', () =>
  usingBackends({ namespace: 'n', keyPrefix: 'p' }, async (a, b) => {
    const seen = [];
    assert.notEqual(a.nodeId, b.nodeId);
    assert.deepEqual([a.heartbeatTimeoutMs, Object.keys(DistributedMessageType).length], [90_000, 13]);
    await a.subscribeToChannel('/api', '/chat/1', () => seen.push('its own'));
    const off = await b.subscribeToChannel('/api', '/chat/1', (one) => seen.push(one));
    await b.subscribeToChannel('api', '/chat/1', (one) => seen.push(one));
    const redis = await RespClient.connect(server.port);
    await redis.command('SUBSCRIBE', 'p:v1:n:api:/chat/1');
    const sent = message('USER_MESSAGE', { payload: { text: 'N\0UL é' }, recipientDescriptor: ['u'], messageId: 'm', timestamp: 5 });
    assert.equal(await a.broadcast('/api', '/chat/1', sent), undefined);
    const wire = JSON.parse((await redis.reply())[2]);
    const whole = { ...sent, protocol: 'pondsocket.distributed', version: 1, sourceNodeId: a.nodeId, endpointName: 'api' };
    assert.deepEqual(wire, whole);
    await until(() => seen.length === 2);
    assert.deepEqual(seen.splice(0), [whole, whole]);
    off();
    off();
    await a.broadcast('/api', '/chat/1', message('USER_LEFT', { userId: 'u' }));
    await until(() => seen.length === 1);
    const [{ messageId, timestamp, ...rest }] = seen;
    assert.deepEqual([typeof messageId, typeof timestamp, rest.userId, rest.type], ['string', 'number', 'u', 'USER_LEFT']);
    redis.close();
  }));

test('garbage on a channel is nobody\'s message', () =>
  usingBackends({}, async (a, b, errors) => {
    const seen = [];
    await b.subscribeToChannel('api', 'c', (one) => seen.push(one));
    await b.subscribeToChannel('api', 'c', () => {
      throw new Error('of a handler');
    });
    const redis = await RespClient.connect(server.port);
    const good = {
      protocol: 'pondsocket.distributed', version: 1, type: 'USER_LEFT', messageId: 'm', sourceNodeId: 's', endpointName: 'api',
      channelName: 'c', timestamp: 1,
    };
    const bad = [
      '', '{', 'null', '1', '[]', Buffer.from([255, 0]), ...Object.keys(good).map((key) => JSON.stringify({ ...good, [key]: undefined })),
      ...[{ type: 'toString' }, { type: 'NONE' }, { version: 2 }, { timestamp: '1' }, { sourceNodeId: 1 }, { sourceNodeId: b.nodeId }]
        .map((change) => JSON.stringify({ ...good, ...change })),
    ];
    const evil = JSON.stringify({ ...good, payload: 1 }).replace('"payload":1', '"payload":{"__proto__":{"x":1},"y":2}');
    for (const payload of [...bad, evil]) await redis.command('PUBLISH', 'pondsocket:v1:default:api:c', payload);
    await until(() => seen.length > 0 && errors.length > 0);
    assert.deepEqual(seen, [{ ...good, payload: { y: 2 } }]);
    assert.equal(Object.hasOwn(seen[0].payload, '__proto__'), false);
    assert.deepEqual(errors, ['Failed to handle message: of a handler']);
    redis.close();
  }));

test('heartbeats tell the others that a node lives', () =>
  usingBackends({ heartbeatIntervalMs: 5, heartbeatTimeoutMs: 15 }, async (a, b, errors) => {
    const seen = [];
    b.subscribeToHeartbeats(() => {
      throw new Error('of a handler');
    });
    const off = b.subscribeToHeartbeats((nodeId) => seen.push(nodeId));
    await until(() => seen.length >= 3);
    off();
    const { length } = seen;
    await until(() => errors.length >= length + 2);
    assert.equal(seen.length, length);
    assert.deepEqual([...new Set(seen)], [a.nodeId]);
    assert.equal(b.heartbeatTimeoutMs, 15);
    const redis = await RespClient.connect(server.port);
    await redis.command('SUBSCRIBE', 'pondsocket:v1:default:__heartbeat__');
    const { protocol, version, type, sourceNodeId, nodeId, endpointName, channelName } = JSON.parse((await redis.reply())[2]);
    const name = '__heartbeat__';
    assert.deepEqual([protocol, version, type, endpointName, channelName], ['pondsocket.distributed', 1, 'NODE_HEARTBEAT', name, name]);
    assert.ok(sourceNodeId === nodeId && [a.nodeId, b.nodeId].includes(nodeId));
    redis.close();
  }));

test('a backend waits for its Redis, and says why it cannot be', async () => {
  const port = await freePort();
  const errors = [];
  const backend = new RedisDistributedBackend({ host: '127.0.0.1', port, onError: (error) => errors.push(error.message) });
  const ready = backend.initialize();
  await until(() => errors.length >= 2);
  assert.deepEqual(errors.slice(0, 2).map((text) => text.split(': ')[0]), ['Redis publish client error', 'Redis subscribe client error']);
  await assert.rejects(backend.broadcast('e', 'c', message('USER_LEFT')), { message: 'Redis backend is not connected' });
  const late = await RedisServer.start('--port', String(port)); // the last one counts
  try {
    assert.equal(await ready, undefined);
    await backend.initialize();
    await backend.broadcast('e', 'c', message('USER_LEFT'));
    const wrong = new RedisDistributedBackend({ host: '127.0.0.1', port, username: 'nobody', password: 'wrong' });
    for (const _ of [1, 2]) await assert.rejects(wrong.initialize(), { code: 'AUTH_FAILED' });
    await wrong.cleanup();
  } finally {
    await late.stop();
  }
  const pending = backend.subscribeToChannel('e', 'c', nothing).catch((error) => error);
  await Promise.all([backend.cleanup(), backend.cleanup()]);
  assert.ok((await pending) instanceof PubSubClosedError);
  await assert.rejects(backend.broadcast('e', 'c', message('USER_LEFT')), { message: 'Redis backend is not connected' });
  await assert.rejects(new RedisDistributedBackend({ port: 99999 }).initialize(), /port must be/);
});

test("over a client of text alone, as Bun's is: bytes that it damages are an error, and text arrives", async () => {
  const listeners = new Map();
  const fake = {
    connected: true,
    async connect() {},
    duplicate: async () => ({ ...fake }),
    close() {},
    psubscribe() {},
    subscribe: async (name, listener) => listeners.set(name, listener),
    unsubscribe: async (name) => listeners.delete(name),
    publish: async (channel, payload) => listeners.get(channel)(String(payload), channel),
    send: async (_command, [channel, payload]) => fake.publish(channel, payload),
  };
  const real = globalThis.Bun && new globalThis.Bun.RedisClient(server.url);
  for (const client of real ? [fake, real] : [fake]) {
    const errors = [];
    const got = [];
    const pubsub = new RedisPubSub({ client, onError: (error) => errors.push(error) });
    await pubsub.subscribe('text.only', (_topic, data) => got.push(String(data)));
    await pubsub.publish('text.only', Buffer.from([97, 255, 0]));
    await pubsub.publish('text.only', Buffer.from('é\0'));
    await until(() => got.length > 0 && errors.length > 0);
    assert.deepEqual(got, ['é\0']);
    assert.match(errors[0].message, /^a message of text\.only has bytes that are no text, and the client /);
    assert.equal(errors[0].code, 'CLIENT_LACKS');
    await pubsub.close();
  }
  real?.close();
});
