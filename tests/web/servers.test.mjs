// The three servers of the demo by clients without a browser: order, limits, and what dies.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';

import { io } from 'socket.io-client';

import { closePeople, connect, enter, isAlive, sees, startDemo, textsOf, until } from './support.mjs';

const names = ['Ada', 'Bo', 'Cleo'];
const servers = ['A', 'B', 'C'];
const numbered = (name, count) => Array.from({ length: count }, (_, i) => `${name} ${i + 1}`);

let demo;
before(async () => (demo = await startDemo()));
after(() => demo?.close());
afterEach(() => {
  demo?.resume();
  closePeople();
});

/** What the demo's Redis answers to a command. */
const redis = (...command) => promisify(execFile)('redis-cli', ['-s', demo.redisSocket, ...command]);

/** Ada on A, Bo on B and Cleo on C, who see each other. */
async function three(room) {
  const all = await Promise.all(servers.map((server, i) => enter(demo, server, names[i], room)));
  const ids = all.map(({ id }) => id);
  await Promise.all(all.map((person) => until(() => sees(person, ids), `${person.name} sees all`)));
  return all;
}

async function say(person, texts) {
  for (const answer of await Promise.all(texts.map((text) => person.ask('say', { text }))))
    assert.equal(answer.error, undefined);
}

test("three people on three servers have every message, each sender's in order", async () => {
  const all = await three();
  await Promise.all(all.map((person) => say(person, numbered(person.name, 10))));
  for (const person of all) {
    await until(() => person.messages.length === 30, `30 messages at ${person.name}`);
    for (const name of names) assert.deepEqual(textsOf(person, name), numbered(name, 10));
    for (const { from } of person.messages) assert.equal(from.server, servers[names.indexOf(from.name)]);
  }
});

test("a room's messages are for that room", async () => {
  const [ada, bo, cleo] = await three();
  assert.deepEqual((await bo.ask('move', { room: '# Quiet  Corner' })).room, 'quiet corner');
  await cleo.ask('move', { room: 'quiet corner' });
  await say(bo, ['whisper']);
  await until(() => textsOf(cleo, 'Bo').length === 1, 'the message in the room');
  await say(ada, ['still here']);
  await until(() => textsOf(ada, 'Ada').length === 1, "one's own message");
  assert.deepEqual(
    ada.messages.map(({ text }) => text),
    ['still here'],
  );
  assert.deepEqual(
    cleo.messages.map(({ text }) => text),
    ['whisper'],
  );
});

test('a private message is for one person and for the sender', async () => {
  const [ada, bo, cleo] = await three();
  assert.equal((await ada.ask('say', { person: cleo.id, text: 'for you' })).error, undefined);
  await until(() => cleo.messages.length === 1 && ada.messages.length === 1, 'the private message');
  assert.equal(cleo.messages[0].to.id, cleo.id);
  await say(bo, ['later']); // arrives after what was published before
  await until(() => textsOf(ada, 'Bo').length === 1, 'a later message');
  assert.deepEqual(
    bo.messages.map(({ text }) => text),
    ['later'],
  );
  assert.match((await ada.ask('say', { person: 'nobody', text: 'x' })).error, /gone/);
});

test('names, rooms and messages have limits with clear errors', async () => {
  const nobody = connect(demo, 'A');
  await until(() => nobody.socket.connected, 'a connection');
  const key = 'k'.repeat(32);
  assert.match((await nobody.ask('say', { text: 'x' })).error, /enter first/);
  for (const [given, error] of [
    [{ name: '   ' }, /enter a name/],
    [{ name: 'x'.repeat(25) }, /at most 24/],
    [{ name: 'a\u202eb' }, /can be seen/],
    [{ name: '...' }, /letter or a digit/],
    [{ name: ['a'] }, /enter a name/],
    [{ name: 'Eve', key: 'short' }, /key/],
    [{ name: 'Eve', room: '<b>' }, /letters, digits/],
    [{ name: 'Eve', room: 'x'.repeat(25) }, /at most 24/],
    [{ name: 'Eve' }, /enter the name of a room/],
  ])
    assert.match((await nobody.ask('enter', { key, ...given })).error, error, JSON.stringify(given));
  for (const given of [null, 7, 'text', [], [[]]]) assert.ok((await nobody.ask('enter', given)).error);
  nobody.socket.emit('enter'); // nothing to answer by
  nobody.socket.emit('say', { text: 'x' }, 'no function');
  const eve = await enter(demo, 'A', ' Eve  \n Smith ');
  assert.equal(eve.name, 'Eve Smith');
  assert.match((await eve.ask('enter', { key, name: 'Eve', room: 'lobby' })).error, /in already/);
  assert.equal((await eve.ask('enter', { key: eve.key, name: ' Eve  \n Smith ', room: 'lobby' })).id, eve.id); // once more
  assert.match((await eve.ask('say', { text: 'x'.repeat(501) })).error, /at most 500 characters; this one has 501/);
  assert.match((await eve.ask('say', { text: 'x\n'.repeat(30) })).error, /at most 20 lines/);
  assert.match((await eve.ask('say', { text: ' \n ' })).error, /nothing to send/);
  assert.match((await eve.ask('say', { text: { toString: 1 } })).error, /nothing to send/);
  assert.match((await eve.ask('move', { room: 'a/b' })).error, /letters, digits/);
  assert.match((await eve.ask('pace', { perSecond: 1e9 })).error, /10, 100, 1000/);
  await say(eve, ['<script>alert(1)</script>', `${'x'.repeat(500)}\u0000`]);
  await until(() => eve.messages.length === 2, 'two messages');
  assert.deepEqual(textsOf(eve, 'Eve Smith'), ['<script>alert(1)</script>', 'x'.repeat(500)]);
  const answers = await Promise.all(numbered('fast', 20).map((text) => eve.ask('say', { text })));
  assert.match(answers.find(({ error }) => error !== undefined).error, /too fast/);
  const moves = await Promise.all(numbered('room', 40).map((room) => eve.ask('move', { room })));
  assert.match(moves.find(({ error }) => error !== undefined).error, /too fast/);
});

test('a name is given once in the whole fleet, and back to the same tab', async () => {
  const [ada] = await three();
  const other = connect(demo, 'C');
  await until(() => other.socket.connected, 'a connection');
  assert.match(
    (await other.ask('enter', { key: 'o'.repeat(32), name: 'ADA', room: 'lobby' })).error,
    /called ADA already/,
  );
  assert.match((await other.ask('enter', { key: 'o'.repeat(32), name: 'Ａｄａ', room: 'lobby' })).error, /already/);
  assert.equal((await other.ask('enter', { key: ada.key, name: 'Ada', room: 'lobby' })).id, ada.id);
  ada.close();
  other.close();
  const next = connect(demo, 'B');
  await until(() => next.socket.connected, 'a connection');
  await until(
    async () => (await next.ask('enter', { key: 'o'.repeat(32), name: 'ada', room: 'lobby' })).error === undefined,
    'the name to be free',
  );
});

test("fifty people at once: nothing is missing, each sender's messages are in order", async () => {
  const crowd = await Promise.all(
    Array.from({ length: 50 }, (_, i) => enter(demo, servers[i % 3], `crowd ${i}`, 'stadium')),
  );
  await Promise.all(crowd.map((person) => say(person, numbered('n', 8))));
  await Promise.all(
    crowd.map((person) => until(() => person.messages.length === 400, `400 messages at ${person.name}`)),
  );
  for (const person of crowd) for (const { name } of crowd) assert.deepEqual(textsOf(person, name), numbered('n', 8));
});

test('pages of other origins and other names of this machine are refused', async () => {
  const get = (headers, path = '/') =>
    new Promise((resolve, reject) => {
      http
        .get(demo.url('A') + path, { headers }, (response) => {
          response.resume();
          resolve(response);
        })
        .on('error', reject);
    });
  const page = await get({});
  assert.equal(page.statusCode, 200);
  assert.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self'/);
  assert.equal((await get({ host: 'evil.example' })).statusCode, 403);
  assert.equal((await get({}, '/../server.mjs')).statusCode, 404);
  assert.equal((await get({}, '/%2e%2e/server.mjs')).statusCode, 404);
  const stranger = io(demo.url('A'), {
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
    extraHeaders: { origin: 'http://evil.example' },
  });
  try {
    let refusal;
    stranger.on('connect_error', (error) => (refusal = error));
    await until(() => refusal ?? stranger.connected, 'an answer to the stranger');
    assert.ok(!stranger.connected);
  } finally {
    stranger.close();
  }
});

test('Redis killed by hand: LOST, own people still hear, RESUMED, and what is missing is counted', async () => {
  const [ada, bo] = await three();
  const local = await enter(demo, 'A', 'Abe');
  await until(() => ada.figures.length === 2 && ada.figures.every(({ rate }) => rate > 0), 'pulses of both servers');
  await say(ada, ['before']);
  await until(() => textsOf(bo, 'Ada').length === 1, 'a message before');
  const killed = demo.said.length;
  process.kill(demo.pids.Redis, 'SIGKILL');
  await until(
    () => [ada, bo].every(({ losses }) => losses.some(([event, room]) => event === 'lost' && room === 'room:lobby')),
    'LOST in the room',
  );
  await until(() => ada.fleet.redis.up === false && ada.fleet.redis.backInMs > 0, 'the state of Redis');
  demo.pause(); // Redis stays down until all this is seen
  assert.equal((await ada.ask('say', { text: 'meanwhile' })).reach, 'here');
  await until(() => textsOf(local, 'Ada').includes('meanwhile'), 'a message on the same server');
  assert.match(
    (await ada.ask('say', { person: bo.id, text: 'private' })).error,
    /Not sent: Redis is down, and Bo is on server B/,
  );
  assert.match((await ada.ask('ask all')).error, /Redis is down/);
  await local.ask('move', { room: 'made meanwhile' });
  await until(
    () => local.losses.some(([event, room]) => event === 'lost' && room === 'room:made meanwhile'),
    'LOST in a new room',
  );
  demo.resume();
  const late = connect(demo, 'C');
  await until(() => late.socket.connected, 'a connection');
  assert.match(
    (await late.ask('enter', { key: 'l'.repeat(32), name: 'Bo', room: 'lobby' })).error,
    /called Bo already/,
  );
  await until(
    () => [ada, bo].every(({ losses }) => losses.some(([event, room]) => event === 'resumed' && room === 'room:lobby')),
    'RESUMED in the room',
  );
  await until(
    () => local.losses.some(([event, room]) => event === 'resumed' && room === 'room:made meanwhile'),
    'RESUMED in a new room',
  );
  assert.ok(bo.losses.some(([event, room]) => event === 'gap' && room === 'room:lobby'));
  await until(() => demo.said.slice(killed).some((line) => /Redis is back as process/.test(line)), 'the new Redis');
  await say(ada, ['after']);
  await until(() => textsOf(bo, 'Ada').includes('after'), 'a message after');
  assert.deepEqual(textsOf(bo, 'Ada'), ['before', 'after']);
  assert.deepEqual(
    bo.messages.map(({ number }) => number),
    [1, 3],
  ); // so the page sees that one is missing
  await until(
    () => ada.figures.length === 2 && ada.figures.every(({ rate, missing }) => rate > 0 && missing > 0),
    'the count of what is missing',
  );
  assert.deepEqual(
    ada.figures.map(({ silent }) => silent),
    [0, 0],
  );
});

test('a server that is killed is back on its port, with its people', async () => {
  const [ada, bo] = await three();
  const gone = demo.pids.B;
  process.kill(gone, 'SIGKILL');
  await until(() => !bo.socket.connected, 'the end of server B');
  await until(() => bo.socket.connected, 'server B again');
  await bo.ask('enter', { key: bo.key, name: 'Bo', room: 'lobby' });
  await until(() => sees(ada, names) && sees(bo, names), 'all see each other');
  await say(ada, ['welcome back']);
  await until(() => textsOf(bo, 'Ada').length === 1, 'a message to server B');
  assert.ok(!isAlive(gone));
  await until(() => demo.pids.B !== gone, 'the process of server B');
});

test('a server that is killed waits for its port, should somebody take it meanwhile', async () => {
  const [, bo] = await three();
  demo.pause();
  process.kill(demo.pids.B, 'SIGKILL');
  await until(() => !bo.socket.connected, 'the end of server B');
  const before = demo.said.length;
  const blocker = net.createServer((socket) => socket.destroy()).listen(demo.ports.B, '127.0.0.1');
  try {
    await once(blocker, 'listening');
    demo.resume();
    const waits = (line) => /server B waits for port/.test(line);
    await until(() => demo.said.slice(before).some(waits), 'server B to find its port taken');
  } finally {
    blocker.close();
  }
  await until(() => bo.socket.connected, 'server B on its port');
});

test('what is missing when only subscriptions break is announced, too', async () => {
  const [ada] = await three();
  await until(() => ada.figures.length === 2 && ada.figures.every(({ rate }) => rate > 0), 'pulses of both servers');
  const missingOf = () => ada.figures.reduce((sum, { missing }) => sum + missing, 0);
  const before = missingOf();
  await redis('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await until(() => missingOf() > before, 'pulses that are missing');
  assert.ok(ada.losses.some(([event, room]) => event === 'lost' && room === null));
  assert.deepEqual(
    ada.figures.map(({ silent }) => silent),
    [0, 0],
  );
});

test('a server that says nothing counts as out of reach until it speaks', async () => {
  const ada = await enter(demo, 'A', 'Ada');
  const isReached = (name) => ada.fleet.servers.find((server) => server.name === name)?.isReached;
  await until(() => sees(ada, ['Ada']), 'all servers');
  process.kill(demo.pids.C, 'SIGSTOP');
  try {
    await until(() => !isReached('C'), 'server C to be out of reach');
    assert.ok(isReached('B'));
  } finally {
    process.kill(demo.pids.C, 'SIGCONT');
  }
  await until(() => isReached('C'), 'server C again');
});

test('a second demo takes other ports, and ends without a trace', async () => {
  // One of the ports that it would take next; maybe some other program has it already.
  const taken = demo.ports.A + 3;
  const blocker = net.createServer().listen(taken, '127.0.0.1');
  await Promise.race([once(blocker, 'listening'), once(blocker, 'error')]).catch(() => {});
  const second = await startDemo(demo.ports.A);
  try {
    const ports = [...Object.values(demo.ports), ...Object.values(second.ports), taken];
    assert.equal(new Set(ports).size, 7, String(ports));
    const [one, two] = [await enter(demo, 'A', 'One'), await enter(second, 'A', 'Two')];
    await until(() => sees(one, ['One']) && sees(two, ['Two']), 'both fleets');
    assert.ok(!sees(one, ['Two']) && !sees(two, ['One']));
  } finally {
    assert.equal(await second.close(), 0);
    blocker.close();
  }
  for (const pid of Object.values(second.pids)) assert.ok(!isAlive(pid));
  for (const pid of [demo.pids.A, demo.pids.C, demo.pids.Redis]) assert.ok(isAlive(pid));
});

test('servers whose parent is gone end, too', async () => {
  const orphans = await startDemo(demo.ports.A);
  try {
    process.kill(orphans.pid, 'SIGKILL');
    await until(() => ['A', 'B', 'C'].every((name) => !isAlive(orphans.pids[name])), 'the end of the servers');
  } finally {
    for (const pid of Object.values(orphans.pids)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await orphans.close();
  }
});
