// for await over a subscription.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { event, until } from './support/wait.mjs';

let bus;
before(async () => (bus = await connect('memory://iteration')));
after(() => bus.close());

test('for await sees every message in order, and break ends the subscription', async () => {
  const stream = bus.subscribe('loop');
  await stream.ready; // also before anybody iterates
  const sent = Array.from({ length: 1000 }, (_, i) => String(i));
  for (const text of sent) bus.publishNoWait('loop', text);
  const seen = [];
  for await (const message of stream) {
    seen.push(message.text);
    if (seen.length === sent.length) break;
  }
  assert.deepEqual(seen, sent);
  assert.equal(await bus.publish('loop', 'nobody'), 0);
  assert.throws(() => stream.unsubscribe(), { code: 'UNSUBSCRIBED' });
});

test('a waiting loop gets what comes later', async () => {
  const stream = bus.psubscribe('later.*');
  const seen = [];
  const loop = (async () => {
    for await (const { channel, text } of stream) {
      seen.push(`${channel}=${text}`);
      if (text === 'end') return;
    }
  })();
  await stream.ready;
  await bus.publish('later.a', '1');
  await until(() => seen.length === 1);
  await bus.publish('later.b', 'end');
  await loop;
  assert.deepEqual(seen, ['later.a=1', 'later.b=end']);
});

test('several next() at once are served in order', async () => {
  const stream = bus.subscribe('nexts');
  await stream.ready;
  const nexts = [stream.next(), stream.next(), stream.next()];
  for (const text of 'abc') bus.publishNoWait('nexts', text);
  assert.deepEqual((await Promise.all(nexts)).map(({ value }) => value.text), ['a', 'b', 'c']);
  const waiting = stream.next();
  const ended = event(stream, 'ended');
  stream.unsubscribe();
  assert.deepEqual(await waiting, { value: undefined, done: true });
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
  await ended;
});

test('a next() does not overtake one that waits for what has come', async () => {
  const stream = bus.subscribe('overtaking');
  await stream.ready;
  const first = stream.next();
  const { delivered } = bus.stats();
  for (const text of 'abc') bus.publishNoWait('overtaking', text);
  const deadline = Date.now() + 20_000; // no turn of the event loop in here: nobody has been woken
  while (bus.stats().delivered < delivered + 3) assert.ok(Date.now() < deadline);
  const later = [stream.next(), stream.events().next()];
  assert.deepEqual((await Promise.all([first, ...later])).map(({ value }) => value.text), ['a', 'b', 'c']);
  stream.unsubscribe();
});

test('an error thrown in the loop leaves it and ends the subscription', async () => {
  const stream = bus.subscribe('thrown');
  await stream.ready;
  bus.publishNoWait('thrown', 'x');
  await assert.rejects(async () => {
    for await (const message of stream) throw new Error(`in the loop: ${message.text}`);
  }, /in the loop: x/);
  assert.equal(await bus.publish('thrown', 'y'), 0);
});

test('closing the bus ends the loop after the messages that had come', async () => {
  const other = await connect('memory://iteration-close');
  const stream = other.subscribe('c');
  const idle = other.subscribe('c');
  await Promise.all([stream.ready, idle.ready]);
  for (let i = 0; i < 300; ++i) other.publishNoWait('c', String(i));
  const waiting = idle.next();
  await other.close();
  assert.equal((await waiting).value.text, '0');
  let count = 0;
  for await (const message of stream) assert.equal(message.text, String(count++));
  assert.equal(count, 300);
  assert.equal(stream.state, 'ended');
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
});

test('closing the bus ends a loop that waits', async () => {
  const other = await connect('memory://iteration-wait');
  const stream = other.subscribe('c');
  await stream.ready;
  const waiting = stream.next();
  await other.close();
  assert.deepEqual(await waiting, { value: undefined, done: true });
});

test('a loop that is too slow sees a gap with the exact count, and the heap stays small', async () => {
  const other = await connect('memory://iteration-gap', { inboxCount: 100 });
  const stream = other.subscribe('c');
  await stream.ready;
  const gaps = [];
  stream.on('gap', (gap) => gaps.push(gap));
  const total = 2000;
  for (let i = 0; i < total - 1; ++i) await other.publish('c', String(i));
  await other.publish('c', 'last');
  let seen = 0;
  for await (const { text } of stream) {
    ++seen;
    if (text === 'last') break;
  }
  const missing = gaps.reduce((sum, { count }) => sum + count, 0);
  assert.ok(gaps.length > 0);
  for (const { reason } of gaps) assert.equal(reason, 'overflow');
  assert.equal(seen + missing, total);
  assert.ok(seen <= 100 + 64, `${seen} messages were kept`); // the inbox, and one batch taken from it
  await other.close();
});

test('a listener may end the stream while a next() waits', async () => {
  const own = await connect('memory://iteration');
  const [first, second] = [own.subscribe('a'), own.subscribe('b')];
  await Promise.all([first.ready, second.ready]);
  first.on('ended', () => first.return());
  const waiting = [first.next(), second.next()];
  await own.close();
  assert.deepEqual(await Promise.all(waiting), Array(2).fill({ value: undefined, done: true }));
});

test('a listener may unsubscribe while a next() waits, and the next waits still hold the process', async () => {
  const stream = bus.subscribe('active');
  stream.on('active', () => stream.unsubscribe());
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
  const later = bus.subscribe('later');
  await later.ready;
  setTimeout(() => bus.publishNoWait('later', 'came'), 20).unref(); // nothing but the wait below keeps the process
  assert.equal((await later.next()).value.text, 'came');
  later.unsubscribe();
});

test('return() after the bus is closed forgets what waits', async () => {
  const own = await connect('memory://iteration');
  const stream = own.subscribe('a');
  await stream.ready;
  await own.publish('a', 'unread');
  await own.close();
  await stream.return();
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
  assert.equal(stream.state, 'ended');
});
