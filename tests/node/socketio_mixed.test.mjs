// fanwire/socket.io in a fleet with @socket.io/redis-adapter and @socket.io/redis-emitter, and among publishers of
// anything.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Emitter as RedisEmitter } from '@socket.io/redis-emitter';
import msgpack from 'notepack.io';
import { createClient } from 'redis';

import { Emitter } from 'fanwire/socket.io/emitter';

import * as fanwire from './support/fanwire.mjs';
import { RedisServer } from './support/redis.mjs';
import { closeAtEnd, Server47, serveFanwire, serveOriginal } from './support/socketio.mjs';
import { event, until } from './support/wait.mjs';

let redis;
before(async () => (redis = await RedisServer.start()));
after(() => redis.stop());

const names = (got) => got.map(([name]) => name);
const bytes = Buffer.from([0, 255, 0, 13, 10]);

// Each half as the one that asks and as the one that is asked.
for (const publishOnSpecificResponseChannel of [false, true]) {
  for (const askedFirst of ['ours', 'theirs']) {
    const answers = publishOnSpecificResponseChannel ? 'a channel of its own' : 'the common one';
    describe(`${askedFirst} first, answers on ${answers}`, () => {
      // [the one that acts, the other]
      async function pair() {
        const options = { publishOnSpecificResponseChannel };
        const ours = await serveFanwire(redis.url, { wire: 'classic', ...options }, Server47);
        const theirs = await serveOriginal(redis.url, options);
        const servers = askedFirst === 'ours' ? [ours, theirs] : [theirs, ours];
        for (const { adapter } of servers) await until(async () => (await adapter.serverCount()) === 2);
        const people = await Promise.all(servers.map((server) => server.connect()));
        return { servers, people, ios: servers.map(({ io }) => io) };
      }

      test('broadcasts', async () => {
        const { ios, people: [here, there] } = await pair();
        await there.socket.join(['room', 7, 'a\0b']);
        ios[0].emit('all', bytes, { deep: [bytes, null, 'a\0b'] });
        ios[0].to('room').emit('room');
        ios[0].to(7).emit('number');
        ios[0].to('a\0b').emit('a\0b', 'c\0d');
        ios[0].to(['room', 'x']).emit('rooms');
        ios[0].except('room').emit('nobody there');
        ios[0].to(there.socket.id).emit('private');
        here.socket.broadcast.emit('end');
        await until(() => names(there.got).includes('end'));
        assert.deepEqual(names(there.got), ['all', 'room', 'number', 'a\0b', 'rooms', 'private', 'end']);
        assert.deepEqual(there.got[0], ['all', bytes, { deep: [bytes, null, 'a\0b'] }]);
        assert.deepEqual(there.got[3], ['a\0b', 'c\0d']);
        assert.deepEqual(names(here.got), ['all', 'nobody there']);
      });

      test('sockets of the others', async () => {
        const { servers, ios, people: [, there] } = await pair();
        there.socket.data.name = 'Bob';
        ios[0].socketsJoin(['x', 'y']);
        await until(() => there.socket.rooms.has('y'));
        const sockets = await ios[0].in('x').fetchSockets();
        assert.equal(sockets.length, 2);
        const remote = sockets.find(({ id }) => id === there.socket.id);
        assert.equal(remote.data.name, 'Bob');
        assert.ok(remote.rooms.has('x') && remote.handshake.headers);
        assert.ok((await servers[0].adapter.allRooms()).has(there.socket.id));
        remote.leave('y');
        await until(() => !there.socket.rooms.has('y'));
        ios[0].in(there.socket.id).socketsJoin('at once');
        ios[0].to('at once').emit('at once');
        await until(() => names(there.got).includes('at once'));
        remote.disconnect(true);
        await until(() => !there.client.connected);
      });

      test('servers', async () => {
        const { ios } = await pair();
        const told = event(ios[1], 'hello');
        ios[0].serverSideEmit('hello', 'a\0b', [1]);
        assert.deepEqual(await told, ['a\0b', [1]]);
        ios[1].on('ask', (text, answer) => answer({ heard: text }));
        assert.deepEqual(await ios[0].serverSideEmitWithAck('ask', 'x'), [{ heard: 'x' }]);
      });

      test('acknowledgements', async () => {
        const { ios, people } = await pair();
        for (const [i, { client }] of people.entries()) {
          client.on('ask', (given, answer) => answer(Buffer.concat([given, Buffer.from([i])])));
        }
        const answers = await ios[0].timeout(1000).emitWithAck('ask', bytes);
        assert.deepEqual(answers.sort(Buffer.compare), [0, 1].map((i) => Buffer.concat([bytes, Buffer.from([i])])));
      });
    });
  }
}

test('both halves after a restart of Redis', async () => {
  const ours = await serveFanwire(redis.url, { wire: 'classic' });
  const theirs = await serveOriginal(redis.url);
  const people = await Promise.all([ours.connect(), theirs.connect()]);
  await redis.kill();
  await until(() => !ours.bus.connected);
  ours.io.emit('away');
  await until(() => people[0].got.length === 1);
  await redis.restart();
  await until(async () => (await ours.adapter.serverCount()) === 2);
  await until(() => ours.bus.health().ok);
  ours.io.emit('to theirs');
  await until(() => names(people[1].got).includes('to theirs'));
  theirs.io.emit('to ours');
  await until(() => names(people[0].got).includes('to ours'));
});

async function redisClient() {
  const client = createClient({ url: redis.url });
  await client.connect();
  closeAtEnd(() => client.disconnect());
  return client;
}

for (const [what, makeEmitter] of [
  ['@socket.io/redis-emitter', async () => new RedisEmitter(await redisClient())],
  ['fanwire/socket.io/emitter', async () => {
    const emitter = new Emitter(redis.url, { wire: 'classic' });
    closeAtEnd(() => emitter.close());
    return emitter;
  }],
]) {
  test(`${what} reaches both halves`, async () => {
    const ours = await serveFanwire(redis.url, { wire: 'classic' });
    const theirs = await serveOriginal(redis.url);
    await until(async () => (await ours.adapter.serverCount()) === 2);
    const people = await Promise.all([ours.connect(), theirs.connect()]);
    const emitter = await makeEmitter();
    emitter.socketsJoin('room');
    await until(() => people.every(({ socket }) => socket.rooms.has('room')));
    const told = Promise.all([event(ours.io, 'hello'), event(theirs.io, 'hello')]);
    emitter.serverSideEmit('hello', 1);
    assert.deepEqual(await told, [[1], [1]]);
    emitter.to('room').volatile.emit('room', bytes, 'a\0b');
    emitter.to(['room', 'x']).except(people[0].socket.id).emit('one');
    for (const { socket } of people) emitter.to(socket.id).emit('private');
    emitter.emit('end');
    await until(() => people.every(({ got }) => names(got).includes('end')));
    assert.deepEqual(people[0].got, [['room', bytes, 'a\0b'], ['private'], ['end']]);
    assert.deepEqual(people[1].got, [['room', bytes, 'a\0b'], ['one'], ['private'], ['end']]);
    emitter.in('room').socketsLeave('room');
    await until(() => people.every(({ socket }) => !socket.rooms.has('room')));
    emitter.disconnectSockets(true);
    await until(() => people.every(({ client }) => !client.connected));
  });
}

// What may be in a body: nothing, no JSON and no msgpack, other types everywhere, and what would end a client or a
// server.
function wrongBodies({ uid }) {
  const id = 'x'.repeat(8);
  const opts = { rooms: [], except: [], flags: {} };
  const packets = [null, 5, 'x', [], {}, { data: 5 }, { data: [] }, { data: [null] }, { data: ['connect'] },
    { data: ['disconnect'] }, { data: [{}] }, { type: 2, data: 'x' }];
  const wrongOpts = [null, 5, [], { rooms: 5 }, { rooms: [null] }, { rooms: [{}] }, { rooms: 'room' }, { except: {} },
    { rooms: [[]] }];
  const sockets = [5, [null], [{}], [{ id: 5 }], [{ id: 'a', handshake: {}, rooms: 5 }],
    [{ id: 'a', handshake: null, rooms: [] }]];
  const classic = [
    ...packets.flatMap((packet) => [[id, packet, opts], { uid: id, requestId: 'r', type: 7, packet, opts }]),
    ...wrongOpts.flatMap((wrong) => [
      [id, { data: ['never'] }, wrong], ...[2, 3, 4, 5, 7].map((type) => (
        { uid: id, requestId: 'r', type, opts: wrong, rooms: ['room'], packet: { data: ['never'] } })),
    ]),
    ...[undefined, null, 5, 'room', [null]].flatMap((rooms) => [2, 3].map((type) => ({ uid: id, type, opts, rooms }))),
    ...[null, 5, 'x', {}, [], [5], ['connection'], ['connect'], ['error'], ['new_namespace']].flatMap((data) => [
      { uid: id, type: 6, data }, { uid: id, type: 6, data, requestId: 'r' }]),
    ...sockets.map((list) => ({ requestId: 'r', sockets: list })),
    ...[null, -1, 1.5, 'x', {}].flatMap((n) => [
      { type: 8, requestId: 'r', clientCount: n }, { type: 8, requestId: n, clientCount: 1 }]),
    ...[5, null, {}, 'x'].map((requestId) => ({ type: 9, requestId })),
    {}, [], [null], [id], { type: 99 }, { type: '__proto__' }, { type: 'constructor' }, { uid, type: 6, data: [0] },
    null, true,
  ];
  const modern = [
    ...packets.flatMap((packet) => [[3, { packet, opts }], [3, { requestId: 'r', packet, opts }]]),
    ...wrongOpts.flatMap((wrong) => [3, 4, 5, 6, 7].map((type) => (
      [type, { requestId: 'r', opts: wrong, rooms: ['room'], packet: { data: ['never'] } }]))),
    ...[null, 5, 'x', {}, [], ['connection'], ['error']].map((packet) => [9, { packet }]),
    ...sockets.map((list) => [8, { requestId: 'r', sockets: list }]),
    ...[null, -1, 'x'].map((clientCount) => [11, { requestId: 'r', clientCount }]),
    ...[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 101, 102].flatMap((type) => (
      [null, 5, [], {}, undefined].map((data) => [type, data]))),
    [99, {}], ['__proto__', {}], ['constructor', {}], [null, {}],
  ].map(([type, data]) => ({ uid: id, nsp: '/', type, data }));
  const deep = `{"data":["never",${'['.repeat(50_000)}${']'.repeat(50_000)}]}`;
  const raw = ['', '{', '{}', 'null', '[]', 'x', '\0', '{"type":2}', Buffer.from([0xc1]),
    Buffer.from([0xdd, 255, 255, 255, 255]), Buffer.alloc(70_000, 0x91),
    `{"uid":"a","nsp":"/","type":3,"data":{"opts":{},"packet":${deep}}}`,
    `{"uid":"a","type":7,"requestId":"r","opts":{},"packet":${deep}}`];
  // Broadcasts as fanwire writes them, the arguments last.
  const written = (given, args) => `{"uid":"a","nsp":"/","type":3,"data":{"opts":${given},"packet":{"type":2,"data":${args}}}}`;
  raw.push(
    ...['', 'null', '5', '"x"', '{}', '[]', '[null]', '[{}]', '["connect"]', '["disconnect"]', '["never"', '["never"]]',
      `["never",${'['.repeat(50_000)}${']'.repeat(50_000)}]`].map((args) => written('{"rooms":[],"except":[]}', args)),
    ...wrongOpts.map((given) => written(JSON.stringify(given), '["never"]')), written('', '["never"]'), written('{', '["never"]'),
  );
  const encodings = (value) => [JSON.stringify(value), Buffer.from(msgpack.encode(value))];
  return [...raw, ...[...classic, ...modern].flatMap(encodings)];
}

for (const wire of ['interest', 'classic']) {
  test(`bodies that are not what they should be, ${wire}`, async () => {
    const server = await serveFanwire(redis.url, { wire });
    const { client, socket, got } = await server.connect();
    await socket.join('room');
    const failures = [];
    server.bus.on('handlerError', (error) => failures.push(error));
    server.io.on('connection', (arrived) => arrived.id);
    let invalid = 0;
    server.adapter.on('invalid', (error, { channel, data }) => {
      assert.ok(error instanceof Error && typeof channel === 'string' && Buffer.isBuffer(data));
      ++invalid;
    });
    const publisher = await fanwire.connect(redis.url, { namespace: '' });
    const channels = wire === 'classic'
      ? ['socket.io#/#', 'socket.io#/#room#', 'socket.io-request#/#', 'socket.io-response#/#']
      : ['fanwire:socket.io#/#', 'fanwire:socket.io#/#r#room', `fanwire:socket.io#/#s#${server.adapter.uid}`];
    // While questions are open, whose id anybody may have seen.
    const resolve = () => failures.push('resolved');
    server.adapter.requests.set('r', { type: 7, current: 0, expected: 1, responses: [], resolve });
    server.adapter.ackRequests.set('r', { clientCountCallback: (n) => failures.push(n), ack() {} });
    const bodies = wrongBodies(server.adapter);
    for (const channel of channels) {
      for (const body of bodies) publisher.publishNoWait(channel, body);
    }
    const opts = { rooms: ['room'], except: [] };
    const packet = { data: ['end'] };
    const end = wire === 'classic'
      ? ['socket.io#/#room#', msgpack.encode(['x', packet, opts])]
      : ['fanwire:socket.io#/#r#room', JSON.stringify({ uid: 'x', nsp: '/', type: 3, data: { packet, opts } })];
    await publisher.publish(...end);
    await until(() => names(got).includes('end'));
    assert.deepEqual(failures, []);
    assert.deepEqual(names(got), ['end']);
    assert.ok(client.connected && invalid > bodies.length);
  });
}
