// fanwire/orijs: what the providers of OriJS do, and what theirs for Redis gets wrong.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import {
  createInProcWsProvider, createRedisWsProvider, InProcWsProvider, MAX_TOPIC_LENGTH, RedisWsProvider, UUID_V4_REGEX,
  validateSocketId, validateTopic,
} from 'fanwire/orijs';
import { Type } from '@sinclair/typebox';

import { runScript } from './support/child.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

const A = '550e8400-e29b-41d4-a716-446655440001';
const B = '550e8400-e29b-41d4-a716-446655440002';
const nothing = () => {};

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

// Every call that a logger gets: [level, text, data?].
function makeLogger() {
  const calls = [];
  const logger = { calls, of: (text) => calls.filter((call) => call[1].includes(text)) };
  for (const level of ['debug', 'info', 'warn', 'error']) logger[level] = (...args) => calls.push([level, ...args]);
  return logger;
}

function makeServer() {
  const seen = [];
  return { seen, publish: (...args) => seen.push(args) };
}

async function using(options, body) {
  const { start = true, ...rest } = options;
  const logger = makeLogger();
  const provider = new RedisWsProvider({ connection: { host: '127.0.0.1', port: server.port }, logger, ...rest });
  const local = makeServer();
  try {
    if (start) await provider.start();
    provider.setServer(local);
    await body(provider, local.seen, logger);
  } finally {
    await provider.stop();
  }
}

const providers = {
  InProcWsProvider: () => new InProcWsProvider(),
  RedisWsProvider: () => new RedisWsProvider({ connection: { host: 'no.such.host.invalid', port: 1 } }),
};

test('topics and socket ids are checked, in words of the original', () => {
  const topics = {
    '': 'Topic cannot be empty',
    ['a'.repeat(257)]: 'Topic name too long (max 256 characters)',
    'a\0b': 'Topic contains invalid characters (allowed: a-z, A-Z, 0-9, _, :, ., -)',
  };
  for (const bad of ['a*', 'a?', 'a[b]', 'a b', 'é', 'a\n', ' ', 'a/b']) topics[bad] = topics['a\0b'];
  const ids = { '': 'Socket ID cannot be empty', 'socket-1': 'Invalid socket ID format (must be UUID v4)' };
  for (const bad of [`${A} `, `${A}\n`, A.replace('41d4', '11d4'), A.replace('a716', 'c716')]) ids[bad] = ids['socket-1'];
  for (const make of Object.values(providers)) {
    const provider = make();
    for (const [topic, message] of Object.entries(topics)) {
      assert.throws(() => provider.subscribe(A, topic), { name: 'Error', message });
      assert.throws(() => provider.unsubscribe(A, topic), { message });
      assert.throws(() => provider.publish(topic, 'x'), { message });
      assert.throws(() => validateTopic(topic), { message });
    }
    for (const [id, message] of Object.entries(ids)) {
      for (const call of ['subscribe', 'unsubscribe', 'send']) assert.throws(() => provider[call](id, 'topic'), { message });
      for (const call of ['disconnect', 'unsubscribeAll', 'trackConnection', 'untrackConnection']) {
        assert.throws(() => provider[call](id), { message });
      }
      assert.throws(() => validateSocketId(id), { message });
    }
    for (const wrong of [undefined, null]) {
      assert.throws(() => provider.subscribe(wrong, 'a'), { message: 'Socket ID cannot be empty' });
      assert.throws(() => provider.subscribe(A, wrong), { message: 'Topic cannot be empty' });
    }
    for (const wrong of [1, {}, ['a']]) {
      assert.throws(() => provider.subscribe(wrong, 'a'), { message: ids['socket-1'] });
      assert.throws(() => provider.subscribe(A, wrong), { message: topics['a\0b'] });
    }
    for (const topic of ['a'.repeat(256), 'a:b.c-d_E9', '__broadcast__']) provider.subscribe(A.toUpperCase(), topic);
    assert.equal(provider.getConnectionCount(), 1);
  }
  assert.equal(MAX_TOPIC_LENGTH, 256);
  assert.ok(UUID_V4_REGEX.test(randomUUID()));
});

for (const [name, make] of Object.entries(providers)) {
  test(`sockets and topics without a start: ${name}`, async () => {
    const provider = make();
    assert.equal(provider.getTopicSubscriberCount('a'), 0);
    provider.subscribe(A, 'a');
    provider.subscribe(A, 'a');
    provider.subscribe(A, 'b');
    provider.subscribe(B, 'a');
    assert.deepEqual([provider.getTopicSubscriberCount('a'), provider.getTopicSubscriberCount('b')], [2, 1]);
    assert.equal(provider.getConnectionCount(), 2);
    provider.unsubscribe(B, 'b');
    provider.unsubscribe(B, 'c');
    assert.ok(provider.isConnected(B));
    provider.unsubscribe(A, 'a');
    assert.ok(provider.isConnected(A));
    provider.unsubscribe(A, 'b');
    assert.equal(provider.isConnected(A), false);
    await provider.stop(); // was not started: changes nothing
    assert.deepEqual([provider.getConnectionCount(), provider.getTopicSubscriberCount('a')], [1, 1]);
    provider.disconnect(B);
    provider.disconnect(B);
    assert.deepEqual([provider.getConnectionCount(), provider.getTopicSubscriberCount('a')], [0, 0]);
    assert.equal(provider.isConnected('whatever'), false);
  });

  test(`tracked connections: ${name}`, () => {
    const provider = make();
    provider.trackConnection(A);
    provider.trackConnection(A);
    assert.ok(provider.isConnected(A) && provider.getConnectionCount() === 1);
    provider.subscribe(A, 'a');
    provider.subscribe(A, 'b');
    provider.unsubscribe(A, 'b');
    provider.unsubscribeAll(A);
    assert.equal(provider.getTopicSubscriberCount('a'), 0);
    assert.ok(provider.isConnected(A)); // it has no topics, and is tracked
    provider.subscribe(A, 'a');
    provider.untrackConnection(A);
    assert.equal(provider.isConnected(A) || provider.getTopicSubscriberCount('a') > 0, false);
  });
}

test('publish() before it is ready is logged and rejects; send() and broadcast() are silent', async () => {
  for (const [Provider, options] of [[InProcWsProvider, {}], [RedisWsProvider, { connection: {} }]]) {
    const logger = makeLogger();
    const provider = new Provider({ ...options, logger });
    const message = 'Cannot publish to topic "room:1": Provider not ready';
    await assert.rejects(provider.publish('room:1', 'x'), { name: 'Error', message });
    assert.deepEqual(logger.calls, [['error', message]]);
    assert.equal(provider.send(A, 'x'), undefined);
    assert.equal(provider.broadcast('x'), undefined);
    assert.equal(logger.of('Provider not ready').length, 3);
  }
});

test('the provider of one process passes on what it gets', async () => {
  const logger = makeLogger();
  const provider = createInProcWsProvider({ logger });
  assert.ok(provider instanceof InProcWsProvider);
  await provider.start();
  await provider.start();
  const local = makeServer();
  provider.setServer(local);
  const message = new ArrayBuffer(8);
  assert.equal(await provider.publish('a', message), undefined);
  provider.broadcast('all');
  provider.send(A, 'one');
  assert.deepEqual(local.seen, [['a', message], ['__broadcast__', 'all'], [`__socket__:${A}`, 'one']]);
  assert.equal(local.seen[0][1], message);
  provider.subscribe(A, 'a');
  await provider.stop();
  await provider.stop();
  assert.equal(provider.getConnectionCount() + provider.getTopicSubscriberCount('a'), 0);
  await assert.rejects(provider.publish('a', 'x'), /Provider not ready/);
  assert.deepEqual(logger.of('InProcWsProvider').map((call) => call[1]), ['InProcWsProvider started', 'InProcWsProvider stopped']);
  provider.setServer({
    publish() {
      throw new Error('of the server');
    },
  });
  await assert.rejects(provider.publish('a', 'x'), /of the server/);
  provider.broadcast('x');
});

test('the options', () => {
  const provider = createRedisWsProvider({ connection: { host: 'localhost', port: 6379 } });
  assert.ok(provider instanceof RedisWsProvider);
  assert.deepEqual([provider.getKeyPrefix(), provider.getConnectTimeout()], ['ws', 2000]);
  const other = new RedisWsProvider({ connection: {}, keyPrefix: 'my:ws', connectTimeout: 5000 });
  assert.deepEqual([other.getKeyPrefix(), other.getConnectTimeout()], ['my:ws', 5000]);
});

test('what goes over Redis, byte for byte', () =>
  using({ keyPrefix: 'p' }, async (provider) => {
    const redis = await RespClient.connect(server.port);
    await redis.command('PSUBSCRIBE', 'p:*');
    const bytes = Buffer.from([0, 255, 128, 10]);
    const shared = new SharedArrayBuffer(4);
    new Uint8Array(shared).set(bytes);
    const aligned = new Uint16Array([0, 7, 8, 0]);
    const binaries = [
      [bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 4), bytes], [new Uint8Array(bytes), bytes], [bytes, bytes], [shared, bytes],
      [new DataView(new Uint8Array([9, ...bytes, 9]).buffer, 1, 4), bytes],
      [aligned.subarray(1, 3), Buffer.from(aligned.buffer, 2, 4)], [new ArrayBuffer(0), Buffer.alloc(0)],
    ];
    for (const [message, expected] of binaries) {
      assert.equal(await provider.publish('room:1', message), undefined);
      const json = JSON.stringify({ topic: 'room:1', message: expected.toString('base64'), isBinary: true });
      assert.equal(String((await redis.reply())[3]), json);
    }
    for (const message of ['', 'text', 'N\0UL "q" \\ \n é😀 \u2028 \ud800', '{"a":1}']) {
      await provider.publish('room:1', message);
      assert.equal(String((await redis.reply())[3]), JSON.stringify({ topic: 'room:1', message, isBinary: false }));
    }
    provider.send(A, 'to one');
    provider.broadcast('to all');
    assert.equal(String((await redis.reply())[2]), `p:__socket__:${A}`);
    assert.equal(String((await redis.reply())[2]), 'p:__broadcast__');
    redis.close();
  }));

test('a message that is neither text nor bytes rejects, and is logged', () =>
  using({}, async (provider, _seen, logger) => {
    for (const [message, kind] of [[undefined, 'undefined'], [null, 'null'], [1, 'number'], [{}, 'object'], [[1], 'object']]) {
      const text = `a message must be a string or bytes, not ${kind}`;
      await assert.rejects(provider.publish('a', message), { name: 'TypeError', message: text });
      assert.deepEqual(logger.calls.at(-1), ['error', 'Failed to publish to Redis', { topic: 'a', error: text }]);
    }
    provider.broadcast(undefined);
    provider.send(A, {});
  }));

test('what comes from Redis goes to the server, and garbage to the log', () =>
  using({}, async (provider, seen, logger) => {
    const redis = await RespClient.connect(server.port);
    const send = async (payload) => assert.equal(await redis.command('PUBLISH', 'ws:a', payload), 1);
    provider.subscribe(A, 'a');
    await provider.whenSubscribed('a');
    const text = (message) => JSON.stringify({ topic: 'a', message, isBinary: false });
    await send(text('N\0UL é'));
    await send('{"topic":"other","message":"AP8=","isBinary":true,"more":{"__proto__":{"x":1}}}');
    await send('{"__proto__":{"topic":"evil"},"topic":"a","message":"1","isBinary":false}');
    await send('{"constructor":{},"prototype":1,"topic":"a","message":"2","isBinary":false}');
    // As other programs may write it.
    await send('{"topic":"a","message":"3","isBinary":true,"more":"\\"","isBinary":false}');
    await send('{ "isBinary": false, "message": "4", "topic": "\\u0061 é" }');
    await send('{"topic":"a\\"","message":"5","isBinary":false}');
    await until(() => seen.length === 7);
    const expected = [
      ['a', 'N\0UL é'], ['other', Buffer.from([0, 255])], ['a', '1'], ['a', '2'], ['a', '3'], ['a é', '4'], ['a"', '5'],
    ];
    assert.deepEqual(seen, expected);
    assert.ok(Buffer.isBuffer(seen[1][1]));
    assert.equal({}.topic, undefined);

    const noJson = ['', '{', 'not json', Buffer.from([0, 1, 255]), '\0'];
    const noEnvelope = [
      'null', '1', '"x"', '[]', '{}', '{"topic":"","message":"x","isBinary":false}', '{"topic":1,"message":"x","isBinary":false}',
      '{"topic":"a","message":1,"isBinary":false}', '{"topic":"a","message":"x","isBinary":0}', '{"topic":"a","message":"x"}',
      '{"__proto__":{"topic":"a","message":"x","isBinary":false}}', '{"topic":{"toString":1},"message":"x","isBinary":false}',
    ];
    for (const payload of [...noJson, ...noEnvelope, text('end')]) await send(payload);
    await until(() => seen.length === 8);
    const failed = logger.of('Failed to handle Redis message');
    assert.equal(failed.length, noJson.length);
    for (const [level, , { channel, error, ...rest }] of failed) {
      assert.deepEqual([level, channel, typeof error, rest], ['warn', 'ws:a', 'string', {}]);
    }
    const wrong = ['warn', 'Invalid Redis message format', { channel: 'ws:a' }];
    assert.deepEqual(logger.of('Invalid Redis message format'), noEnvelope.map(() => wrong));

    provider.setServer({
      publish() {
        throw new Error('of the server');
      },
    });
    await send(text('x'));
    await until(() => logger.of('Failed to handle').length === noJson.length + 1);
    assert.deepEqual(logger.calls.at(-1)[2], { channel: 'ws:a', error: 'of the server' });
    redis.close();
  }));

test('without a server a message is a warning of one argument', () =>
  using({}, async (provider, seen, logger) => {
    provider.setServer(undefined);
    provider.subscribe(A, 'a');
    await provider.whenSubscribed('a');
    await provider.publish('a', 'x');
    await until(() => logger.of('Server not set').length === 1);
    assert.deepEqual(logger.of('Server not set'), [['warn', 'Cannot handle Redis message: Server not set']]);
    assert.deepEqual(seen, []);
  }));

test('it starts though Redis is away, more than once, and a publish waits for the connection', async () => {
  await using({ start: false }, async (provider, _seen, logger) => {
    await Promise.all([provider.start(), provider.start()]);
    assert.equal(await provider.publish('a', 'x'), undefined);
    await provider.start();
    assert.equal(logger.of('RedisWsProvider started').length, 1);
    assert.deepEqual(logger.calls, [['info', 'RedisWsProvider started']]);
  });
  await using({ connection: { host: '127.0.0.1', port: await freePort() } }, async (provider, _seen, logger) => {
    await assert.rejects(provider.publish('a', 'x'), Error);
    provider.subscriber.once('error', () => provider.subscriber.removeAllListeners()); // nobody hears of the next one
    await until(() => provider.publish('a', 'x').then(() => false, (error) => error.code === 'NOT_CONNECTED'));
    const { length } = logger.of('Failed to publish to Redis');
    assert.ok(length >= 1);
    for (const [level, , { topic, error }] of logger.of('Failed to publish')) {
      assert.deepEqual([level, topic, typeof error], ['error', 'a', 'string']);
    }
    for (const name of ['publisher', 'subscriber']) assert.equal(logger.of(`Redis ${name} error`)[0][0], 'warn');
  });
});

test('it stops, forgets everything, and starts again', () =>
  using({ start: false }, async (provider, seen, logger) => {
    provider.subscribe(A, 'early');
    await provider.start(); // what was there before counts, too
    await provider.whenSubscribed('early');
    await provider.publish('early', '1');
    await until(() => seen.length === 1);
    const stopping = provider.stop();
    assert.equal(provider.getConnectionCount() + provider.getTopicSubscriberCount('early'), 0);
    await Promise.all([stopping, provider.stop()]);
    await assert.rejects(provider.publish('early', 'x'), /Provider not ready/);
    await assert.rejects(provider.whenSubscribed('early'), { message: 'Topic "early" is not subscribed' });
    const redis = await RespClient.connect(server.port);
    await until(async () => (await redis.command('PUBSUB', 'NUMSUB', 'ws:early'))[1] === 0);

    await provider.start();
    provider.subscribe(B, 'late');
    await provider.whenSubscribed('late');
    await provider.publish('late', 'for nobody');
    await until(() => logger.of('Server not set').length === 1);
    void provider.stop();
    await provider.start(); // while it stops
    assert.equal(await provider.publish('late', 'x'), undefined);
    redis.close();
  }));

test('the two connections, as far as others look at them', () =>
  using({}, async (provider, seen, logger) => {
    const both = [provider.publisher, provider.subscriber];
    await until(() => both.every(({ status }) => status === 'ready'));
    provider.subscribe(A, 'a');
    await provider.whenSubscribed('a');
    provider.subscriber.emit('ready');
    provider.subscriber.emit('message', 'ws:a', JSON.stringify({ topic: 'a', message: 'm', isBinary: false }));
    provider.subscriber.emit('message', 'ws:b', 'not-valid-json{');
    assert.deepEqual(seen, [['a', 'm']]);
    assert.equal(logger.of('Failed to handle Redis message')[0][2].channel, 'ws:b');
    await provider.publish('a', 'once');
    await until(() => seen.length === 2);
    const listeners = [];
    for (const connection of both) connection.once('end', () => listeners.push(connection.listenerCount('error')));
    await provider.stop();
    assert.deepEqual(listeners, [1, 1]);
    assert.deepEqual(both.map((one) => one.listenerCount('error')), [0, 0]);
    assert.deepEqual([provider.publisher, provider.subscriber, both[0].status], [null, null, 'end']);
  }));

test('topics that come and go', () =>
  using({}, async (provider, seen) => {
    for (let i = 0; i < 5; ++i) {
      provider.subscribe(A, 'a');
      provider.unsubscribe(A, 'a');
    }
    provider.subscribe(A, 'a');
    provider.subscribe(B, 'a');
    provider.unsubscribe(A, 'a');
    await provider.whenSubscribed('a');
    await provider.publish('a', 'once');
    await provider.publish('a', 'more');
    await until(() => seen.length >= 2);
    assert.deepEqual(seen, [['a', 'once'], ['a', 'more']]);
    provider.disconnect(B);
    provider.subscribe(B, 'b');
    await provider.whenSubscribed('b');
    await provider.publish('a', 'for nobody');
    await provider.publish('b', 'end');
    await until(() => seen.length === 3);
    assert.deepEqual(seen[2], ['b', 'end']);
    const waiting = provider.whenSubscribed('b');
    await waiting;
    provider.subscribe(B, 'c');
    const lost = provider.whenSubscribed('c');
    provider.unsubscribe(B, 'c');
    await assert.rejects(lost, /Topic "c" is not subscribed/);
  }));

for (const host of ['no.such.host.invalid', '127.0.0.1']) {
  test(`a topic that cannot be subscribed is logged three times, and is not dead: ${host}`, async () => {
    const port = await freePort();
    const connection = { host, port };
    await using({ connection, connectTimeout: 50, keyPrefix: 'p' }, async (provider, seen, logger) => {
      provider.subscribe(A, 'a');
      assert.deepEqual([...provider.pendingSubscriptions], ['p:a']);
      const failed = 'Redis subscribe failed after max retries';
      await until(() => logger.of(failed).length === 1);
      assert.equal(provider.pendingSubscriptions.size, 0);
      const retries = logger.of('Redis subscribe failed, retrying');
      for (const [i, [level, , { nextRetryMs, error, ...rest }]] of retries.entries()) {
        assert.deepEqual([level, rest], ['warn', { channel: 'p:a', attempt: i + 1 }]);
        assert.ok(Number.isInteger(nextRetryMs) && nextRetryMs >= 50 * 2 ** i && nextRetryMs <= 150 * 2 ** i);
        assert.equal(typeof error, 'string');
      }
      const [[level, , { error, ...rest }]] = logger.of(failed);
      assert.deepEqual([level, rest], ['error', { channel: 'p:a', attempts: 3 }]);
      assert.equal(typeof error, 'string');
      if (host === '127.0.0.1') {
        const late = await RedisServer.start('--port', String(port)); // the last one counts
        try {
          await provider.whenSubscribed('a');
          await until(() => provider.publish('a', 'x').then(() => true, () => false));
          await until(() => seen.length > 0);
        } finally {
          await late.stop();
        }
      }
      assert.deepEqual([logger.of('retrying').length, logger.of(failed).length], [2, 1]);
    });
  });
}

test('a topic that Redis refuses: the log says why, and it comes once it is allowed', async () => {
  const redis = await RespClient.connect(server.port);
  await redis.command('ACL', 'SETUSER', 'bob', 'on', '>x', '+@all', 'resetchannels', '&ws:ok');
  const connection = { host: '127.0.0.1', port: server.port, username: 'bob', password: 'x' };
  await using({ connection, connectTimeout: 50 }, async (provider, seen, logger) => {
    for (const topic of ['ok', 'no']) provider.subscribe(A, topic);
    await provider.whenSubscribed('ok');
    await until(() => logger.of('max retries').length === 1);
    const [first, second] = logger.of('Redis subscribe failed, retrying').map((call) => call[2].error);
    assert.match(first, /NOPERM/);
    assert.deepEqual([second, logger.of('max retries')[0][2].error], [first, first]);
    await assert.rejects(provider.publish('no', 'x'), /NOPERM/);
    await redis.command('ACL', 'SETUSER', 'bob', 'allchannels');
    await provider.whenSubscribed('no');
    await provider.publish('no', 'x');
    await until(() => seen.length === 1);
  });
  redis.close();
});

test('a Redis that hangs: the log hears of it, and stop() does not wait for it', async () => {
  const own = await RedisServer.start();
  try {
    await using({ connection: { host: '127.0.0.1', port: own.port }, connectTimeout: 50 }, async (provider, seen, logger) => {
      provider.subscribe(A, 'a');
      await provider.whenSubscribed('a');
      own.pause();
      provider.subscribe(A, 'b');
      await until(() => logger.of('max retries').length === 1);
      assert.deepEqual(logger.of('max retries')[0][2].error, 'Redis has not confirmed it within 50 ms');
      own.resume();
      await provider.whenSubscribed('b');
      await provider.publish('b', 'x');
      await until(() => seen.length === 1);
      own.pause();
      provider.publish('b', 'y');
      await provider.stop();
    });
  } finally {
    await own.stop();
  }
});

test('settings that cannot be, and a logger that fails', async () => {
  const bad = () => {
    throw new Error('of the logger');
  };
  const logger = { debug: bad, info: bad, warn: bad, error: bad };
  await using({ connection: { host: 'x', port: 99999 }, connectTimeout: 50 }, async (provider, _seen, log) => {
    provider.subscribe(A, 'a');
    await assert.rejects(provider.publish('a', 'x'), /port must be/);
    await until(() => log.of('max retries').length === 1);
    assert.match(log.of('max retries')[0][2].error, /port must be/);
  });
  await using({ logger, connection: { host: '127.0.0.1', port: await freePort() }, connectTimeout: 20 }, async (provider) => {
    provider.subscribe(A, 'a');
    await assert.rejects(provider.publish('a', 'x'), { code: 'CONNECT_FAILED' });
    await until(() => provider.pendingSubscriptions.size === 0);
  });
  await using({ logger }, async (provider, seen) => {
    provider.subscribe(A, 'a');
    await provider.whenSubscribed('a');
    provider.subscriber.emit('message', 'ws:a', 'garbage');
    await provider.publish('a', 'x');
    await until(() => seen.length === 1);
  });
});

test('emit() checks data by the schema of its message', () =>
  using({}, async (provider, seen, logger) => {
    provider.subscribe(A, 'a');
    await provider.whenSubscribed('a');
    const standard = (validate) => ({ '~standard': { version: 1, vendor: 'x', validate } });
    const good = [
      [Type.Object({ n: Type.Number() }), { n: 1 }, { n: 1 }],
      [async (data) => ({ n: data.n + 1 }), { n: 1 }, { n: 2 }],
      [standard((value) => ({ value })), { n: 1 }, { n: 1 }],
      [standard(async () => ({ value: 'y' })), 'x', 'y'],
    ];
    for (const [dataSchema, data, expected] of good) {
      assert.equal(await provider.emit({ name: 'm', dataSchema }, 'a', data), undefined);
      await until(() => seen.length === 1);
      const { timestamp, ...rest } = JSON.parse(seen.pop()[1]);
      assert.deepEqual(rest, { name: 'm', data: expected });
      assert.equal(typeof timestamp, 'number');
    }
    const issues = [{ message: 'bad', path: ['a', { key: 0 }] }, { message: 'worse' }];
    const bad = [
      [Type.Object({ n: Type.Number() }), { n: 'x' }, '/n: Expected number'],
      [() => Promise.reject(new Error('no')), 1, ': no'],
      [standard(() => ({ issues })), 1, 'a.0: bad, : worse'],
    ];
    for (const [dataSchema, data, details] of bad) {
      const message = `Socket message validation failed for "m": ${details}`;
      await assert.rejects(provider.emit({ name: 'm', dataSchema }, 'a', data), { message });
      assert.deepEqual(logger.calls.at(-1), ['error', message]);
    }
    await assert.rejects(provider.emit({ name: 'm', dataSchema: {} }, 'a', 1), { message: 'Unknown schema type' });
    await assert.rejects(provider.emit({ name: 'm', dataSchema: nothing }, '', 1), { message: 'Topic cannot be empty' });
  }));

test('nobody has to look at what publish() returns, and nothing is printed', async () => {
  const script = `
    import { InProcWsProvider, RedisWsProvider } from 'fanwire/orijs';
    const connection = { host: '127.0.0.1', port: ${await freePort()} };
    const provider = new RedisWsProvider({ connection, connectTimeout: 50 });
    provider.publish('a', 'too early');
    new InProcWsProvider().publish('a', 'too early');
    await provider.start();
    provider.publish('a', 'x');
    provider.subscribe('${A}', 'a');
    while (provider.pendingSubscriptions.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    provider.publish('a', 'y');
    provider.emit({ name: 'm', dataSchema: 'none' }, 'a', 1);
    await provider.stop();`;
  const { code, stdout, stderr } = await runScript(script);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
});
