// fanwire/socket.io: several Socket.IO servers and one Redis.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';

import { Server } from 'socket.io';

import { createAdapter } from 'fanwire/socket.io';
import { Emitter } from 'fanwire/socket.io/emitter';

import * as fanwire from './support/fanwire.mjs';
import { RedisServer } from './support/redis.mjs';
import { closeAtEnd, serve, serveFanwire, Server47, settled } from './support/socketio.mjs';
import { event, until } from './support/wait.mjs';

let redis;
before(async () => (redis = await RedisServer.start()));
after(() => redis.stop());

const names = (got) => got.map(([name]) => name);

// Three servers with a client each.
async function fleet(options, Class) {
  const servers = await Promise.all([1, 2, 3].map(() => serveFanwire(redis.url, options, Class)));
  const people = await Promise.all(servers.map((server) => server.connect()));
  return { servers, people, ios: servers.map(({ io }) => io) };
}

async function everyoneHas(people, name) {
  await until(() => people.every(({ got }) => names(got).includes(name)), `${name} at everyone`);
}

for (const [version, Class] of [['4.8', Server], ['4.7', Server47]]) {
  for (const wire of ['interest', 'classic']) {
    describe(`socket.io ${version}, ${wire}`, () => {
      const start = (options) => fleet({ wire, ...options }, Class);

      test('to all, to rooms, but for some', async () => {
        const { ios, people } = await start();
        const [a, b, c] = people;
        await Promise.all([a.socket.join('red'), b.socket.join('red'), b.socket.join('blue'), c.socket.join('blue')]);
        await until(async () => (await ios[0].in('red').fetchSockets()).length === 2);
        ios[0].emit('all', 1, 'two', { three: [3, null] });
        ios[0].to('red').emit('red');
        ios[0].to(['red', 'blue']).emit('both');
        ios[0].to('blue').except('red').emit('only blue');
        ios[0].to(c.socket.id).emit('private');
        ios[0].local.emit('local');
        a.socket.broadcast.emit('others');
        ios[0].emit('end');
        await everyoneHas(people, 'end');
        assert.deepEqual(names(a.got), ['all', 'red', 'both', 'local', 'end']);
        assert.deepEqual(names(b.got), ['all', 'red', 'both', 'others', 'end']);
        assert.deepEqual(names(c.got), ['all', 'both', 'only blue', 'private', 'others', 'end']);
        assert.deepEqual(c.got[0], ['all', 1, 'two', { three: [3, null] }]);
      });

      test('bytes, NUL and numeric rooms arrive as they are', async () => {
        const { ios, people } = await start();
        await Promise.all(people.map(({ socket }) => socket.join(7)));
        await until(async () => (await ios[0].in(7).fetchSockets()).length === 3);
        const bytes = Buffer.from([0, 255, 0, 13, 10]);
        ios[1].to(7).emit('bytes', bytes, { deep: [bytes] }, 'a\0b');
        ios[1].to(7).emit('a\0b');
        await everyoneHas(people, 'a\0b');
        for (const { got } of people) assert.deepEqual(got[0], ['bytes', bytes, { deep: [bytes] }, 'a\0b']);
      });

      test('fetchSockets, join, leave, disconnect', async () => {
        const { servers, ios, people } = await start();
        people[2].socket.data.name = 'Carol';
        const all = await ios[0].fetchSockets();
        assert.deepEqual(all.map(({ id }) => id).sort(), people.map(({ socket }) => socket.id).sort());
        assert.equal(all.find(({ id }) => id === people[2].socket.id).data.name, 'Carol');
        assert.equal((await ios[0].local.fetchSockets()).length, 1);

        ios[0].socketsJoin(['x', 'y']);
        await until(() => people.every(({ socket }) => socket.rooms.has('x') && socket.rooms.has('y')));
        ios[1].in('x').except(people[0].socket.id).socketsLeave('y');
        await until(async () => (await ios[2].in('y').fetchSockets()).length === 1);
        assert.deepEqual([...(await servers[0].adapter.allRooms())].sort(),
          ['x', 'y', ...people.map(({ socket }) => socket.id)].sort());

        const [remote] = await ios[0].in(people[1].socket.id).fetchSockets();
        remote.emit('remote');
        await until(() => names(people[1].got).includes('remote'));
        ios[0].in('x').disconnectSockets(true);
        await until(() => people.every(({ client }) => !client.connected));
      });

      test('what is sent right after sockets were put in a room reaches them', async () => {
        const { ios, people } = await start();
        const emitter = new Emitter(redis.url, { wire });
        closeAtEnd(() => emitter.close());
        await event(emitter.bus, 'connect');
        for (let i = 0; i < 20; ++i) {
          ios[0].in(people[1].socket.id).socketsJoin(`room ${i}`);
          ios[0].to(`room ${i}`).emit('from a server', i);
          emitter.in(people[2].socket.id).socketsJoin([`room ${i}`, 'x']);
          emitter.to(`room ${i}`).emit('from an emitter', i);
          ios[0].in(people[1].socket.id).socketsLeave(`room ${i}`);
          ios[0].to(`room ${i}`).except(people[2].socket.id).emit('nobody');
        }
        ios[0].emit('end');
        await everyoneHas(people, 'end');
        const of = ({ got }, what) => got.filter(([name]) => name === what).map(([, i]) => i);
        const numbers = Array.from({ length: 20 }, (_, i) => i);
        await until(() => of(people[2], 'from an emitter').length === 20);
        assert.deepEqual(of(people[1], 'from a server'), numbers);
        assert.deepEqual(of(people[2], 'from an emitter'), numbers);
        for (const { got } of people) assert.ok(!names(got).includes('nobody'));
      });

      test('serverSideEmit, with and without acknowledgements', async () => {
        const { ios } = await start();
        const got = [];
        for (const [i, io] of ios.entries()) {
          io.on('hello', (...args) => got.push([i, ...args]));
          io.on('ask', (text, answer) => answer(`${text} ${i}`));
        }
        ios[0].serverSideEmit('hello', 'world', { n: 1 });
        await until(() => got.length === 2);
        assert.deepEqual(got.sort(), [[1, 'world', { n: 1 }], [2, 'world', { n: 1 }]]);
        assert.deepEqual((await ios[2].serverSideEmitWithAck('ask', 'server')).sort(), ['server 0', 'server 1']);
      });

      test('acknowledgements of clients', async () => {
        const { servers, ios, people } = await start();
        for (const [i, { client }] of people.entries()) {
          client.on('ask', (bytes, answer) => answer(Buffer.concat([bytes, Buffer.from([i])])));
        }
        const answers = await ios[0].timeout(1000).emitWithAck('ask', Buffer.from([0, 9]));
        assert.deepEqual(answers.map((bytes) => bytes.toString('hex')).sort(), ['000900', '000901', '000902']);
        await Promise.all(people.slice(0, 2).map(({ socket }) => socket.join('two')));
        assert.equal((await ios[2].to('two').timeout(1000).emitWithAck('ask', Buffer.from([1]))).length, 2);
        people[0].client.off('ask');
        const missing = ios[1].timeout(100).emitWithAck('ask', Buffer.from([1]));
        await assert.rejects(missing, (error) => error.responses.length === 2);
        await until(() => servers.every(({ adapter }) => adapter.requests.size + adapter.ackRequests.size === 0));
      });

      test('a server that does not answer: the time-out says how many did', async () => {
        const { servers, ios } = await start({ requestsTimeout: 200 });
        ios[1].on('ask', (answer) => answer('here'));
        const outcome = new Promise((resolve) => ios[0].serverSideEmit('ask', (...args) => resolve(args)));
        const [error, answers] = await outcome;
        assert.equal(error.message, 'timeout reached: only 1 responses received out of 2');
        assert.deepEqual(answers, ['here']);
        assert.equal(servers[0].adapter.requests.size, 0);
      });

      test('Redis away and back: local clients get everything, loss is told', async () => {
        const { servers, ios, people } = await start();
        await Promise.all(people.map(({ socket }) => socket.join('red')));
        await until(async () => (await ios[0].in('red').fetchSockets()).length === 3);
        const told = [];
        for (const name of ['lost', 'gap', 'resumed']) {
          servers[1].adapter.on(name, (room) => told.push(`${name} ${room}`));
        }
        const unsent = [];
        servers[0].adapter.on('unsent', (error) => unsent.push(error.code));
        await redis.kill();
        try {
          await until(() => servers.every(({ bus }) => !bus.connected));
          ios[0].to('red').emit('while away');
          ios[0].emit('while away, all');
          people[0].socket.join('green');
          ios[0].to('green').emit('green');
          await until(() => names(people[0].got).includes('green'));
          assert.deepEqual(names(people[0].got), ['while away', 'while away, all', 'green']);
          assert.deepEqual(unsent, ['NOT_CONNECTED', 'NOT_CONNECTED', 'NOT_CONNECTED']);
        } finally {
          await redis.restart();
        }
        await Promise.all(servers.map(({ bus }) => settled(bus)));
        await until(() => servers.every(({ bus }) => bus.connected));
        ios[0].to('red').emit('back');
        ios[2].emit('end');
        await everyoneHas(people, 'end');
        await everyoneHas(people, 'back');
        assert.ok(!names(people[1].got).includes('while away'));
        for (const room of ['red', 'null']) {
          for (const name of ['lost', 'gap', 'resumed']) {
            assert.ok(told.includes(`${name} ${room}`), `${name} ${room} of ${told}`);
          }
        }
      });
    });
  }
}

test('without Redis a server serves its own clients, and no question waits', async () => {
  const { io, adapter, connect } = await serve(createAdapter('redis://127.0.0.1:1'));
  const { client, got, socket } = await connect();
  await socket.join('room');
  client.on('ask', (answer) => answer(1));
  io.to('room').emit('hello');
  await until(() => got.length === 1);
  assert.equal((await io.fetchSockets()).length, 1);
  assert.deepEqual(await io.timeout(5000).emitWithAck('ask'), [1]);
  assert.deepEqual(await io.serverSideEmitWithAck('anyone?'), []);
  assert.equal(await adapter.serverCount(), 1);
});

test('a room that is made while Redis is away is lost until it is back', async () => {
  const [a, b] = await Promise.all([serveFanwire(redis.url), serveFanwire(redis.url)]);
  const { socket, got } = await a.connect();
  const { socket: other } = await b.connect();
  const told = [];
  for (const name of ['lost', 'gap', 'resumed']) {
    a.adapter.on(name, (room, detail) => {
      if (room === null) return;
      told.push([name, room, detail?.code]);
      a.io.local.to(room).emit(name, room);
    });
  }
  await redis.kill();
  try {
    await until(() => !a.bus.connected && !b.bus.connected);
    await Promise.all([socket.join('new'), other.join('new')]);
    socket.join('left');
    socket.leave('left');
    await until(() => got.length === 1);
    assert.deepEqual(told, [['lost', 'new', 'NOT_CONNECTED']]);
  } finally {
    await redis.restart();
  }
  await until(() => got.length === 2);
  assert.deepEqual(told.slice(1), [['resumed', 'new', undefined]]);
  await until(() => settled(b.bus).then(() => b.bus.connected));
  b.io.to('new').emit('hello');
  await until(() => got.length === 3);
  assert.deepEqual(got, [['lost', 'new'], ['resumed', 'new'], ['hello']]);
});

test('questions asked while Redis is away end', async () => {
  const options = { requestsTimeout: 100 };
  const [a] = await Promise.all([serveFanwire(redis.url, options), serveFanwire(redis.url, options)]);
  await until(async () => (await a.adapter.serverCount()) === 2);
  await redis.kill();
  try {
    await until(() => !a.bus.connected);
    await assert.rejects(a.io.fetchSockets(), /^Error: timeout reached: only 0 responses received out of 1$/);
    await assert.rejects(a.io.serverSideEmitWithAck('x'), /only 0 responses received out of 1/);
    await assert.rejects(a.adapter.allRooms(), /only 0 responses received out of 1/);
  } finally {
    await redis.restart();
  }
});

test('a server without members of a room receives nothing of it', async () => {
  const [a, b] = await Promise.all([serveFanwire(redis.url), serveFanwire(redis.url)]);
  const [here, there] = await Promise.all([a.connect(), b.connect()]);
  await Promise.all([here.socket.join('room'), there.socket.join('room')]);
  there.socket.leave('room');
  b.io.emit('before');
  await until(() => names(here.got).includes('before'));
  a.io.emit('before too');
  await until(() => names(there.got).includes('before too'));
  const { received } = b.bus.stats();
  for (let i = 0; i < 100; ++i) a.io.to('room').emit('x', i);
  a.io.emit('end');
  await until(() => names(there.got).includes('end'));
  assert.equal(b.bus.stats().received - received, 1);
  await until(() => here.got.length === 103);
});

test('rooms 1 and "1" share a channel, and each message comes once', async () => {
  const [a, b] = await Promise.all([serveFanwire(redis.url), serveFanwire(redis.url)]);
  const { socket, got } = await a.connect();
  await socket.join([1, '1']);
  b.io.to(1).emit('number');
  b.io.to('1').emit('text');
  await until(() => got.length === 2);
  socket.leave(1);
  b.io.to(1).emit('number');
  b.io.to('1').emit('text');
  b.io.emit('end');
  await until(() => names(got).includes('end'));
  assert.deepEqual(names(got), ['number', 'text', 'text', 'end']);
});

for (const wire of ['interest', 'classic']) test(`names that are as long as a socket id or longer than a channel may be, ${wire}`, async () => {
  const [a, b] = await Promise.all([1, 2].map(() => serveFanwire(redis.url, { wire })));
  const { socket, got } = await a.connect();
  const rooms = ['', 'x'.repeat(20), 'é'.repeat(2000), 'a\0b', '*', 's#', '#'];
  await socket.join(rooms);
  for (const room of rooms) b.io.to(room).emit(`to ${room}`);
  await until(() => got.length === rooms.length);
  assert.deepEqual(names(got), rooms.map((room) => `to ${room}`));
});

test('what arrives together is written together, in order', async () => {
  const [a, b] = await Promise.all([serveFanwire(redis.url), serveFanwire(redis.url)]);
  const { socket, got, client } = await a.connect();
  const slow = await a.connect();
  await Promise.all([socket, slow.socket].map((each) => each.join('room')));
  const tcp = socket.client.conn.transport.socket._socket;
  let writes = 0;
  for (const name of ['_write', '_writev']) {
    const write = tcp[name];
    tcp[name] = (...args) => {
      ++writes;
      return write.apply(tcp, args);
    };
  }
  for (let round = 1; round <= 3; ++round) {
    for (let i = 0; i < 1000; ++i) b.io.to('room').emit('x', i, 'é\0');
    b.io.emit('end');
    await until(() => [got, slow.got].every((list) => list.length === round * 1001));
    const numbers = got.slice(-1001, -1).map(([, i]) => i);
    assert.deepEqual(numbers, Array.from({ length: 1000 }, (_, i) => i));
    a.io.to('room').emit('here'); // and one that does not come from Redis
    await until(() => got.at(-1)[0] === 'here' && slow.got.at(-1)[0] === 'here');
    got.pop(), slow.got.pop();
  }
  assert.ok(writes < 1000, `${writes} writes of 3006 messages`);
  assert.equal(tcp.writableCorked, 0);
  assert.ok(client.connected);
});

test('what is nearly a broadcast of JSON is read with care', async () => {
  const server = await serveFanwire(redis.url);
  const chat = server.io.of('/chat');
  await settled(server.bus);
  const [main, other] = [await server.connect(), await server.connect('/chat')];
  await main.socket.join([7, '"packet":{"type":2,"data":']);
  const publisher = await fanwire.connect(redis.url, { namespace: '' });
  const opts = '{"rooms":[],"except":[],"flags":{}}';
  const send = (args, { head = `"opts":${opts}`, nsp = '/', uid = 'x', end = '}}}' } = {}) => publisher.publishNoWait(
    `fanwire:socket.io#${nsp}#`, `{"uid":"${uid}","nsp":"${nsp}","type":3,"data":{${head},"packet":{"type":2,"data":${args}${end}`);
  const room = JSON.stringify('"packet":{"type":2,"data":');
  send('["a",{"b":[1,"\\u0000é"]}]');
  send(' [ "spaces" ,\n1 ] ');
  send('["more"],"id":5,"nsp":"/chat"');
  send('["own"]', { uid: server.adapter.uid });
  send('["numbers"]', { head: '"opts":{"rooms":[7]}' });
  send('["a room with that name"]', { head: `"opts":{"rooms":[${room}]}` });
  send(`["an argument", ${room}]`);
  send('["text in place of number"]', { head: '"opts":{"rooms":["7"]}' });
  send('["for acknowledgement"]', { head: `"requestId":"r","opts":${opts}` });
  send('["but not"]', { head: '"opts":{"except":[7]}' });
  send('["chat"]', { nsp: '/chat' });
  send('["end"]');
  await until(() => names(main.got).includes('end') && other.got.length === 1);
  assert.deepEqual(main.got, [
    ['a', { b: [1, '\0é'] }], ['spaces', 1], ['more'], ['numbers'], ['a room with that name'],
    ['an argument', '"packet":{"type":2,"data":'], ['for acknowledgement'], ['end'],
  ]);
  assert.deepEqual(other.got, [['chat']]);
  assert.ok(chat.adapter !== server.adapter && main.client.connected && other.client.connected);
});

test('outgoing listeners see what other servers send, and an encoder of the application encodes it', async () => {
  const parser = createRequire(createRequire(import.meta.url).resolve('socket.io'))('socket.io-parser');
  class Encoder extends parser.Encoder {
    constructor() {
      super((_key, value) => (value === 'secret' ? 'hidden' : value));
    }
  }
  const [a, b] = await Promise.all([{}, { parser: { ...parser, Encoder } }].map((more) => serveFanwire(redis.url, {}, Server, more)));
  const people = await Promise.all([a.connect(), b.connect()]);
  const seen = [];
  for (const { socket } of people) socket.onAnyOutgoing((...args) => seen.push(args));
  a.io.emit('word', ['secret', 1]);
  await everyoneHas(people, 'word');
  assert.deepEqual(people.map(({ got }) => got[0][1][0]), ['secret', 'hidden']);
  b.io.emit('word', ['secret', 2]);
  await until(() => people.every(({ got }) => got.length === 2));
  assert.deepEqual(people.map(({ got }) => got[1][1][0]), ['secret', 'hidden']);
  assert.deepEqual(seen.map(([name, [, n]]) => name + n).sort(), ['word1', 'word1', 'word2', 'word2']);
});

test('namespaces are apart, and a closed one leaves the bus to the others', async () => {
  const [a, b] = await Promise.all([serveFanwire(redis.url), serveFanwire(redis.url)]);
  a.io.of('/chat'), b.io.of('/chat');
  await Promise.all([settled(a.bus), settled(b.bus)]);
  const [main, chat] = [await a.connect(), await a.connect('/chat')];
  b.io.of('/chat').emit('chat');
  b.io.emit('main');
  await until(() => main.got.length === 1 && chat.got.length === 1);
  assert.deepEqual([...main.got, ...chat.got], [['main'], ['chat']]);
  await a.io.of('/chat').adapter.close();
  await a.io.of('/chat').adapter.close();
  b.io.emit('after');
  await until(() => main.got.length === 2);
  const { bus } = a;
  a.io.close();
  await until(() => bus.state === 'closed');
});

test('a bus that is passed in is shared by servers of a process and stays open', async () => {
  const bus = await fanwire.connect(redis.url);
  const [a, b] = await Promise.all([serve(createAdapter(bus)), serve(createAdapter(bus, { wire: 'interest' }))]);
  await settled(bus);
  assert.equal(await a.adapter.serverCount(), 2);
  const people = await Promise.all([a.connect(), b.connect()]);
  assert.equal((await a.io.fetchSockets()).length, 2);
  b.io.emit('hello');
  await everyoneHas(people, 'hello');
  assert.deepEqual(people.map(({ got }) => got.length), [1, 1]);
  await b.adapter.close();
  assert.equal(await a.adapter.serverCount(), 1);
  await a.adapter.close();
  assert.equal(bus.state, 'connected');
});

test('clients are told of gaps when asked for', async () => {
  const { bus, connect } = await serveFanwire(redis.url, { notifyClients: 'missed' });
  const { socket, got } = await connect();
  await socket.join('room');
  await redis.kill();
  await redis.restart();
  await settled(bus);
  await until(() => got.filter(([name]) => name === 'missed').length === 2);
  assert.deepEqual(got.map(([, gap]) => gap.room).sort(), [null, 'room'].sort());
  for (const [, gap] of got) assert.deepEqual([gap.reason, gap.count], ['reconnect', null]);
});

test('connection state recovery adds nothing to events', async () => {
  const recovery = { connectionStateRecovery: {} };
  const [a, b] = await Promise.all([1, 2].map(() => serveFanwire(redis.url, {}, Server, recovery)));
  const people = await Promise.all([a.connect(), b.connect()]);
  a.io.emit('hello', 1);
  await everyoneHas(people, 'hello');
  for (const { got } of people) assert.deepEqual(got, [['hello', 1]]);
});

test('what is wrong with the settings', async () => {
  assert.throws(() => createAdapter(redis.url, { wire: 'x' }),
    /^TypeError: fanwire\/socket\.io has no wire "x"; it has interest, classic, sharded$/);
  const bus = await fanwire.connect(redis.url);
  assert.throws(() => createAdapter(bus, { offline: 'fail' }), /^TypeError: the option offline is a setting/);
  assert.throws(() => createAdapter({ url: redis.url }), /^TypeError: the first argument is a URL, a bus or a client/);
  await assert.rejects(serve(createAdapter(redis.url, { prot: 1 })), { code: 'UNKNOWN_OPTION' });
});

test('the emitter', async () => {
  for (const wire of ['interest', 'classic']) {
    const server = await serveFanwire(redis.url, { wire });
    server.io.of('/chat');
    await settled(server.bus);
    const { socket, got } = await server.connect();
    const chat = await server.connect('/chat');
    const emitter = new Emitter(redis.url, { wire });
    closeAtEnd(() => emitter.close());
    const bytes = Buffer.from([0, 1, 255]);
    emitter.socketsJoin(['a', 'b']);
    await until(() => socket.rooms.has('b'));
    await settled(server.bus);
    emitter.to('a').emit('room', bytes, 'a\0b');
    emitter.except('a').emit('nobody');
    emitter.of('chat').to(['x', chat.socket.id]).volatile.compress(false).emit('chat');
    emitter.in('a').socketsLeave('b');
    await until(() => !socket.rooms.has('b'));
    const told = event(server.io, 'hello');
    emitter.serverSideEmit('hello', 1);
    assert.deepEqual(await told, [1]);
    assert.throws(() => emitter.serverSideEmit('hello', () => {}), /Acknowledgements are not supported/);
    assert.throws(() => emitter.emit('connect'), /"connect" is a reserved event name/);
    await until(() => chat.got.length === 1);
    assert.deepEqual(got, [['room', bytes, 'a\0b']]);
    emitter.to('a').disconnectSockets(true);
    await until(() => !socket.connected);
  }
});
