// Against a real Redis: the wire, breaks, permissions.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { run } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { event, until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };

test('redis-cli PUBLISH ws:chat hello reaches a subscriber of chat', async () => {
  const bus = await connect(server.url);
  const messages = [];
  await bus.subscribe('chat', (message) => messages.push(message)).ready;
  const { stdout, code } = await run('redis-cli', ['-p', String(server.port), 'PUBLISH', 'ws:chat', 'hello']);
  assert.equal(code, 0);
  assert.equal(stdout.trim(), '1');
  await until(() => messages.length === 1);
  assert.equal(messages[0].text, 'hello');
  assert.equal(messages[0].channel, 'chat');
  await bus.close();
});

test('a foreign subscriber of ws:chat sees what is published byte for byte', async () => {
  const bus = await connect(server.url);
  const client = await RespClient.connect(server.port);
  await client.command('SUBSCRIBE', 'ws:chat');
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  for (const [value, bytes] of [
    ['hello', Buffer.from('hello')], ['', Buffer.alloc(0)], [every, every], ['a\0\r\nž', Buffer.from('a\0\r\nž')],
    [{ a: [1, null], b: 'é' }, Buffer.from('{"a":[1,null],"b":"é"}')], [42, Buffer.from('42')],
    [Buffer.alloc(1 << 20, 7), Buffer.alloc(1 << 20, 7)],
  ]) {
    assert.equal(await bus.publish('chat', value), 1);
    assert.deepEqual(await client.reply(), [Buffer.from('message'), Buffer.from('ws:chat'), bytes]);
  }
  bus.publishNoWait('chat', 'no outcome');
  assert.deepEqual((await client.reply())[2], Buffer.from('no outcome'));
  client.close();
  await bus.close();
});

test('binary payloads and channels from a foreign publisher', async () => {
  const bus = await connect(server.url, { namespace: '' });
  const client = await RespClient.connect(server.port);
  const name = Buffer.from([0, 0xff, 0x0d, 0x0a]);
  const messages = [];
  await bus.subscribe(name, (message) => messages.push(message)).ready;
  for (const payload of [Buffer.from([0]), Buffer.alloc(0), Buffer.from([0xff, 0, 0xfe])]) {
    assert.equal(await client.command('PUBLISH', name, payload), 1);
  }
  await until(() => messages.length === 3);
  assert.deepEqual(messages.map(({ data }) => data.toString('hex')), ['00', '', 'ff00fe']);
  for (const { channelBytes } of messages) assert.deepEqual(channelBytes, name);
  client.close();
  await bus.close();
});

test('patterns, and the namespace in between', async () => {
  const bus = await connect(server.url, { namespace: 'a*b' });
  const other = await connect(server.url, { namespace: 'axb' });
  const seen = [];
  await bus.psubscribe('room:[12]', ({ channel, text }) => seen.push(`${channel} ${text}`)).ready;
  assert.equal(await other.publish('room:1', 'not ours'), 0);
  assert.equal(await bus.publish('room:3', 'no match'), 0);
  assert.equal(await bus.publish('room:2', 'yes'), 1);
  await until(() => seen.length === 1);
  assert.deepEqual(seen, ['room:2 yes']);
  await Promise.all([bus.close(), other.close()]);
});

test('a unix socket, a database, a client name', async () => {
  const bus = await connect({ unixPath: server.socketPath, db: 3, clientName: 'mine' });
  const client = await RespClient.connect(server.port);
  const list = (await client.command('CLIENT', 'LIST')).toString();
  assert.match(list, /name=mine .*db=3/);
  client.close();
  await bus.close();
});

test('kill -9 and start again: subscribers receive again without being told', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, quick);
  const log = [];
  const received = [];
  for (const name of ['connect', 'disconnect', 'reconnecting']) bus.on(name, () => log.push(name));
  const sub = bus.subscribe('chat', ({ text }) => received.push(text));
  const pattern = bus.psubscribe('ch*', ({ text }) => received.push(`${text} by pattern`));
  const stream = bus.subscribe('chat');
  const gaps = [];
  for (const each of [sub, pattern, stream]) {
    each.on('lost', (error) => gaps.push(error.code));
    each.on('gap', ({ reason, count }) => gaps.push(reason, count));
  }
  await Promise.all([sub.ready, pattern.ready, stream.ready]);

  const disconnected = event(bus, 'disconnect');
  const lost = event(sub, 'lost');
  await own.kill();
  const [error, { willReconnect }] = await disconnected;
  assert.equal(error.code, 'CONNECTION_LOST');
  assert.equal(willReconnect, true);
  await lost;
  assert.equal(bus.connected, false);
  assert.equal(sub.state, 'lost');
  const queued = bus.publish('other', 'sent when it is back'); // offline=queue

  const resumed = Promise.all([event(sub, 'resumed'), event(pattern, 'resumed'), event(stream, 'resumed')]);
  await own.restart();
  await resumed;
  assert.equal(await queued, 0);
  await until(() => bus.connected);
  assert.equal(sub.state, 'active');
  assert.equal(await bus.publish('chat', 'again'), 2); // one Redis subscription to the channel, one to the pattern
  await until(() => received.length === 2);
  assert.deepEqual(received.sort(), ['again', 'again by pattern']);
  assert.equal((await stream.next()).value.text, 'again');
  assert.equal(log[0], 'disconnect');
  assert.ok(log.includes('reconnecting'));
  assert.equal(log.at(-1), 'connect');
  assert.equal(gaps.filter((item) => item === 'CONNECTION_LOST').length, 3);
  assert.equal(gaps.filter((item) => item === 'reconnect').length, 3);
  assert.equal(gaps.filter((item) => item === null).length, 3); // nobody can know how many
  await bus.close();
  await own.stop();
});

test("'error' is emitted for failed attempts to reconnect when somebody listens, and harmless when not", async () => {
  const own = await RedisServer.start();
  const [bus, silent] = await Promise.all([connect(own.url, quick), connect(own.url, quick)]);
  const errors = [];
  let attempts = 0;
  bus.on('error', (error) => errors.push(error));
  silent.on('reconnecting', ({ attempt }) => (attempts = attempt));
  await own.kill();
  await until(() => errors.length >= 2 && attempts >= 3);
  for (const { code } of errors) assert.equal(code, 'CONNECT_FAILED');
  await Promise.all([bus.close(), silent.close()]);
  await own.stop();
});

test('publishing while there is no server: offline=fail, and a timeout for offline=queue', async () => {
  const own = await RedisServer.start();
  const failing = await connect(own.url, { ...quick, offline: 'fail' });
  const queueing = await connect(own.url, { ...quick, publishTimeoutMs: 50 });
  const gone = Promise.all([event(failing, 'disconnect'), event(queueing, 'disconnect')]);
  await own.kill();
  await gone;
  await assert.rejects(failing.publish('c', 'x'), { code: 'NOT_CONNECTED' });
  assert.throws(() => failing.publishNoWait('c', 'x'), { code: 'NOT_CONNECTED' });
  await assert.rejects(queueing.publish('c', 'x'), { code: 'TIMEOUT', retryable: true });
  const kept = queueing.publish('c', 'kept');
  kept.catch(() => {});
  await assert.rejects(queueing.close({ timeout: 0 }), { code: 'TIMEOUT' });
  await assert.rejects(kept, { code: 'CLOSED' });
  await assert.rejects(queueing.publish('c', 'x'), { code: 'CLOSED' });
  await failing.close();
  await own.stop();
});

test('no permission: ready rejects, and follows when the permission comes', async () => {
  const own = await RedisServer.start('--user', 'bob', 'on', '>pw', '~*', '&ws:open', '+@all');
  const bus = await connect(`redis://bob:pw@127.0.0.1:${own.port}`);
  await bus.subscribe('open', () => {}).ready;
  const sub = bus.subscribe('closed', () => {});
  const [error] = await event(sub, 'failed');
  assert.equal(error.code, 'NO_PERMISSION');
  assert.equal(sub.state, 'failed');
  await assert.rejects(() => sub.ready, { code: 'NO_PERMISSION', message: /closed/ });
  await assert.rejects(bus.publish('closed', 'x'), { code: 'NO_PERMISSION' });
  assert.equal(await bus.publish('open', 'x'), 1);
  await bus.close();
  await own.stop();
});

test('a quiet bus stays connected after a burst', async () => {
  const heartbeats = { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 200 };
  const bus = await connect(server.url, heartbeats);
  await Promise.all(Array.from({ length: 5000 }, () => bus.publish('burst', 'x')));
  const before = bus.stats().bytesIn;
  const pong = 7; // bytes, on the publishing link; 20 on the other
  await until(() => bus.stats().bytesIn >= before + 10 * (pong + 20)); // twice the timeout, and more
  assert.equal(bus.stats().disconnects, 0);
  await bus.close();
});

test('10,000 messages between two buses, each once and in order', async () => {
  const [from, to] = await Promise.all([connect(server.url), connect(server.url)]);
  const seen = [];
  await to.subscribe('run', ({ text }) => seen.push(text)).ready;
  const sent = Array.from({ length: 10_000 }, (_, i) => `message ${i}`);
  const counts = await Promise.all(sent.map((text) => from.publish('run', text)));
  assert.ok(counts.every((count) => count === 1));
  await until(() => seen.length >= sent.length);
  assert.deepEqual(seen, sent);
  await Promise.all([from.close(), to.close()]);
});
