// fanwire/ws-kit/adapter: alone, and below real routers in two processes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createRouter } from '@ws-kit/core';
import { withPubSub } from '@ws-kit/pubsub';
import { createAdapter, redisPubSub } from 'fanwire/ws-kit/adapter';
import { createClient } from 'redis-5';

import { Member, runtimes } from './support/member.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

const members = async (adapter, topic) => {
  const all = [];
  for await (const id of adapter.getSubscribers(topic)) all.push(id);
  return all;
};

test('without a URL: exact counts, and nothing to start', async () => {
  const adapter = createAdapter();
  assert.equal('start' in adapter, false);
  await adapter.subscribe('a', 't');
  await adapter.subscribe('a', 't');
  await adapter.subscribe('b', 't');
  const cyclic = {};
  cyclic.self = cyclic;
  const publish = (meta, payload = 1n) => adapter.publish({ topic: 't', payload, meta });
  assert.deepEqual(await publish(), { ok: true, capability: 'exact', matched: 2 });
  assert.equal((await publish({ excludeClientId: 'a' }, cyclic)).matched, 1);
  assert.equal((await publish({ excludeClientId: 'stranger' })).matched, 2);
  assert.deepEqual(await members(adapter, 't'), ['a', 'b']);
  assert.deepEqual(await adapter.replace('a', ['t', 'u', 'v', 'u']), { added: 2, removed: 0, total: 3 });
  assert.deepEqual(await adapter.replace('a', ['u']), { added: 0, removed: 2, total: 1 });
  assert.deepEqual(await adapter.replace('a', ['u']), { added: 0, removed: 0, total: 1 });
  const topics = await adapter.listTopics();
  assert.deepEqual([topics, Object.isFrozen(topics)], [['t', 'u'], true]);
  await adapter.unsubscribe('b', 't');
  await adapter.unsubscribe('b', 't');
  assert.equal(await adapter.hasTopic('t'), false);
  assert.deepEqual(await members(adapter, 't'), []);
  assert.deepEqual(await adapter.publish({ topic: 'none', payload: 1 }), { ok: true, capability: 'exact', matched: 0 });
  await adapter.close();
});

test('without a URL, below a router', async () => {
  const router = createRouter().plugin(withPubSub({ adapter: createAdapter() }));
  const result = await router.publish('room', { messageType: 'X', kind: 'event' }, {});
  assert.deepEqual(result, { ok: true, capability: 'exact', matched: 0 });
  await router.pubsub.shutdown();
});

test('with Redis: failures are results, bad messages are dropped, topics are those of clients', async () => {
  const server = await RedisServer.start();
  const logged = [];
  const logger = { error: (text) => logged.push(text) };
  const adapter = redisPubSub(server.url, { channelPrefix: 'p:', logger });
  const raw = await RespClient.connect(server.port);
  try {
    const cyclic = {};
    cyclic.self = cyclic;
    for (const payload of [1n, cyclic]) {
      const { ok, error, retryable } = await adapter.publish({ topic: 't', payload });
      assert.deepEqual({ ok, error, retryable }, { ok: false, error: 'ADAPTER_ERROR', retryable: false });
    }
    const seen = [];
    await adapter.subscribe('a', 'early');
    const stop = await adapter.start(async (envelope) => {
      seen.push(envelope);
      throw new Error('of the router');
    });
    await assert.rejects(async () => adapter.start(() => {}), Error);
    await adapter.subscribe('a', 't');
    const channels = async () => (await raw.command('PUBSUB', 'CHANNELS')).map(String).sort();
    assert.deepEqual(await channels(), ['p:early', 'p:t']);
    for (const bad of ['{', 'null', '7', '{"topic":"other","payload":1}', Buffer.from([0xff, 0])]) await raw.command('PUBLISH', 'p:t', bad);
    const envelope = { topic: 't', payload: { x: 'a\0b' }, type: 'X', meta: { excludeClientId: 'a' } };
    assert.deepEqual(await adapter.publish(envelope), { ok: true, capability: 'unknown' });
    await until(() => seen.length === 1 && logged.length === 6);
    assert.deepEqual(seen, [envelope]);
    await adapter.unsubscribe('a', 't');
    await adapter.replace('a', []);
    await until(async () => (await channels()).length === 0);
    await adapter.subscribe('b', 'late');
    await server.kill();
    await until(async () => !(await adapter.publish(envelope)).ok);
    assert.equal((await adapter.publish(envelope)).retryable, true);
    await server.restart();
    seen.length = 0;
    await until(async () => (await adapter.publish({ topic: 'late', payload: 1 }), seen.length > 0));
    await stop();
    await stop();
    await adapter.close();
    assert.equal((await adapter.publish(envelope)).ok, false);
  } finally {
    raw.close();
    await adapter.close();
    await server.stop();
  }
});

test('a client that is passed in publishes, is duplicated, and stays open', async () => {
  const server = await RedisServer.start();
  const client = createClient({ url: server.url });
  client.on('error', () => {});
  await client.connect();
  const [one, other] = [createAdapter(client), createAdapter({ url: server.url })];
  try {
    const seen = [];
    for (const adapter of [one, other]) {
      await adapter.start((envelope) => seen.push(envelope));
      await adapter.subscribe('a', 't');
    }
    for (const adapter of [one, other]) {
      await adapter.publish({ topic: 't', payload: 'a\0é' });
      await until(() => seen.length === 2);
      assert.deepEqual(seen.splice(0), Array(2).fill({ topic: 't', payload: 'a\0é' }));
    }
    await one.close();
    assert.equal(await client.ping(), 'PONG');
  } finally {
    await Promise.all([one.close(), other.close()]);
    client.destroy();
    await server.stop();
  }
});

test('it starts while Redis is away', async () => {
  const adapter = createAdapter({ url: `redis://127.0.0.1:${await freePort()}` });
  await adapter.start(() => {});
  await adapter.subscribe('a', 't');
  assert.deepEqual(await members(adapter, 't'), ['a']);
  await adapter.close();
});

for (const runtime of Object.keys(runtimes)) {
  test(`routers of two processes, and a Redis that is killed, ${runtime}`, async () => {
    const server = await RedisServer.start();
    const all = [];
    try {
      for (const name of ['a', 'b']) all.push(await Member.start(runtime, 'ws-kit-router.mjs', server.url, name));
      const [a, b] = all;
      for (const member of all) {
        for (const client of [0, 1]) {
          member.send([client, 'JOIN']);
          await member.saw('joined');
        }
      }
      const talk = async (from, name, other) => {
        from.send([0, 'SAY']);
        await from.saw({ ok: true });
        const payload = { from: name, text: 'a\0b' };
        await from.saw({ client: 1, payload });
        await other.saw({ client: 0, payload });
        await other.saw({ client: 1, payload });
        assert.deepEqual([from.lines, other.lines], [[], []]); // the sender is left out
      };
      await talk(a, 'a', b);
      await talk(b, 'b', a);
      await server.kill();
      await until(async () => {
        a.send([0, 'SAY']);
        await until(() => a.lines.some(({ ok }) => ok !== undefined));
        const { ok } = a.lines.pop();
        return !ok;
      });
      await server.restart();
      const raw = await RespClient.connect(server.port);
      await until(async () => (await raw.command('PUBSUB', 'NUMSUB', 'room'))[1] === 2);
      raw.close();
      for (const member of all) {
        await until(async () => {
          member.send([0, 'SAY']);
          await until(() => member.lines.some(({ ok }) => ok !== undefined));
          return member.lines.some(({ ok }) => ok);
        });
      }
      await until(() => [a, b].every(({ lines }) => ['a', 'b'].every((from) => lines.some(({ payload }) => payload?.from === from))));
      for (const member of all) assert.equal((await member.end()).code, 0);
    } finally {
      for (const { process: one } of all) one.child.kill('SIGKILL');
      await server.stop();
    }
  });
}
