// fanwire/socket.io over clients of the application's, and the sharded wire of @socket.io/redis-adapter.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { createAdapter as createRedisAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import * as ioredis5 from 'ioredis';
import * as ioredis6 from 'ioredis-6';
import msgpack from 'notepack.io';
import * as redis4 from 'redis';
import * as redis5 from 'redis-5';
import * as redis6 from 'redis-6';

import { createAdapter } from 'fanwire/socket.io';
import { Emitter } from 'fanwire/socket.io/emitter';

import { RedisServer } from './support/redis.mjs';
import { closeAtEnd, serve, serveFanwire, Server47 } from './support/socketio.mjs';
import { event, until } from './support/wait.mjs';

// What the faces share is no module of the package.
const require = createRequire(import.meta.url);
const { ClientBus } = require(path.join(path.dirname(require.resolve('fanwire/socket.io')), '../client.js'));

let redis;
before(async () => (redis = await RedisServer.start()));
after(() => redis.stop());

const names = (got) => got.map(([name]) => name);
const bytes = Buffer.from([0, 255, 0, 13, 10]);

const ofRedis = ({ createClient }) => async () => {
  const client = createClient({ url: redis.url, socket: { reconnectStrategy: 20 } });
  client.on('error', () => {});
  await client.connect();
  closeAtEnd(() => (client.isReady ? client.quit() : client.disconnect()));
  return client;
};

const ofIoredis = ({ Redis }) => async () => {
  const client = new Redis(redis.url, { retryStrategy: () => 20 });
  client.on('error', () => {});
  await until(() => client.status === 'ready');
  closeAtEnd(() => client.disconnect());
  return client;
};

const makers = {
  'redis 4': ofRedis(redis4), 'redis 5': ofRedis(redis5), 'redis 6': ofRedis(redis6),
  'ioredis 5': ofIoredis(ioredis5), 'ioredis 6': ofIoredis(ioredis6),
};

async function pairOf(make, wire, original) {
  const makeTheirs = makers['redis 4'];
  const ours = await serve(createAdapter(await make(), { wire, requestsTimeout: 1000 }), Server47);
  const theirs = await serve(original(await makeTheirs(), await makeTheirs()));
  for (const { adapter } of [ours, theirs]) await until(async () => (await adapter.serverCount()) === 2);
  return { servers: [ours, theirs], people: await Promise.all([ours.connect(), theirs.connect()]) };
}

for (const client of Object.keys(makers)) {
  for (const [wire, original] of [['sharded', createShardedAdapter], ['classic', createRedisAdapter]]) {
    describe(`${wire}, over ${client}`, () => {
      test('both halves of a fleet, both ways', async () => {
        const { servers, people } = await pairOf(makers[client], wire, original);
        for (const [i, server] of servers.entries()) {
          const [here, there] = i === 0 ? people : [...people].reverse();
          const other = servers[1 - i];
          const room = `room ${i}`;
          await Promise.all([here.socket.join([room, 7]), there.socket.join([room, 7])]);
          // A room may take a moment to be subscribed at the original.
          await until(() => {
            server.io.to(room).emit('ready');
            return names(there.got).includes('ready');
          });
          server.io.to(room).emit('room', bytes, { deep: [bytes, 'a\0b'] });
          server.io.to(there.socket.id).emit('private');
          server.io.except(room).emit('nobody');
          server.io.to([room, 'x']).emit('rooms');
          server.io.emit('end');
          await until(() => names(there.got).includes('end'));
          const got = there.got.filter(([name]) => name !== 'ready');
          assert.deepEqual(got.slice(0, 1), [['room', bytes, { deep: [bytes, 'a\0b'] }]]);
          assert.deepEqual(names(got).sort(), ['end', 'private', 'room', 'rooms']);

          assert.equal((await server.io.fetchSockets()).length, 2);
          other.io.on('ask', (text, answer) => answer(`${text} ${i}`));
          assert.deepEqual(await server.io.serverSideEmitWithAck('ask', 'x'), [`x ${i}`]);
          for (const person of people) person.client.on('ask', (given, answer) => answer(given));
          assert.deepEqual(await server.io.timeout(1000).emitWithAck('ask', bytes), [bytes, bytes]);
          for (const person of people) {
            person.client.off('ask');
            person.got.length = 0;
          }
        }
        servers[0].io.in('room 0').socketsLeave('room 0');
        await until(() => people.every(({ socket }) => !socket.rooms.has('room 0')));
        servers[1].io.disconnectSockets(true);
        await until(() => people.every(({ socket }) => !socket.connected));
      });
    });
  }

  test(`Redis away and back, over ${client}`, async () => {
    const given = await makers[client]();
    const [a, b] = await Promise.all([given, await makers[client]()].map((each) => serve(createAdapter(each))));
    await until(async () => (await a.adapter.serverCount()) === 2);
    const people = await Promise.all([a.connect(), b.connect()]);
    await Promise.all(people.map(({ socket }) => socket.join('room')));
    const told = new Set();
    for (const name of ['lost', 'gap', 'resumed']) b.adapter.on(name, (room) => told.add(`${name} ${room}`));
    const unsent = event(a.adapter, 'unsent');
    await redis.kill();
    try {
      await until(() => !a.bus.connected);
      a.io.to('room').emit('away');
      await until(() => names(people[0].got).includes('away'));
      assert.equal((await unsent)[0].code, 'NOT_CONNECTED');
    } finally {
      await redis.restart();
    }
    await until(() => told.size === 6);
    await until(() => {
      if (a.bus.connected) a.io.to('room').emit('back');
      return names(people[1].got).includes('back');
    });
    assert.ok(!names(people[1].got).includes('away'));
    await Promise.all([a.adapter.close(), b.adapter.close()]);
    assert.equal(await given.publish('still', 'open'), 0); // and nobody is left who subscribes
    const list = () => given.client?.('LIST') ?? given.sendCommand(['CLIENT', 'LIST']);
    await until(async () => !/ sub=[1-9]/.test(await list()));
  });
}

// What does not connect again by itself has to be connected by the application; the duplicate is ours, and follows.
for (const [client, make] of [
  ['redis 4', () => redis4.createClient({ url: redis.url, socket: { reconnectStrategy: () => new Error('enough') } })],
  ['redis 6', () => redis6.createClient({ url: redis.url, socket: { reconnectStrategy: false } })],
  ['ioredis 5', () => new ioredis5.Redis(redis.url, { retryStrategy: () => null, lazyConnect: true })],
]) {
  test(`a client that gives up and is connected again: ${client}`, async () => {
    const given = make();
    given.on('error', () => {});
    await given.connect();
    closeAtEnd(() => given.disconnect());
    const bus = new ClientBus(given, { binary: true });
    closeAtEnd(() => bus.close());
    const got = [];
    const subscription = bus.subscribe('channel', ({ text }) => got.push(text));
    await subscription.ready;
    const told = [];
    for (const name of ['lost', 'gap', 'resumed']) subscription.on(name, () => told.push(name));
    await redis.kill();
    try {
      await until(() => told.includes('lost') && !bus.connected);
    } finally {
      await redis.restart();
    }
    await given.connect();
    await until(() => told.includes('resumed'));
    assert.deepEqual(told, ['lost', 'gap', 'resumed']);
    await bus.publish('channel', 'again');
    await until(() => got.length === 1);
  });
}

test('an emitter over a client, and one server over a bus', async () => {
  const server = await serveFanwire(redis.url, { wire: 'classic' });
  const { socket, got } = await server.connect();
  const client = await makers['redis 4']();
  const emitter = new Emitter(client, { wire: 'classic' });
  emitter.to(socket.id).emit('hello', bytes);
  await until(() => got.length === 1);
  assert.deepEqual(got, [['hello', bytes]]);
  await emitter.close();
  assert.ok(client.isReady);
});

describe('over clients of a cluster', () => {
  let cluster;
  before(async () => {
    cluster = await RedisServer.start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1');
    const admin = redis4.createClient({ url: cluster.url });
    await admin.connect();
    await admin.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
    await until(async () => (await admin.sendCommand(['CLUSTER', 'INFO'])).includes('cluster_state:ok'));
    await admin.quit();
  });
  after(() => cluster.stop());

  const clusterOf = {
    'redis 4': ofClusterOf(redis4), 'redis 6': ofClusterOf(redis6),
    async 'ioredis 5'() {
      const client = new ioredis5.Cluster([{ host: '127.0.0.1', port: cluster.port }], { shardedSubscribers: true });
      await until(() => client.status === 'ready');
      closeAtEnd(() => client.disconnect());
      return client;
    },
  };
  function ofClusterOf({ createCluster }) {
    return async () => {
      const client = createCluster({ rootNodes: [{ url: cluster.url }] });
      client.on('error', () => {});
      await client.connect();
      closeAtEnd(() => (client.close ?? client.disconnect).call(client));
      return client;
    };
  }
  for (const [name, make] of Object.entries(clusterOf)) {
    for (const wire of ['sharded', 'interest']) {
      test(`${name}, ${wire}`, async () => {
        const [a, b] = await Promise.all([1, 2].map(async () => serve(createAdapter(await make(), { wire }))));
        await until(async () => (await a.adapter.serverCount()) === 2 && (await b.adapter.serverCount()) === 2);
        const people = await Promise.all([a.connect(), b.connect()]);
        await people[1].socket.join('room');
        a.io.to('room').emit('room', bytes);
        await until(() => people[1].got.length === 1);
        assert.deepEqual(people[1].got, [['room', bytes]]);
        assert.equal((await b.io.fetchSockets()).length, 2);
      });
    }
  }
});

test("over a client of text alone, as Bun's is", async () => {
  const sent = [];
  const listeners = new Map();
  const client = {
    connected: true,
    async connect() {},
    duplicate: async () => ({ ...client }),
    close() {},
    psubscribe() {},
    subscribe: async (name, listener) => listeners.set(name, listener),
    unsubscribe: async (name) => listeners.delete(name),
    publish: async (...args) => sent.push(args),
    send: async () => ['x', 1],
  };
  const { io, adapter, connect } = await serve(createAdapter(client));
  const { got } = await connect();
  await until(() => listeners.has('fanwire:socket.io#/#'));
  io.emit('text', 'é');
  io.emit('bytes', bytes);
  assert.ok(sent[0][1].startsWith('{"uid":') && sent[1][1].startsWith('~'));
  await until(() => got.length === 2);
  const invalid = event(adapter, 'invalid');
  const receive = listeners.get('fanwire:socket.io#/#');
  receive('\ufffd\ufffdbytes as text', 'fanwire:socket.io#/#');
  assert.match((await invalid)[0].message, /it has bytes/);
  receive(`~${Buffer.from(msgpack.encode({
    uid: 'x', nsp: '/', type: 3, data: { packet: { type: 2, data: ['bytes', bytes] }, opts: { rooms: [], except: [] } },
  })).toString('base64')}`, 'fanwire:socket.io#/#');
  await until(() => got.length === 3);
  assert.deepEqual(got, [['text', 'é'], ['bytes', bytes], ['bytes', bytes]]);
  await assert.rejects(serve(createAdapter(client, { wire: 'classic' })), /^TypeError: the classic wire is made of bytes/);
  await assert.rejects(serve(createAdapter(client, { wire: 'sharded' })), /^TypeError: Bun's RedisClient has no sharded/);
  assert.throws(() => new Emitter(client, { wire: 'classic' }), /^TypeError: the classic wire is made of bytes/);
});

test('the sharded wire needs a client', () => {
  assert.throws(() => createAdapter(redis.url, { wire: 'sharded' }), /^TypeError: the sharded wire needs a client/);
  assert.throws(() => createAdapter(null, { client: {} }),
    /^TypeError: client must be one of ioredis or redis, or Bun's RedisClient$/);
});
