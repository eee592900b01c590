// What is told besides messages: events() of a stream, and the events of the bus.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { event, until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };

// What an item of events() says, as one word.
const wordOf = (item) =>
  item.kind === 'message' ? item.text
  : item.kind === 'gap' ? `gap ${item.reason} ${item.count}`
  : item.error !== undefined ? `${item.kind} ${item.error.code}`
  : item.kind;

test('events(): messages and events in their places, and over when the subscription ends', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, quick);
  const words = [];
  const stream = bus.subscribe('c');
  const loop = (async () => { for await (const item of stream.events()) words.push(wordOf(item)); })();
  await stream.ready;
  await bus.publish('c', 'before');
  await until(() => words.includes('before'));
  await own.kill();
  await until(() => words.includes('lost CONNECTION_LOST'));
  await own.restart();
  await until(() => words.includes('resumed'));
  await bus.publish('c', 'after');
  await until(() => words.includes('after'));
  await bus.close();
  await loop;
  assert.deepEqual(words, ['active', 'before', 'lost CONNECTION_LOST', 'gap reconnect null', 'resumed', 'after']);
  await own.stop();
});

test('events() of a pattern; leaving the loop ends the subscription', async () => {
  const bus = await connect(server.url);
  const stream = bus.psubscribe('e.*');
  for await (const item of stream.events()) {
    if (item.kind === 'active') bus.publishNoWait('e.1', 'x');
    if (item.kind !== 'message') continue;
    assert.equal(item.channel, 'e.1');
    break;
  }
  assert.equal(stream.stopped, true);
  await until(() => stream.state === 'ended');
  assert.deepEqual(await stream.events().next(), { value: undefined, done: true });
  await bus.close();
});

test('events() tells of a refusal, and of the permission that follows', async () => {
  const own = await RedisServer.start('--user', 'bob', 'on', '>pw', '~*', '&ws:open', '+@all');
  const bus = await connect(`redis://bob:pw@127.0.0.1:${own.port}`, quick);
  const admin = await RespClient.connect(own.port);
  const words = [];
  for await (const item of bus.subscribe('closed').events()) {
    words.push(wordOf(item));
    if (item.kind === 'failed') await admin.command('ACL', 'SETUSER', 'bob', '&ws:closed');
    if (item.kind === 'active') break;
  }
  assert.equal(words[0], 'failed NO_PERMISSION');
  assert.equal(words.at(-1), 'active');
  admin.close();
  await bus.close();
  await own.stop();
});

test('a loop over events() that is too slow: the gaps stand where messages are missing', async () => {
  const bus = await connect('memory://events', { inboxCount: 10 });
  const events = bus.subscribe('c').events();
  assert.equal((await events.next()).value.kind, 'active');
  const total = 1000;
  for (let i = 0; i < total; ++i) bus.publishNoWait('c', String(i));
  await bus.publish('c', 'end'); // all are through
  let expected = 0;
  let gaps = 0;
  for await (const item of events) {
    if (item.kind === 'gap') {
      assert.equal(item.reason, 'overflow');
      expected += item.count;
      ++gaps;
    } else if (item.text === 'end') {
      break;
    } else {
      assert.equal(Number(item.text), expected++);
    }
  }
  assert.equal(expected, total);
  assert.ok(gaps > 0);
  await bus.close();
});

test('nobody iterates: ready resolves all the same, and listeners are told once', async () => {
  const bus = await connect('memory://events');
  const stream = bus.subscribe('c');
  const told = [];
  stream.on('active', () => told.push('active'));
  const events = stream.events();
  await stream.ready;
  assert.equal((await events.next()).value.kind, 'active');
  assert.deepEqual(told, ['active']);
  await bus.close();
});

test('the plain iteration passes over events, also while events() is in use', async () => {
  const bus = await connect('memory://events');
  const stream = bus.subscribe('c');
  const events = stream.events();
  await stream.ready; // 'active' waits for events(), but who asks for a message gets one
  for (const text of 'abc') bus.publishNoWait('c', text);
  assert.equal((await stream.next()).value.text, 'a');
  assert.equal(wordOf((await events.next()).value), 'b');
  assert.equal((await stream.next()).value.text, 'c');
  const waits = [stream.next(), events.next(), stream.next()];
  for (const text of 'def') bus.publishNoWait('c', text);
  assert.deepEqual((await Promise.all(waits)).map(({ value }) => value.text), ['d', 'e', 'f']);
  const last = [events.next(), stream.next()];
  await bus.close();
  assert.deepEqual(await Promise.all(last), Array(2).fill({ value: undefined, done: true }));
});

test('a listener of what events() is about to give may end the stream', async () => {
  const bus = await connect('memory://events');
  const stream = bus.subscribe('c');
  const events = stream.events();
  stream.on('active', () => events.return());
  assert.deepEqual(await events.next(), { value: undefined, done: true });
  await bus.close();
});

test("ready resolves when 'resumed' is all that a full inbox kept of the confirmations", async () => {
  // Which events are folded is a matter of moments: they are made here.
  const require = createRequire(createRequire(import.meta.url).resolve('fanwire/package.json'));
  const { Subscription, kControl } = require('./lib/subscription.js');
  const sub = new Subscription(new EventEmitter(), 'c', false, () => {});
  const told = [];
  for (const name of ['active', 'gap', 'resumed']) sub.on(name, () => told.push(name));
  const { ready } = sub;
  sub[kControl]({ kind: 'gap', reason: 'reconnect', count: null });
  sub[kControl]({ kind: 'resumed' });
  assert.equal(await ready, sub);
  assert.equal(await sub.ready, sub);
  assert.equal(sub.state, 'active');
  assert.deepEqual(told, ['gap', 'resumed']);
});

test("the bus: 'disconnect', 'reconnecting' with its attempt and delay, 'error', 'connect', in this order", async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, quick);
  const log = [];
  bus.on('disconnect', (error, { willReconnect }) => log.push(['disconnect', error.code, willReconnect]));
  bus.on('reconnecting', ({ attempt, delayMs }) => log.push(['reconnecting', attempt, delayMs]));
  bus.on('error', (error, { willReconnect }) => log.push(['error', error.code, willReconnect]));
  bus.on('connect', (...args) => log.push(['connect', ...args]));
  await own.kill();
  await until(() => log.filter(([name]) => name === 'error').length >= 3);
  assert.equal(bus.connected, false);
  await own.restart();
  await event(bus, 'connect');
  assert.equal(bus.connected, true);
  assert.deepEqual(log[0], ['disconnect', 'CONNECTION_LOST', true]);
  assert.deepEqual(log.at(-1), ['connect']);
  const attempts = log.filter(([name]) => name === 'reconnecting');
  assert.deepEqual(attempts.map(([, attempt]) => attempt), attempts.map((_, i) => i + 1));
  for (const [, , delayMs] of attempts) assert.ok(delayMs >= 0 && delayMs <= quick.maxReconnectDelayMs, String(delayMs));
  const errors = log.filter(([name]) => name === 'error');
  for (const [, code, willReconnect] of errors) assert.deepEqual([code, willReconnect], ['CONNECT_FAILED', true]);
  // Each attempt that failed is told between the announcements of two attempts.
  assert.deepEqual(log.slice(1, -1).map(([name]) => name),
    attempts.flatMap((_, i) => (i < errors.length ? ['reconnecting', 'error'] : ['reconnecting'])));
  await bus.close();
  await own.stop();
});

test('giving up: willReconnect is false with the last attempt, and publishes fail at once', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, { ...quick, maxReconnectAttempts: 2 });
  const will = [];
  const gaveUp = new Promise((resolve) => {
    bus.on('error', (error, { willReconnect }) => {
      will.push(willReconnect);
      if (!willReconnect) resolve();
    });
  });
  bus.ref();
  await own.kill();
  await gaveUp;
  assert.deepEqual(will, [true, false]);
  await assert.rejects(bus.publish('c', 'x'), { code: 'NOT_CONNECTED' });
  await bus.close();
  await own.stop();
});
