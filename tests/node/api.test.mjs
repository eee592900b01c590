// The API on memory://, which needs no server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';

import { connect, dependencies, FanwireError, settings, version } from './support/fanwire.mjs';

import { event, until } from './support/wait.mjs';

let bus;
before(async () => (bus = await connect('memory://api')));
after(() => bus.close());

// A subscription that is confirmed, and the array its messages go to.
async function collect(channel, subscribe = 'subscribe') {
  const messages = [];
  const sub = bus[subscribe](channel, (message) => messages.push(message));
  await sub.ready;
  return { sub, messages };
}

test('a bus is connected when connect() resolves', () => {
  assert.equal(bus.connected, true);
  assert.equal(bus.stats().connected, true);
});

test('publish resolves to the number of receivers', async () => {
  assert.equal(await bus.publish('nobody', 'x'), 0);
  const one = await collect('counted');
  const receivers = await bus.publish('counted', 'x');
  assert.equal(receivers, 1);
  await until(() => one.messages.length === 1);
  one.sub.unsubscribe();
});

test('a message has channel, pattern, text, data and json()', async () => {
  const { sub, messages } = await collect('whole');
  await bus.publish('whole', { a: [1, 'ž'] });
  await until(() => messages.length === 1);
  const [message] = messages;
  assert.equal(message.channel, 'whole');
  assert.deepEqual(message.channelBytes, Buffer.from('whole'));
  assert.equal(message.pattern, null);
  assert.equal(message.subscription, sub);
  assert.equal(message.text, '{"a":[1,"ž"]}');
  assert.equal(message.text, message.text);
  assert.deepEqual(message.data, Buffer.from('{"a":[1,"ž"]}'));
  assert.deepEqual(message.json(), { a: [1, 'ž'] });
  assert.equal(String(message), message.text);
  assert.match(inspect(message), /^Message \{ channel: 'whole', text: /);
  sub.unsubscribe();
});

test('json() of a payload that is not JSON throws SyntaxError', async () => {
  const { sub, messages } = await collect('nojson');
  await bus.publish('nojson', 'hello {');
  await until(() => messages.length === 1);
  assert.throws(() => messages[0].json(), SyntaxError);
  sub.unsubscribe();
});

test('bytes arrive as they were, whatever kind of array they were in', async () => {
  const { sub, messages } = await collect('bytes');
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const inside = new Uint8Array(512);
  inside.set(bytes, 100);
  const shared = new SharedArrayBuffer(256);
  new Uint8Array(shared).set(bytes);
  const values = [
    bytes, Buffer.from(bytes), bytes.buffer, shared, new DataView(bytes.buffer), new Uint16Array(bytes.buffer),
    new Float64Array(bytes.buffer), inside.subarray(100, 356), new DataView(inside.buffer, 100, 256),
  ];
  for (const value of values) await bus.publish('bytes', value);
  await until(() => messages.length === values.length);
  for (const message of messages) assert.deepEqual(message.data, Buffer.from(bytes));
  sub.unsubscribe();
});

test('empty payloads and payloads of one NUL', async () => {
  const { sub, messages } = await collect('small');
  for (const value of ['', Buffer.alloc(0), '\0', Buffer.from([0])]) await bus.publish('small', value);
  await until(() => messages.length === 4);
  assert.deepEqual(messages.map(({ text }) => text), ['', '', '\0', '\0']);
  assert.deepEqual(messages.map(({ data }) => data.length), [0, 0, 1, 1]);
  sub.unsubscribe();
});

test('long text and long channels', async () => {
  const channel = 'š'.repeat(511); // 1022 bytes
  const { sub, messages } = await collect(channel);
  const sizes = [1000, 1019, 1020, 1021, 1023, 1024, 1025, 4096, 4097, 1_000_000];
  for (const size of sizes) await bus.publish(channel, 'x'.repeat(size - 2) + 'é');
  await until(() => messages.length === sizes.length);
  assert.deepEqual(messages.map(({ data }) => data.length), sizes);
  for (const message of messages) {
    assert.equal(message.channel, channel);
    assert.ok(message.text.endsWith('xé'));
  }
  sub.unsubscribe();
});

test('channels of bytes', async () => {
  const name = Buffer.from([0x61, 0x00, 0xff]);
  const { sub, messages } = await collect(name);
  const original = Buffer.from(name);
  name.fill(0); // the subscription has its own copy
  assert.equal(await bus.publish(original, 'x'), 1);
  await until(() => messages.length === 1);
  assert.deepEqual(messages[0].channelBytes, original);
  assert.deepEqual(sub.nameBytes, original);
  assert.equal(messages[0].channel, original.toString());
  sub.unsubscribe();
});

test('patterns say which channel and which pattern', async () => {
  const { sub, messages } = await collect('room:*', 'psubscribe');
  await bus.publish('room:1', 'a');
  await bus.publish('room:ž', 'b'.repeat(5000));
  await bus.publish('hall:1', 'c');
  await bus.publish(Buffer.from('room:\0'), 'd');
  await until(() => messages.length === 3);
  assert.deepEqual(messages.map(({ channel }) => channel), ['room:1', 'room:ž', 'room:\0']);
  assert.deepEqual(messages.map(({ channelBytes }) => channelBytes.toString()), ['room:1', 'room:ž', 'room:\0']);
  assert.deepEqual(messages.map(({ text }) => text), ['a', 'b'.repeat(5000), 'd']);
  for (const { pattern } of messages) assert.equal(pattern, 'room:*');
  assert.equal(sub.pattern, 'room:*');
  assert.equal(sub.channel, null);
  sub.unsubscribe();
});

test('each subscription gets a message once, in order', async () => {
  const subs = await Promise.all([
    collect('many'), collect('many'), collect('ma*', 'psubscribe'), collect('*', 'psubscribe'),
  ]);
  const sent = Array.from({ length: 3000 }, (_, i) => String(i));
  for (const text of sent) bus.publishNoWait('many', text);
  await until(() => subs.every(({ messages }) => messages.length >= sent.length));
  for (const { messages, sub } of subs) {
    assert.deepEqual(messages.map(({ text }) => text), sent);
    sub.unsubscribe();
  }
});

test('publishNoWait returns nothing and delivers', async () => {
  const { sub, messages } = await collect('nowait');
  assert.equal(bus.publishNoWait('nowait', { n: 1 }), undefined);
  await until(() => messages.length === 1);
  assert.deepEqual(messages[0].json(), { n: 1 });
  sub.unsubscribe();
});

test('ready, state and the active event', async () => {
  const sub = bus.subscribe('ready', () => {});
  assert.equal(sub.state, 'pending');
  const active = event(sub, 'active');
  assert.equal(await sub.ready, sub);
  await active;
  assert.equal(sub.state, 'active');
  assert.equal(await sub.ready, sub); // also when asked for later
  sub.unsubscribe();
  await event(sub, 'ended');
  assert.equal(sub.state, 'ended');
  assert.equal(await sub.ready, sub); // it had been confirmed

  const other = bus.subscribe('ready', () => {});
  other.unsubscribe();
  await event(other, 'ended');
  await assert.rejects(() => other.ready, { code: 'UNSUBSCRIBED' });
});

test('after unsubscribe() the handler is not called again, not even in the same batch', async () => {
  let calls = 0;
  const sub = bus.subscribe('once', () => {
    ++calls;
    sub.unsubscribe();
  });
  await sub.ready;
  for (let i = 0; i < 10; ++i) bus.publishNoWait('once', String(i));
  await event(sub, 'ended');
  assert.equal(calls, 1);
});

test('messages are still readable long after their batch', async () => {
  const { sub, messages } = await collect('kept');
  for (let i = 0; i < 5000; ++i) bus.publishNoWait('kept', `message ${i}`);
  await until(() => messages.length === 5000);
  assert.deepEqual(messages.map(({ text }) => text), Array.from({ length: 5000 }, (_, i) => `message ${i}`));
  sub.unsubscribe();
});

test('a flood leaves the event loop room', async () => {
  let received = 0;
  const sub = bus.subscribe('flood', () => ++received);
  await sub.ready;
  const total = 20_000;
  for (let i = 0; i < total; ++i) bus.publishNoWait('flood', 'x');
  const seen = new Set();
  while (received < total) {
    await new Promise((resolve) => setImmediate(resolve));
    seen.add(received);
  }
  assert.ok(seen.size > 10, `the loop turned only ${seen.size} times`); // 20,000 in batches of 512: about 40
  sub.unsubscribe();
});

test('stats count', async () => {
  const { sub, messages } = await collect('stats');
  const before = bus.stats();
  await bus.publish('stats', 'x');
  await until(() => messages.length === 1);
  const now = bus.stats();
  assert.equal(now.published - before.published, 1);
  assert.equal(now.publishOk - before.publishOk, 1);
  assert.equal(now.delivered - before.delivered, 1);
  assert.ok(now.subscriptions >= 1);
  sub.unsubscribe();
});

test('version, dependencies and the table of settings', () => {
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.ok(dependencies.hiredis);
  assert.ok(dependencies.libevent);
  assert.match(dependencies.openssl, /^3\./);
  const namespace = settings.find(({ name }) => name === 'namespace');
  assert.equal(namespace.default, 'ws');
  assert.equal(settings.find(({ name }) => name === 'password').secret, true);
});

test('settings: camelCase, snake_case, numbers, an URL object, settings alone', async () => {
  for (const open of [
    () => connect('memory://alone', { inboxCount: 10, max_message_bytes: '1KiB' }),
    () => connect({ url: new URL('memory://alone'), max_message_bytes: 1024 }),
    () => connect('memory://alone?max_message_bytes=1KiB', {}),
    () => connect('memory://alone?max_message_bytes=1MiB', { maxMessageBytes: 1024n, host: undefined }),
  ]) {
    const other = await open();
    await assert.rejects(other.publish('c', 'x'.repeat(1025)), { code: 'MESSAGE_TOO_LARGE' });
    assert.equal(await other.publish('c', 'x'.repeat(1024)), 0);
    await other.close();
  }
});

test('two buses without a name know nothing of each other', async () => {
  const [a, b] = await Promise.all([connect('memory://'), connect('memory://')]);
  const seen = [];
  const subs = [a, b].map((each, i) => each.subscribe('x', ({ text }) => seen.push(text + i)));
  await Promise.all(subs.map(({ ready }) => ready));
  assert.equal(await a.publish('x', 'm'), 1);
  await until(() => seen.length === 1);
  await a.close();
  assert.equal(await b.publish('x', 'n'), 1);
  await until(() => seen.length === 2);
  assert.deepEqual(seen, ['m0', 'n1']);
  await b.close();
});

test('buses of one name share their messages', async () => {
  const [a, b] = await Promise.all([connect('memory://pair'), connect('memory://pair')]);
  const seen = [];
  const subs = [a, b].map((each, i) => each.subscribe('x', ({ text }) => seen.push(text + i)));
  await Promise.all(subs.map(({ ready }) => ready));
  assert.equal(await a.publish('x', 'm'), 2);
  await until(() => seen.length === 2);
  assert.deepEqual(seen.sort(), ['m0', 'm1']);
  await a.close();
  assert.equal(await b.publish('x', 'n'), 1);
  await until(() => seen.length === 3);
  await b.close();
});

test('close() ends subscriptions, reports outcomes, and is idempotent', async () => {
  const other = await connect('memory://closing');
  const texts = [];
  const sub = other.subscribe('c', ({ text }) => texts.push(text));
  await sub.ready;
  const outcomes = Promise.all(Array.from({ length: 100 }, (_, i) => other.publish('c', String(i))));
  const ended = event(sub, 'ended');
  const closing = other.close({ timeout: 1000 });
  assert.equal(other.close(), closing);
  assert.equal((await outcomes).length, 100);
  await closing;
  await ended;
  assert.equal(sub.state, 'ended');
  assert.equal(other.connected, false);
  assert.equal(other.stats().connected, false);
  assert.equal(other.stats().publishOk, 100);
  assert.equal(texts.length, 100);
});

const skip = Symbol.asyncDispose === undefined && 'this Node has no Symbol.asyncDispose';
test('await using closes', { skip }, async () => {
  const other = await connect('memory://using');
  await other[Symbol.asyncDispose]();
  await assert.rejects(other.publish('x', 'y'), { code: 'CLOSED' });
  const sub = bus.subscribe('using', () => {});
  sub[Symbol.dispose]();
  sub[Symbol.dispose]();
  assert.throws(() => sub.unsubscribe(), FanwireError);
});
