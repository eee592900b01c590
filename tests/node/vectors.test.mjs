// What all languages agree on: tests/vectors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { connect, FanwireError } from './support/fanwire.mjs';

import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { event, until } from './support/wait.mjs';

const load = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url))).cases;

// A field whose bytes may not be text.
const bytesOf = (vector, field) =>
  vector[`${field}_hex`] === undefined ? vector[field] : Buffer.from(vector[`${field}_hex`], 'hex');
const hexOf = (value) => Buffer.from(value).toString('hex');

function isRefused(vector) {
  return (error) => {
    assert.ok(error instanceof FanwireError, error?.stack);
    assert.equal(error.code, vector.status);
    const { message } = error;
    for (const text of vector.mentions ?? []) assert.ok(message.includes(text), `"${message}" lacks ${text}`);
    for (const text of vector.never ?? []) assert.ok(!message.includes(text), `"${message}" has ${text}`);
    return true;
  };
}

for (const name of Object.keys(process.env)) {
  if (name.startsWith('FANWIRE_') || name === 'REDIS_URL') delete process.env[name];
}

test('urls', async (t) => {
  const port = await freePort();
  for (const vector of load('urls')) {
    await t.test(vector.name, async () => {
      if (vector.status !== undefined) return assert.rejects(connect(vector.url), isRefused(vector));
      // Explicit settings win over the URL: so a good one is known by failing at our port and not before.
      const group = vector.url.includes('-sentinel:'); // its sentinels are tried, again and again
      const overridden = group
        ? { nodes: `127.0.0.1:${port}`, maxReconnectAttempts: 1 }
        : { unixPath: '', host: '127.0.0.1', port };
      if (vector.url.toLowerCase().startsWith('memory:')) return (await connect(vector.url)).close();
      // The files of TLS are read before that.
      const code = vector.url.includes('tls_ca_file=') ? 'INVALID_OPTION' : 'CONNECT_FAILED';
      await assert.rejects(connect(vector.url, overridden), { code });
    });
  }
});

test('channels', async (t) => {
  const server = await RedisServer.start();
  const client = await RespClient.connect(server.port);
  for (const vector of load('channels')) {
    await t.test(vector.name, async () => {
      const channel = bytesOf(vector, 'channel');
      const open = () => connect(server.url, { namespace: vector.namespace, channelRules: vector.rules });
      if (vector.status === 'INVALID_OPTION') return assert.rejects(open(), isRefused(vector));
      const bus = await open();
      if (vector.status !== undefined) {
        await assert.rejects(bus.publish(channel, 'x'), isRefused(vector));
        assert.throws(() => bus.subscribe(channel, () => {}), isRefused(vector));
      } else {
        const wire = bytesOf(vector, 'wire');
        const seen = [];
        await bus.subscribe(channel, (message) => seen.push(message)).ready;
        assert.equal(await client.command('PUBLISH', wire, 'to us'), 1);
        await until(() => seen.length === 1);
        assert.equal(hexOf(seen[0].channelBytes), hexOf(channel));
        await client.command('SUBSCRIBE', wire);
        assert.equal(await bus.publish(channel, 'from us'), 2);
        assert.deepEqual((await client.reply()).map(String), ['message', String(Buffer.from(wire)), 'from us']);
        await client.command('UNSUBSCRIBE', wire);
      }
      await bus.close();
    });
  }
  client.close();
  await server.stop();
});

test('patterns', async (t) => {
  const server = await RedisServer.start();
  const client = await RespClient.connect(server.port);
  const memory = await connect('memory://vectors', { namespace: '' });
  for (const vector of load('patterns')) {
    await t.test(vector.name, async () => {
      const pattern = bytesOf(vector, 'pattern');
      if (vector.kind === 'match') return checkMatch(memory, vector, pattern);
      const open = () => connect(server.url, { namespace: vector.namespace, channelRules: vector.rules });
      if (vector.status === 'INVALID_OPTION') return assert.rejects(open(), isRefused(vector));
      const bus = await open();
      if (vector.status !== undefined) {
        assert.throws(() => bus.psubscribe(pattern, () => {}), isRefused(vector));
      } else {
        // Redis does not list patterns, but a client that subscribes to the same one is counted with ours.
        await bus.psubscribe(pattern, () => {}).ready;
        assert.equal(await client.command('PUBSUB', 'NUMPAT'), 1);
        await client.command('PSUBSCRIBE', bytesOf(vector, 'wire'));
        const other = await RespClient.connect(server.port);
        assert.equal(await other.command('PUBSUB', 'NUMPAT'), 1); // distinct patterns: the two are one
        other.close();
        await client.command('PUNSUBSCRIBE', bytesOf(vector, 'wire'));
      }
      await bus.close();
      await until(async () => (await client.command('PUBSUB', 'NUMPAT')) === 0);
    });
  }
  await memory.close();
  client.close();
  await server.stop();
});

async function checkMatch(memory, vector, pattern) {
  const sub = memory.psubscribe(pattern, () => {});
  await sub.ready;
  assert.equal(await memory.publish(bytesOf(vector, 'text'), 'x'), vector.match ? 1 : 0);
  const ended = event(sub, 'ended');
  sub.unsubscribe();
  await ended;
}

test('values', async (t) => {
  const bus = await connect('memory://values');
  const stream = bus.subscribe('c');
  await stream.ready;
  for (const vector of load('values')) {
    await t.test(vector.name, async () => {
      const value = vector.type === 'bytes' ? Buffer.from(vector.hex, 'hex') : vector.value;
      await bus.publish('c', value);
      const { value: message } = await stream.next();
      assert.equal(message.data.toString('hex'), vector.payload_hex);
      if (vector.type === 'json') assert.deepEqual(message.json(), vector.value);
      if (vector.type === 'text') assert.equal(message.text, vector.value);
    });
  }
  await bus.close();
});
