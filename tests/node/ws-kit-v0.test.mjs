// fanwire/ws-kit/v0: the createRedisPubSub() that the document of @ws-kit/redis-pubsub 0.1 describes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createRedisPubSub, RedisPubSub } from 'fanwire/ws-kit/v0';

import { freePort, RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

async function using(options, body) {
  const pubsub = createRedisPubSub(options);
  try {
    await body(pubsub);
  } finally {
    await pubsub.destroy();
  }
}

test('the table of the document, on the wire and back', async () => {
  const raw = await RespClient.connect(server.port);
  await raw.command('SUBSCRIBE', 'ws:c');
  await using({ url: server.url }, async (pubsub) => {
    assert.ok(pubsub instanceof RedisPubSub);
    const seen = [];
    const args = [];
    pubsub.subscribe('c', (...all) => {
      args.push(all.length);
      seen.push(all[0]);
    });
    await until(async () => pubsub.isConnected());
    const table = [
      ['as it is\0', 'as it is\0', 'as it is\0'], [{ a: 1 }, '{"a":1}', { a: 1 }], [7, '7', 7], [true, 'true', true],
      [null, 'null', null], [new Uint8Array([0, 255]), 'AP8=', 'AP8='], [new Uint8Array([1, 2]).buffer, 'AQI=', 'AQI='],
    ];
    const admin = await RespClient.connect(server.port);
    await until(async () => (await admin.command('PUBSUB', 'NUMSUB', 'ws:c'))[1] === 2);
    for (const [value, wire] of table) {
      assert.equal(await pubsub.publish('c', value), undefined);
      assert.equal(String((await raw.reply())[2]), wire);
    }
    await until(() => seen.length === table.length);
    assert.deepEqual(seen, table.map(([, , back]) => back));
    assert.deepEqual(new Set(args), new Set([1]));
    admin.close();
  });
  raw.close();
});

test('host, port, password, db, and a namespace', async () => {
  const own = await RedisServer.start('--requirepass', 'secret');
  try {
    await using({ host: '127.0.0.1', port: own.port, password: 'secret', db: 1, namespace: 'tenant:acme' }, async (pubsub) => {
      const seen = [];
      pubsub.subscribe('c', (message) => seen.push(message));
      const admin = await RespClient.connect(own.port);
      await admin.command('AUTH', 'secret');
      await until(async () => (await admin.command('PUBLISH', 'tenant:acme:c', 'x')) === 1);
      await until(() => seen.includes('x'));
      admin.close();
    });
  } finally {
    await own.stop();
  }
});

test('serializeMessage() and deserializeMessage() take the place of the table', () =>
  using({ url: server.url, serializeMessage: (value) => `<${value}>`, deserializeMessage: (text) => text.slice(1, -1) }, async (pubsub) => {
    const seen = [];
    const handler = (message) => seen.push(message);
    pubsub.subscribe('c', handler);
    await until(async () => (await pubsub.publish('c', 'x'), seen.length > 0));
    assert.equal(seen[0], 'x');
    pubsub.unsubscribe('c', handler);
    pubsub.unsubscribe('c', handler);
    pubsub.unsubscribe('never', handler);
  }));

test('onConnect, onDisconnect and onError, and subscriptions that last', async () => {
  const own = await RedisServer.start();
  try {
    const events = [];
    const hook = (name) => (error) => events.push(error === undefined ? name : [name, error instanceof Error]);
    const hooks = Object.fromEntries(['onConnect', 'onDisconnect', 'onError'].map((name) => [name, hook(name)]));
    await using({ url: own.url, maxReconnectDelay: 50, ...hooks }, async (pubsub) => {
      assert.equal(pubsub.isConnected(), false);
      await until(() => events.includes('onConnect')); // as the document waits for it
      const seen = [];
      pubsub.subscribe('c', () => {
        throw new Error('of a handler');
      });
      pubsub.subscribe('c', (message) => seen.push(message));
      await until(async () => (await pubsub.publish('c', 'x'), seen.length > 0));
      await own.kill();
      await until(() => events.includes('onDisconnect'));
      await assert.rejects(pubsub.publish('c', 'lost'));
      assert.equal(pubsub.isConnected(), false);
      await own.restart();
      seen.length = 0;
      await until(async () => (await pubsub.publish('c', 'y').catch(() => {}), seen.includes('y')));
      assert.equal(events.filter((name) => name === 'onConnect').length, 2);
      assert.ok(events.some((one) => one[0] === 'onError' && one[1]));
    });
  } finally {
    await own.stop();
  }
});

test('after destroy(), and an address that cannot be', async () => {
  const errors = [];
  for (const url of ['redis://invalid.host:99999', `redis://127.0.0.1:${await freePort()}`]) {
    const pubsub = createRedisPubSub({ url, onError: (error) => errors.push(error) });
    await until(() => errors.length > 0);
    await assert.rejects(pubsub.publish('c', 1));
    pubsub.subscribe('c', () => {});
    await Promise.all([pubsub.destroy(), pubsub.destroy()]);
    assert.throws(() => pubsub.subscribe('c', () => {}), /destroyed/);
    await assert.rejects(pubsub.publish('c', 1), /destroyed/);
    assert.equal(pubsub.isConnected(), false);
    errors.length = 0;
  }
});
