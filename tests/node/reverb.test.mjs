// fanwire/reverb: the provider of Laravel Reverb on one Redis, its configuration, its failures.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { after, before, test } from 'node:test';

import { loadScalingConfig, RedisClientFactory, RedisConnectionException, RedisPubSubProvider } from 'fanwire/reverb';

import { runtimes } from './support/member.mjs';
import { run, testDir } from './support/child.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

class Recorder {
  seen = [];
  infos = [];
  errors = [];
  handle(payload) {
    this.seen.push(payload);
  }
  info(...args) {
    this.infos.push(args);
  }
  error(text) {
    this.errors.push(text);
  }
}

// A provider in the order of the port to Bun, connected; `record` is its logger and its handler.
async function using(config, body, ...rest) {
  const record = new Recorder();
  const provider = new RedisPubSubProvider(record, record, 'reverb', config, ...rest);
  try {
    await provider.connect();
    await body(provider, record);
  } finally {
    await provider.disconnect();
  }
}

async function withAdmin(port, body) {
  const admin = await RespClient.connect(port);
  try {
    return await body(admin);
  } finally {
    admin.close();
  }
}

// As PHP 8.2 writes them: serialize() of Laravel\Reverb\Application in json_encode().
const application =
  'O:26:"Laravel\\Reverb\\Application":3:{s:5:"\0*\0id";s:6:"123456";s:9:"\0*\0secret";s:13:"reverb-secret";s:17:"\0*\0maxConnections";N;}';
const fromPhp =
  String.raw`{"type":"message","application":"O:26:\"Laravel\\Reverb\\Application\":3:{s:5:\"\u0000*\u0000id\";s:6:\"123456\";` +
  String.raw`s:9:\"\u0000*\u0000secret\";s:13:\"reverb-secret\";s:17:\"\u0000*\u0000maxConnections\";N;}","payload":{"event":` +
  String.raw`"App\\Events\\Gr\u00fc\u00dfe","channels":["private-a\/b","c"],"data":"{\"text\":\"\u00e9\ud83d\ude00\"}"},"socket_id":"123.456"}`;
const message = {
  type: 'message',
  application,
  payload: { event: 'App\\Events\\Grüße', channels: ['private-a/b', 'c'], data: '{"text":"é😀"}' },
  socket_id: '123.456',
};

test('what PHP publishes, and what PHP gets', () =>
  using({ url: server.url }, async (provider, record) => {
    const events = [];
    provider.on('message', (event) => events.push(event));
    await withAdmin(server.port, async (admin) => {
      assert.equal(await admin.command('PUBLISH', 'reverb', fromPhp), 1);
      await until(() => record.seen.length === 1);
      assert.equal(record.seen[0], fromPhp); // as it is on the wire
      assert.deepEqual(events, [message]);
      assert.ok(events[0].application.includes('\0*\0id'));

      await admin.command('SUBSCRIBE', 'reverb');
      assert.equal(await provider.publish(message), 2);
      assert.deepEqual((await admin.reply()).map(String).slice(0, 2), ['message', 'reverb']);
      await until(() => record.seen.length === 2);
      assert.equal(record.seen[1], JSON.stringify(message));
      assert.ok(record.seen[1].startsWith('{"type":"message","application":"O:26:'));
      assert.ok(record.seen[1].endsWith('"socket_id":"123.456"}'));
    });
    // Half of a surrogate pair is no Unicode, and json_decode() throws at it.
    await provider.publish({ type: 'x', a: '\ud800', b: '\\ud800', c: '😀\udfff' });
    await until(() => record.seen.length === 3);
    assert.deepEqual(JSON.parse(record.seen[2]), { type: 'x', a: '\ufffd', b: '\\ud800', c: '😀\ufffd' });
  }));

test('publish() counts the receivers, our own subscription among them', async () => {
  await using({ url: server.url }, async (one) => {
    assert.equal(await one.publish({ type: 'x' }), 1);
    await using({ url: server.url }, async (other, { seen }) => {
      assert.equal(await one.publish({ type: 'y' }), 2);
      await until(() => seen.length === 1);
      await Promise.all([other.subscribe(), other.subscribe(), other.connect()]); // once is enough
      assert.equal(await one.publish({ type: 'z' }), 2);
      await until(() => seen.length === 2);
    });
    assert.equal(await one.publish({ type: 'x' }), 1);
  });
});

test('on() and stopListening()', () =>
  using({ url: server.url }, async (provider, record) => {
    const calls = [];
    const listen = (name) => provider.on('metrics', (event) => calls.push([name, event.payload]));
    const off = listen('a');
    listen('b');
    provider.on('other', () => assert.fail('of another type'));
    provider.on('__proto__', () => assert.fail('of another type'));
    await provider.publish({ type: 'metrics', payload: 1 });
    await until(() => calls.length === 2);
    off();
    off();
    await provider.publish({ type: 'metrics', payload: 2 });
    await until(() => calls.length === 3);
    provider.stopListening('metrics');
    provider.stopListening('metrics');
    provider.stopListening('never');
    off();
    await provider.publish({ type: 'metrics', payload: 3 });
    await until(() => record.seen.length === 3);
    assert.deepEqual(calls, [['a', 1], ['b', 1], ['b', 2]]);
    // The same function counts as often as it is given, and one that takes the other away in between is obeyed.
    const both = [];
    const twice = () => {
      both.push(1);
      provider.stopListening('twice');
    };
    provider.on('twice', twice);
    provider.on('twice', twice);
    await provider.publish({ type: 'twice' });
    await until(() => record.seen.length === 4);
    assert.deepEqual(both, [1]);
  }));

test('listeners may come before connect(), and stay after disconnect()', async () => {
  const types = [];
  const provider = new RedisPubSubProvider({ server: server.url });
  provider.on('x', ({ type }) => types.push(type));
  for (const round of [1, 2]) {
    await provider.connect();
    await provider.publish({ type: 'x' });
    await until(() => types.length === round);
    await Promise.all([provider.disconnect(), provider.disconnect()]);
    assert.equal(provider.isConnected(), false);
  }
});

test('what is no message, and handlers that fail', async () => {
  const record = new Recorder();
  const failing = { handle: async (payload) => (record.handle(payload), Promise.reject(new Error('of the handler'))) };
  const provider = new RedisPubSubProvider(record, failing, 'reverb', { url: server.url });
  await provider.connect();
  const types = [];
  provider.on('x', () => {
    throw new Error('of a listener');
  });
  provider.on('x', ({ type, ...rest }) => types.push([type, Object.keys(rest)]));
  await withAdmin(server.port, async (admin) => {
    const bad = ['', '{', 'null', '7', '"x"', '[]', '{"type":{}}', Buffer.from([0xff, 0, 0x80]), Buffer.alloc(100_000, 0x61)];
    for (const one of bad) await admin.command('PUBLISH', 'reverb', one);
    await admin.command('PUBLISH', 'reverb', '{"type":"x","__proto__":{"y":1},"constructor":2,"z":3}');
    await until(() => types.length === 1);
    assert.deepEqual(types, [['x', ['z']]]);
    await until(() => record.seen.length === bad.length + 1);
  });
  const count = (text) => record.errors.filter((error) => error.startsWith(text)).length;
  await until(() => count('Failed to handle Redis message: Error: of the handler') === 10);
  assert.equal(count('Failed to parse Redis message: SyntaxError'), 4);
  assert.equal(count('Failed to handle Redis message: Error: of a listener'), 1);
  await provider.disconnect();
});

test('what is wrong in a call', async () => {
  const provider = new RedisPubSubProvider(null, null, 'reverb', { url: server.url });
  await assert.rejects(provider.publish({}), { name: 'Error', message: 'Publisher not initialized' });
  await assert.rejects(provider.subscribe(), { name: 'Error', message: 'Subscriber not initialized' });
  await provider.disconnect();
  assert.throws(() => provider.on('x'), { name: 'TypeError', message: 'callback must be a function' });
  await provider.connect();
  const cycle = {};
  cycle.cycle = cycle;
  for (const payload of [undefined, null, 'text', 7, () => {}, { toJSON: () => undefined }, cycle, { big: 1n }]) {
    await assert.rejects(provider.publish(payload), TypeError);
  }
  await assert.rejects(provider.publish('text'), { message: 'payload must be an object that JSON holds, not string' });
  await provider.disconnect();
  await assert.rejects(provider.publish({}), /^Error: Publisher not initialized$/);
  assert.throws(() => new RedisPubSubProvider({ messageHandler: {} }), { message: 'messageHandler must have a method handle()' });
  assert.throws(() => new RedisPubSubProvider({ channel: '' }), { message: 'channel must be a string that is not empty' });
  assert.throws(() => new RedisPubSubProvider({ clientFactory: {} }), { message: 'clientFactory must have a method make()' });
});

test('a configuration that cannot be', async () => {
  const wrong = [
    { url: 'http://localhost' }, { url: 'redis://invalid.host:99999' }, { url: 'nonsense' }, { port: 'x' }, { database: 'x' },
    { url: 'redis://localhost/x' }, { timeout: 'soon' }, { timeout: -1 }, { url: 'redis://localhost?nonsense=1' }, { tlsNonsense: 'x' },
  ];
  for (const config of wrong) {
    const provider = new RedisPubSubProvider(null, null, 'reverb', { password: 'secret', ...config });
    for (const attempt of [1, 2]) {
      await assert.rejects(provider.connect(), (error) => {
        assert.match(error.message, /^Failed to create Redis client: ./, String(attempt));
        assert.ok(!error.message.includes('secret'));
        return true;
      });
    }
    await assert.rejects(provider.publish({}), /Publisher not initialized/);
    await provider.disconnect();
  }
  await assert.rejects(new RedisPubSubProvider({ channel: 'x'.repeat(2000), server: server.url }).connect(), /^Error: Failed to create/);
});

test('Redis is away: connect() resolves, what is published waits and comes in order, also to ourselves', async () => {
  const own = await RedisServer.start();
  await own.kill();
  try {
    await using({ url: own.url }, async (provider, record) => {
      assert.equal(provider.isConnected(), false);
      await until(() => record.errors.length > 0);
      const counts = Array.from({ length: 200 }, (_, i) => provider.publish({ type: 'n', i }));
      await own.restart();
      assert.deepEqual(new Set(await Promise.all(counts)), new Set([1]));
      await until(() => record.seen.length === 200);
      assert.deepEqual(record.seen.map((text) => JSON.parse(text).i), counts.map((_, i) => i));
      await own.kill();
      await until(() => !provider.isConnected());
      const next = provider.publish({ type: 'n', i: 'next' });
      await own.restart();
      assert.equal(await next, 1);
      await until(() => record.seen.length === 201);
      await provider.subscribe();
      const titles = new Set(record.infos.map(([title]) => title));
      const expected = ['Redis connection established', 'Disconnected from Redis', 'Attempting reconnection to Redis', 'Events of other servers are missing'];
      for (const title of expected) assert.ok(titles.has(title), title);
    });
  } finally {
    await own.stop();
  }
});

test('the timeout: a publish is given up, attempts go on', async () => {
  const own = await RedisServer.start();
  await own.kill();
  try {
    await using({ url: own.url, timeout: '0.3' }, async (provider, record) => {
      await assert.rejects(provider.publish({ type: 'n' }), (error) => {
        assert.ok(error instanceof RedisConnectionException);
        assert.equal(error.name, 'RedisConnectionException');
        assert.equal(error.message, 'Failed to connect to Redis connection [publisher] after retrying for 0.3s.');
        assert.deepEqual([error.code, error.retryable, error.cause.code], ['TIMEOUT', true, 'TIMEOUT']);
        return true;
      });
      const told = 'Failed to connect to Redis connection [redis] after retrying for 0.3s.';
      await until(() => record.errors.includes(told));
      await own.restart();
      await until(() => provider.isConnected());
      await provider.subscribe();
      assert.equal(await provider.publish({ type: 'n' }), 1);
      assert.equal(record.errors.filter((text) => text === told).length, 1);
    });
  } finally {
    await own.stop();
  }
});

test('an outage that lasts is told once, and one that is over is not', async (t) => {
  const own = await RedisServer.start();
  const immediately = async (condition) => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  };
  try {
    await using({ url: own.url, timeout: '' }, async (provider, { errors }) => {
      const told = () => errors.filter((text) => text === 'Failed to connect to Redis connection [redis] after retrying for 60s.').length;
      t.mock.timers.enable({ apis: ['setTimeout'] }); // of the face: the engine has its own
      for (const lasts of [false, true]) {
        await own.kill();
        await immediately(() => !provider.isConnected());
        if (lasts) {
          const count = errors.length;
          await immediately(() => errors.length > count);
          t.mock.timers.tick(61_000);
          assert.equal(told(), 1);
        }
        await own.restart();
        await immediately(() => provider.isConnected());
        t.mock.timers.tick(61_000);
        assert.equal(told(), lasts ? 1 : 0);
      }
      t.mock.timers.reset();
    });
  } finally {
    await own.stop();
  }
});

test('a publish that fails and that nobody waits for ends no process', async () => {
  const source = `
    import { RedisPubSubProvider } from 'fanwire/reverb';
    const errors = new Set();
    const logger = { error: (text) => errors.add(text) };
    const provider = new RedisPubSubProvider({ logger, server: { port: ${await freePort()}, timeout: 0.1 } });
    provider.publish({});
    await provider.connect();
    provider.publish({ type: 'x' });
    provider.publish('text');
    while (errors.size < 5) await new Promise((resolve) => setTimeout(resolve, 5));
    provider.publish({ type: 'x' });
    await provider.disconnect();
    console.log([...errors].filter((text) => text.startsWith('Failed to publish')).length);
  `;
  const { code, stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', source], { cwd: testDir });
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '3\n', stderr: '' });
});

test('disconnect() while connecting, with publishes that wait, and connect() right after', async () => {
  const port = await freePort();
  const provider = new RedisPubSubProvider({ server: { host: '127.0.0.1', port } });
  const connecting = provider.connect();
  const publishing = assert.rejects(provider.publish({ type: 'n' }), { code: 'CLOSED' });
  const disconnecting = provider.disconnect();
  await connecting;
  await publishing;
  await disconnecting;
  const silent = await RedisServer.start();
  try {
    silent.pause();
    const hanging = new RedisPubSubProvider({ server: silent.url });
    const first = hanging.connect();
    hanging.disconnect();
    await first;
    silent.resume();
    await hanging.connect();
    assert.equal(await hanging.publish({ type: 'n' }), 1);
    const last = hanging.publish({ type: 'last' });
    await hanging.disconnect();
    assert.equal(await last, 1);
  } finally {
    await silent.stop();
  }
});

// ---- The configuration

const named = (name) => async (admin) => {
  const list = String(await admin.command('CLIENT', 'LIST'));
  return list.split('\n').filter((line) => line.includes('name=fanwire')).map((line) => new RegExp(`\\b${name}=(\\S*)`).exec(line)[1]);
};

test('host, port, username, password and database, and what the URL says in their place', async () => {
  const own = await RedisServer.start('--requirepass', 'secret', '--user', 'reverb', 'on', '>p@ss:/?#w%20', 'allchannels', 'allkeys', '+@all');
  try {
    const list = (name) =>
      withAdmin(own.port, async (admin) => {
        await admin.command('AUTH', 'secret');
        return new Set(await named(name)(admin));
      });
    const login = { username: 'reverb', password: 'p@ss:/?#w%20' };
    const encoded = encodeURIComponent(login.password);
    const configs = [
      [{ host: '127.0.0.1', port: String(own.port), ...login, database: '3' }, 'reverb', '3'],
      [{ host: 'nowhere.invalid', port: 1, database: 7, username: 'x', password: 'x', url: `redis://reverb:${encoded}@127.0.0.1:${own.port}/2` }, 'reverb', '2'],
      [{ url: `redis://127.0.0.1:${own.port}`, ...login, port: 1, database: 4 }, 'reverb', '4'],
      [{ url: `tcp://127.0.0.1:${own.port}/5?username=reverb&password=${encoded}`, driver: 'tls' }, 'reverb', '5'],
      [{ url: 'redis://127.0.0.1', port: own.port, password: 'secret' }, 'default', '0'],
      [{ url: `redis://:secret@localhost:${own.port}?database=6&timeout=1500` }, 'default', '6'],
      [`redis://default:secret@127.0.0.1:${own.port}/1`, 'default', '1'],
    ];
    for (const [config, user, db] of configs) {
      await using(config, async (provider) => {
        assert.equal(await provider.publish({ type: 'n' }), 1, JSON.stringify(config));
        assert.deepEqual([await list('user'), await list('db')], [new Set([user]), new Set([db])], JSON.stringify(config));
      });
    }
    await using({ url: own.url, password: 'wrong' }, async (provider, record) => {
      await until(() => record.errors.some((text) => /WRONGPASS|password/.test(text)));
      assert.ok(!JSON.stringify(record).includes('wrong"'));
      assert.equal(provider.isConnected(), false);
    });
  } finally {
    await own.stop();
  }
});

test('the environment, as config/reverb.php reads it', () => {
  assert.deepEqual(loadScalingConfig({}), {
    enabled: false,
    channel: 'reverb',
    server: { url: undefined, host: '127.0.0.1', port: '6379', username: undefined, password: undefined, database: '0', timeout: 60 },
  });
  const env = {
    REVERB_SCALING_ENABLED: 'TRUE', REVERB_SCALING_CHANNEL: 'other', REDIS_URL: 'redis://x', REDIS_HOST: 'h', REDIS_PORT: '1',
    REDIS_USERNAME: 'u', REDIS_PASSWORD: 'p', REDIS_DB: '2', REDIS_TIMEOUT: '5',
  };
  assert.deepEqual(loadScalingConfig(env), {
    enabled: true,
    channel: 'other',
    server: { url: 'redis://x', host: 'h', port: '1', username: 'u', password: 'p', database: '2', timeout: 5 },
  });
  // Laravel's .env files have such words.
  const { server: words } = loadScalingConfig({ REDIS_PASSWORD: 'null', REDIS_USERNAME: '(null)', REDIS_URL: 'empty', REDIS_DB: '' });
  assert.deepEqual([words.password, words.username, words.url, words.database], [undefined, undefined, '', '0']);
  for (const [text, enabled] of Object.entries({ 1: true, yes: true, on: true, '(true)': true, 0: false, off: false, no: false, '': false })) {
    assert.equal(loadScalingConfig({ REVERB_SCALING_ENABLED: text }).enabled, enabled, text);
  }
});

test('without a configuration the environment says where Redis is, and whether there is one', async () => {
  const source = `
    import { loadScalingConfig, RedisPubSubProvider } from 'fanwire/reverb';
    const counts = [];
    for (const args of [[null, null, 'reverb'], [{ server: {} }], [loadScalingConfig()]]) {
      const provider = new RedisPubSubProvider(...args);
      await provider.connect();
      counts.push(await provider.publish({ type: 'n' }));
      await provider.disconnect();
    }
    console.log(counts.join());
  `;
  const other = new RedisPubSubProvider({ server: server.url });
  await other.connect();
  const at = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(server.port), REDIS_PASSWORD: 'null' };
  const away = { REDIS_URL: `redis://127.0.0.1:${await freePort()}` };
  const cases = [
    [at, '2,2,1'], [{ ...at, REVERB_SCALING_ENABLED: 'true' }, '2,2,2'], [{ REDIS_URL: server.url }, '2,2,1'],
    [{ ...away, REVERB_SCALING_ENABLED: 'false' }, '1,1,1'],
  ];
  for (const [env, expected] of cases) {
    const options = { cwd: testDir, env: { PATH: process.env.PATH, ...env } };
    const { code, stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', source], options);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${expected}\n`, stderr: '' }, JSON.stringify(env));
  }
  await other.disconnect();
});

test('the switch: one server goes on without Redis', async () => {
  for (const off of [{ enabled: false }, { server: { host: '127.0.0.1', port: await freePort(), enabled: false } }]) {
    const record = new Recorder();
    const providers = [record, new Recorder()].map((messageHandler) => new RedisPubSubProvider({ ...off, messageHandler }));
    for (const provider of providers) await provider.connect();
    assert.equal(await providers[0].publish(message), 1);
    await until(() => record.seen.length === 1);
    assert.equal(record.seen[0], JSON.stringify(message));
    assert.equal(providers[0].isConnected(), true);
    for (const provider of providers) await provider.disconnect();
  }
});

// ---- Clients of others

const makers = {
  async redis(url, name = 'redis') {
    const client = (await import(name)).createClient({ url });
    client.on('error', () => {});
    await client.connect();
    return client;
  },
  'redis-5': (url) => makers.redis(url, 'redis-5'),
  'redis-6': (url) => makers.redis(url, 'redis-6'),
  async ioredis(url, name = 'ioredis') {
    const { Redis } = await import(name);
    const client = new Redis(url);
    client.on('error', () => {});
    return client;
  },
  'ioredis-6': (url) => makers.ioredis(url, 'ioredis-6'),
};

for (const [name, make] of Object.entries(makers)) {
  test(`a ${name} client that is passed in: what is published while Redis is away waits`, async () => {
    const own = await RedisServer.start();
    const client = await make(own.url);
    const record = new Recorder();
    const provider = new RedisPubSubProvider({ client, logger: record, messageHandler: record });
    try {
      await provider.connect();
      assert.equal(await provider.publish(message), 1);
      await until(() => record.seen.length === 1); // Redis answers the publisher before it writes to the subscriber
      await own.kill();
      await until(() => !provider.isConnected());
      const counts = Array.from({ length: 20 }, (_, i) => provider.publish({ type: 'n', i }));
      await own.restart();
      assert.deepEqual(new Set(await Promise.all(counts)), new Set([1]));
      await until(() => record.seen.length === 21);
      assert.deepEqual(record.seen.slice(1).map((text) => JSON.parse(text).i), counts.map((_, i) => i));
      await provider.disconnect();
      assert.equal(await client.ping(), 'PONG'); // it is not ours
      await withAdmin(own.port, async (admin) => {
        await until(async () => String(await admin.command('CLIENT', 'LIST')).trim().split('\n').length === 2);
      });
    } finally {
      await provider.disconnect();
      await (client.quit ?? client.close).call(client);
      await own.stop();
    }
  });
}

test('the timeout of what waits for a client', async () => {
  const own = await RedisServer.start();
  const client = await makers.ioredis(own.url);
  const provider = new RedisPubSubProvider({ client, server: { timeout: 0.2 } });
  try {
    await provider.connect();
    await own.kill();
    await until(() => !provider.isConnected());
    const text = 'Failed to connect to Redis connection [publisher] after retrying for 0.2s.';
    await Promise.all([1, 2].map((n) => assert.rejects(provider.publish({ type: 'n', n }), { name: 'RedisConnectionException', message: text })));
    const last = assert.rejects(provider.publish({ type: 'n' }), { code: 'CLOSED' });
    await provider.disconnect();
    await last;
  } finally {
    client.disconnect();
    await own.stop();
  }
});

test('what waits has a limit, with the engine and with a client', async () => {
  const port = await freePort();
  const client = { isOpen: true, isReady: false, on() {}, off() {}, duplicate() {}, publish: () => assert.fail('it is not ready') };
  for (const options of [{ server: { host: '127.0.0.1', port } }, { client }]) {
    const provider = new RedisPubSubProvider(options);
    const connecting = provider.connect();
    const big = { type: 'n', data: 'ä'.repeat(500_000) };
    const waits = [1, 2, 3, 4, 5, 6, 7, 8].map(() => assert.rejects(provider.publish(big), { code: 'CLOSED' }));
    await assert.rejects(provider.publish(big), { code: 'QUEUE_FULL', retryable: true });
    await provider.disconnect();
    await Promise.all([connecting, ...waits]);
  }
});

test('a client that cannot be duplicated publishes, and the logger hears why it does not subscribe', async () => {
  const sent = [];
  const client = { isOpen: true, on() {}, publish: async (...args) => sent.push(args), quit: () => assert.fail('it is not ours') };
  const record = new Recorder();
  const provider = new RedisPubSubProvider({ client, logger: record });
  await provider.connect();
  assert.match(record.errors[0], /duplicate\(\)/);
  assert.equal(await provider.publish({ type: 'n' }), 1);
  assert.deepEqual(sent, [['reverb', '{"type":"n"}']]);
  await provider.disconnect();
});

test('a factory of ioredis clients, which are closed in the end', async () => {
  const own = await RedisServer.start();
  const urls = [];
  class Factory extends RedisClientFactory {
    async make(url) {
      urls.push(url);
      return super.make(url);
    }
  }
  try {
    await using({ host: '127.0.0.1', port: own.port, database: 2 }, async (provider, record) => {
      assert.equal(await provider.publish(message), 1);
      assert.deepEqual(urls, Array(2).fill(`redis://127.0.0.1:${own.port}?db=2`));
      await until(() => record.seen.length === 1);
      await own.kill();
      await until(() => !provider.isConnected());
      const waits = provider.publish(message);
      await own.restart();
      assert.equal(await waits, 1);
      await until(() => record.seen.length === 2);
    }, new Factory());
    await withAdmin(own.port, async (admin) => {
      await until(async () => String(await admin.command('CLIENT', 'LIST')).trim().split('\n').length === 1);
    });
  } finally {
    await own.stop();
  }
  // One that nobody has changed stands for the engine; the order of Laravel, in which it comes first.
  const record = new Recorder();
  const provider = new RedisPubSubProvider(new RedisClientFactory(), record, 'reverb', { url: server.url });
  await provider.connect();
  assert.equal(await provider.publish(message), 1);
  assert.deepEqual(new Set(await withAdmin(server.port, named('name'))), new Set(['fanwire']));
  await provider.disconnect();
});

// What the original wants of a client, over nothing. `says`: it has a status, as ioredis's have.
class FakeClient extends EventEmitter {
  static all = [];
  isOpen = true;
  constructor(says) {
    super();
    if (says) this.status = 'ready';
    FakeClient.all.push(this);
  }
  async publish(channel, text) {
    const subscribers = FakeClient.all.filter((client) => client.isOpen && client.channel === channel);
    for (const one of subscribers) one.emit('message', channel, text);
    return subscribers.length;
  }
  async subscribe(channel) {
    this.channel = channel;
  }
  async quit() {
    this.break();
  }
  break() {
    if (!this.isOpen) return;
    this.isOpen = false;
    if ('status' in this) this.status = 'end';
    this.emit('close');
    if ('status' in this) this.emit('end');
  }
}

for (const says of [true, false]) {
  test(`a factory of clients of any kind, which fails at first, and whose clients end ${says ? 'and say so' : 'by closing'}`, async () => {
    FakeClient.all.length = 0;
    let attempts = 0;
    const factory = {
      async make(url) {
        assert.equal(url, 'redis://h:1?username=u&password=p%40ss');
        if (++attempts === 1) throw new Error('not yet');
        return new FakeClient(says);
      },
    };
    const open = () => FakeClient.all.filter(({ isOpen }) => isOpen);
    await using({ url: 'redis://u:p%40ss@h:1', database: '0' }, async (provider, record) => {
      assert.deepEqual(record.errors, ['not yet']);
      const counts = [1, 2, 3].map((i) => provider.publish({ type: 'n', i }));
      assert.deepEqual(await Promise.all(counts), [1, 1, 1]);
      assert.deepEqual(record.seen.map((text) => JSON.parse(text).i), [1, 2, 3]);
      let i = 3;
      for (const which of [[0, 1], [1], [0]]) { // of the one that publishes and the one that subscribes
        assert.equal(open().length, 2);
        const both = open();
        for (const one of which) both[one].break();
        if (which.includes(1)) assert.equal(provider.isConnected(), false);
        if (which.includes(1)) await until(() => provider.isConnected());
        assert.equal(await provider.publish({ type: 'n', i: ++i }), 1);
        assert.equal(JSON.parse(record.seen.at(-1)).i, i);
      }
    }, factory);
    await until(() => open().length === 0);
  });
}

// ---- Processes

test('with clients of others nothing of a provider is left after disconnect()', async () => {
  const source = `
    import { Redis } from 'ioredis';
    import { RedisPubSubProvider } from 'fanwire/reverb';
    const client = new Redis(${JSON.stringify(server.url)});
    const provider = new RedisPubSubProvider({ client });
    provider.connect();
    await provider.publish({ type: 'x' }); // it has waited
    await provider.disconnect();
    await client.quit();
    let attempts = 0;
    const clientFactory = { make: async () => (++attempts, Promise.reject(new Error('never'))) };
    const failing = new RedisPubSubProvider({ clientFactory });
    await failing.connect();
    await failing.disconnect();
    process.on('exit', () => console.log(attempts));
  `;
  const options = { cwd: testDir, env: { ...process.env, REVERB_SCALING_ENABLED: 'false' } }; // not of clients that are passed in
  const { code, stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', source], options);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '1\n', stderr: '' });
});

for (const runtime of Object.keys(runtimes)) {
  test(`a provider keeps its process alive until disconnect(), ${runtime}`, async () => {
    const source = `
      import { RedisPubSubProvider } from 'fanwire/reverb';
      const provider = new RedisPubSubProvider({ server: ${JSON.stringify(server.url)} });
      provider.on('end', async () => {
        await provider.disconnect();
        console.log('disconnected');
      });
      await provider.connect();
      console.log('connected');
    `;
    const [command, ...before] = runtimes[runtime];
    const args = runtime === 'deno' ? ['eval', source] : runtime === 'bun' ? ['--eval', source] : ['--input-type=module', '--eval', source];
    const ended = run(command, args, { cwd: testDir });
    await withAdmin(server.port, (admin) =>
      until(async () => (await admin.command('PUBLISH', 'reverb', '{"type":"end"}')) > 0, `a subscriber in ${command} ${before}`));
    const { code, stdout, stderr } = await ended;
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'connected\ndisconnected\n', stderr: '' });
  });
}
