// fanwire/ws-kit: what @ws-kit/redis-pubsub 1.0 does, and what it gets wrong.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  createRedisPubSub, DisconnectedError, MaxSubscriptionsExceededError, PubSubError, RedisPubSub, SerializationError,
  SubscribeError,
} from 'fanwire/ws-kit';
import * as ours from 'fanwire/ws-kit';
import * as theirs from '@ws-kit/redis-pubsub';

import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

async function using(options, body) {
  const pubsub = createRedisPubSub({ url: server.url, ...options });
  try {
    await body(pubsub);
  } finally {
    await pubsub.close();
  }
}

const nothing = () => {};

test('wrong options are TypeErrors, the same as the original has', () => {
  const wrong = [
    { host: 'x' }, { port: 1 }, { password: 'x' }, { db: 1 }, { tls: true }, { maxReconnectDelay: 1 }, { onConnect: nothing },
    { url: 'redis://x', client: {} }, { namespace: '*' }, { namespace: ':x' }, { namespace: 'ä' },
  ];
  for (const options of wrong) {
    let text;
    assert.throws(() => theirs.createRedisPubSub(options), (error) => (text = error.message) !== '' && error instanceof TypeError);
    assert.throws(() => createRedisPubSub(options), { name: 'TypeError', message: text });
  }
  assert.throws(() => createRedisPubSub({ serializer: 'xml' }), TypeError);
});

test('it opens nothing, and gives the options back', () => {
  const options = { url: 'redis://no.such.host:99999', namespace: ' app:_ ', logger: {}, serializer: { encode: String, decode: String } };
  const pubsub = new RedisPubSub(options);
  assert.equal(pubsub.isConnected(), false);
  assert.equal(pubsub.options, options);
  assert.deepEqual(pubsub.status(), { connected: false, channels: { exact: [], patterns: [] }, inflightPublishes: 0 });
});

test('the errors have the fields of the original', () => {
  for (const name of Object.keys(theirs).filter((one) => one.endsWith('Error'))) {
    for (const args of [['x'], ['x', name.startsWith('Max') ? 3 : { cause: 1, channel: 'c', retryable: true }]]) {
      const [here, there] = [null, null].map((_, i) => new (i === 0 ? ours[name] : theirs[name])(...args));
      assert.ok(here instanceof ours.PubSubError && here instanceof Error);
      for (const field of ['name', 'code', 'message', 'retryable', 'cause', 'channel', 'limit']) {
        assert.deepEqual(here[field], there[field], `${name}.${field}`);
      }
    }
  }
});

test('an address that cannot be: errors come at the first use', async () => {
  for (const url of ['redis://127.0.0.1:99999', 'redis://no.such.host.invalid', `redis://127.0.0.1:${await freePort()}`]) {
    await using({ url }, async (pubsub) => {
      const errors = [];
      pubsub.on('error', (error) => errors.push(error));
      const sub = pubsub.subscribe('c', nothing);
      assert.equal(pubsub.isSubscribed('c'), true);
      await assert.rejects(sub.ready, SubscribeError);
      await assert.rejects(pubsub.publish('c', 1), PubSubError);
      assert.ok(errors[0] instanceof PubSubError);
      assert.equal(typeof pubsub.status().lastError.message, 'string');
    });
  }
});

test('channels, patterns and what status() says of them', () =>
  using({ namespace: 'app:' }, async (pubsub) => {
    const seen = [];
    const sub = pubsub.subscribe('room', (message, meta) => seen.push(['room', message, meta]));
    const pattern = pubsub.psubscribe('ro*', (message, meta) => seen.push(['ro*', message, meta]));
    assert.equal(sub.channel, 'room');
    assert.ok(sub.ready instanceof Promise);
    assert.deepEqual(pubsub.status().channels, { exact: ['room'], patterns: ['ro*'] });
    assert.equal(pubsub.isSubscribed('room') && !pubsub.isSubscribed('ro*'), true);
    let connected = false;
    pubsub.on('connect', () => (connected = true));
    assert.equal(await sub.ready, undefined);
    await pattern.ready;
    assert.ok(connected && pubsub.status().connected);
    assert.equal(await pubsub.publish('room', { n: '\0' }), undefined);
    await until(() => seen.length === 2);
    assert.deepEqual(seen.sort(), [['ro*', { n: '\0' }, { channel: 'room' }], ['room', { n: '\0' }, { channel: 'room' }]]);
    for (const call of ['publish', 'subscribe', 'psubscribe', 'isSubscribed']) {
      await assert.rejects(async () => pubsub[call]('app:x', nothing), TypeError);
    }
    sub.unsubscribe();
    sub.unsubscribe();
    assert.deepEqual(pubsub.status().channels.exact, []);
  }));

test('many handlers of a channel: each gets it once, whatever the others do', () => {
  const logged = [];
  return using({ logger: { error: (...args) => logged.push(args) } }, async (pubsub) => {
    const seen = [];
    const same = () => seen.push('same');
    pubsub.subscribe('c', () => {
      throw new Error('of a handler');
    });
    pubsub.subscribe('c', async () => {
      throw new Error('later');
    });
    const subs = [pubsub.subscribe('c', same), pubsub.subscribe('c', same), pubsub.subscribe('c', () => seen.push('other'))];
    await subs[2].ready;
    await pubsub.publish('c', 1);
    await until(() => seen.length === 2 && logged.length === 2);
    assert.deepEqual(seen, ['same', 'other']);
  });
});

test('subscribe, unsubscribe, subscribe is not deaf', () =>
  using({}, async (pubsub) => {
    const seen = [];
    const handler = (message) => seen.push(message);
    const first = pubsub.subscribe('c', handler);
    await first.ready;
    first.unsubscribe();
    const second = await pubsub.subscribe('c', handler);
    first.unsubscribe();
    await second.ready;
    await pubsub.publish('c', 'heard');
    await until(() => seen.length === 1);
    pubsub.unsubscribe('c', handler);
    assert.equal(pubsub.isSubscribed('c'), false);
  }));

test('serializers are strict, and like the original', async () => {
  const wrong = { json: [1n, undefined, nothing], text: [1, null, {}], binary: ['x', 1, null] };
  for (const [serializer, values] of Object.entries(wrong)) {
    const pubsub = createRedisPubSub({ url: 'redis://127.0.0.1:1', serializer }); // serialised before it connects
    for (const value of values) {
      await assert.rejects(pubsub.publish('c', value), (error) => error instanceof SerializationError && !error.retryable);
    }
    assert.equal(pubsub.status().lastError, undefined);
    await pubsub.close();
  }
  const right = { json: ['a', { b: 1 }, null], text: ['a\0', '1', ''], binary: [Buffer.from([0, 255]), Buffer.alloc(0)] };
  right.custom = [{ x: 1 }];
  for (const [name, values] of Object.entries(right)) {
    const serializer = name === 'custom' ? { encode: (value) => `!${JSON.stringify(value)}`, decode: (text) => JSON.parse(text.slice(1)) } : name;
    await using({ serializer }, async (pubsub) => {
      const seen = [];
      const raw = await RespClient.connect(server.port);
      await raw.command('SUBSCRIBE', 'c');
      await pubsub.subscribe('c', (message) => seen.push(message)).ready;
      for (const value of values) {
        await pubsub.publish('c', value);
        const [, , sent] = await raw.reply();
        const wanted = theirs.createRedisPubSub({ serializer }).serialize(value);
        assert.equal(String(sent), wanted);
      }
      await until(() => seen.length === values.length);
      assert.deepEqual(seen, values);
      raw.close();
    });
  }
});

test('what cannot be decoded is logged and dropped', () => {
  const logged = [];
  return using({ logger: { error: (...args) => logged.push(args) } }, async (pubsub) => {
    const seen = [];
    await pubsub.subscribe('c', (message) => seen.push(message)).ready;
    const raw = await RespClient.connect(server.port);
    await raw.command('PUBLISH', 'c', '{');
    await raw.command('PUBLISH', 'c', '{"__proto__":{"x":1},"y":2}');
    await until(() => seen.length === 1);
    assert.equal(logged[0][1].name, 'DeserializationError');
    assert.deepEqual(seen, [{ y: 2 }]);
    raw.close();
  });
});

test('after close()', async () => {
  const pubsub = createRedisPubSub({ url: server.url });
  const waits = [pubsub.once('c'), pubsub.ponce('c*'), pubsub.ready()];
  await pubsub.connect();
  await Promise.all([pubsub.close(), pubsub.close()]);
  assert.equal(pubsub.isDestroyed() && !pubsub.isConnected(), true);
  const gone = (error) => error instanceof DisconnectedError && !error.retryable && /destroyed/.test(error.message);
  await assert.rejects(waits[0], gone);
  await assert.rejects(waits[1], gone);
  await waits[2];
  assert.throws(() => pubsub.subscribe('c', nothing), gone);
  assert.throws(() => pubsub.psubscribe('c', nothing), gone);
  for (const call of ['publish', 'once', 'ponce', 'connect', 'ready', 'publishWithRetry']) await assert.rejects(pubsub[call]('c', 1), gone);
  await createRedisPubSub().close(); // never used
  const connecting = createRedisPubSub({ url: server.url });
  const { ready } = connecting.subscribe('c', nothing);
  await connecting.close();
  await assert.rejects(ready, gone);
});

test('close() does not wait for a Redis that hangs', async () => {
  const hung = await RedisServer.start();
  try {
    const pubsub = createRedisPubSub({ url: hung.url });
    await pubsub.subscribe('c', nothing).ready;
    hung.pause();
    const publish = assert.rejects(pubsub.publish('c', 1), DisconnectedError);
    await pubsub.close();
    await publish;
  } finally {
    hung.resume();
    await hung.stop();
  }
});

test('once(), ponce() and their time', () =>
  using({}, async (pubsub) => {
    const waits = [pubsub.once('c'), pubsub.ponce('c*')];
    await Promise.all([pubsub.subscribe('c', nothing).ready, pubsub.psubscribe('c*', nothing).ready]);
    await pubsub.publish('c', 'x');
    assert.deepEqual(await Promise.all(waits), ['x', 'x']);
    await assert.rejects(pubsub.once('c', { timeoutMs: 5 }), { message: 'Timeout waiting for message on "c" after 5ms' });
    await assert.rejects(pubsub.ponce('d', { timeoutMs: 5 }), { message: 'Timeout waiting for message on pattern "d" after 5ms' });
    assert.deepEqual(pubsub.status().channels, { exact: ['c'], patterns: ['c*'] });
  }));

test('ns(), and a limit of subscriptions', () =>
  using({ namespace: 'app', maxSubscriptions: 2 }, async (pubsub) => {
    const seen = [];
    const scoped = pubsub.ns('a').ns('b');
    assert.ok(scoped instanceof RedisPubSub);
    await (await scoped.subscribe('c', (message, meta) => seen.push([message, meta.channel]))).ready;
    await scoped.publish('c', 1);
    assert.equal((await scoped.publishWithRetry('c', 2)).attempts, 1);
    await until(() => seen.length === 2);
    assert.deepEqual(seen, [[1, 'a:b:c'], [2, 'a:b:c']]);
    assert.ok(scoped.isSubscribed('c') && pubsub.isSubscribed('a:b:c'));
    pubsub.psubscribe('x', nothing);
    pubsub.psubscribe('x', () => {}); // no other
    assert.throws(() => pubsub.subscribe('y', nothing), (error) => error instanceof MaxSubscriptionsExceededError && error.limit === 2);
  }));

test('publishWithRetry()', async () => {
  const port = await freePort();
  await using({ url: `redis://127.0.0.1:${port}` }, async (pubsub) => {
    const attempts = [];
    const policy = { maxAttempts: 3, initialDelayMs: 1, jitter: 'none', onAttempt: (n, delayMs, error) => attempts.push([n, delayMs, error.retryable]) };
    await assert.rejects(pubsub.publishWithRetry('c', 1, policy), PubSubError);
    assert.deepEqual(attempts, [[1, 1, true], [2, 2, true]]);
    await assert.rejects(pubsub.publishWithRetry('c', 1n, policy), SerializationError);
    assert.equal(attempts.length, 2);
  });
});

test('isRetryable() decides', () =>
  using({ url: 'redis://127.0.0.1:1', isRetryable: () => false }, async (pubsub) => {
    await assert.rejects(pubsub.subscribe('c', nothing).ready, { retryable: false });
  }));

test('given up: one more publish, or subscribe, connects again', async () => {
  const own = await RedisServer.start();
  try {
    for (const use of ['publish', 'subscribe']) {
      const pubsub = createRedisPubSub({ url: own.url, retry: { maxAttempts: 1, initialMs: 1 } });
      const events = [];
      for (const name of ['disconnect', 'reconnecting', 'error', 'reconnected']) pubsub.on(name, (payload) => events.push([name, payload]));
      await pubsub.connect();
      await own.kill();
      await until(() => events.filter(([name]) => name === 'error').length === 2); // lost, and one attempt
      await own.restart();
      await (use === 'publish' ? pubsub.publish('c', 1) : pubsub.subscribe('c', nothing).ready);
      await until(() => pubsub.isConnected());
      await pubsub.close();
    }
  } finally {
    await own.stop();
  }
});

test('on() and off()', () =>
  using({}, async (pubsub) => {
    const seen = [];
    const off = pubsub.on('connect', () => seen.push(1));
    pubsub.on('connect', () => {
      throw new Error('of a listener');
    });
    pubsub.off('connect', nothing);
    off();
    pubsub.on('connect', () => seen.push(2));
    await pubsub.connect();
    assert.deepEqual(seen, [2]);
  }));

const clients = {
  redis: async (url, name = 'redis') => (await import(name)).createClient({ url }).on('error', nothing),
  'redis-5': (url) => clients.redis(url, 'redis-5'),
  'redis-6': (url) => clients.redis(url, 'redis-6'),
  ioredis: async (url, name = 'ioredis') => new (await import(name)).Redis(url, { lazyConnect: true }).on('error', nothing),
  'ioredis-6': (url) => clients.ioredis(url, 'ioredis-6'),
};

for (const [name, make] of Object.entries(clients)) {
  test(`a ${name} client whose Redis is away: what is wanted then comes later`, async () => {
    const own = await RedisServer.start();
    const client = await make(own.url);
    await client.connect();
    await own.kill();
    const pubsub = createRedisPubSub({ client });
    try {
      await until(() => !(client.isReady ?? client.status === 'ready'));
      const seen = [];
      await assert.rejects(pubsub.subscribe('c', (message) => seen.push(message)).ready, (error) => error instanceof SubscribeError && error.retryable);
      await assert.rejects(pubsub.publish('c', 1), { retryable: true });
      await own.restart();
      await until(async () => (await pubsub.publish('c', 'x').catch(nothing), seen.length > 0));
      await pubsub.close();
      assert.equal(await client.ping(), 'PONG');
    } finally {
      await pubsub.close();
      client.disconnect?.call(client);
      await own.stop();
    }
  });
}

test('a client that cannot be duplicated, or closes', async () => {
  const sent = [];
  const client = { isOpen: true, on: nothing, publish: async (...args) => sent.push(args), quit: () => assert.fail('it is not ours') };
  const pubsub = createRedisPubSub({ client, namespace: 'app' });
  await pubsub.publish('c', 'x');
  assert.deepEqual(sent, [['app:c', '"x"']]);
  await assert.rejects(pubsub.subscribe('c', nothing).ready, ours.ConfigurationError);
  await pubsub.close();
});
