// What crosses between JavaScript and the engine crosses in batches: each text and payload must come out as it went in,
// whatever stands beside it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { connect } from './support/fanwire.mjs';

import { until } from './support/wait.mjs';

let bus;
before(async () => (bus = await connect('memory://batches')));
after(() => bus.close());

const kSlab = 4096; // of the strings that texts are parts of
const bytes = (...values) => Uint8Array.from(values);
const payloads = [
  '', 'x', 'plain', '"__proto__"', '\0\x01\x7f', 'x'.repeat(12), 'x'.repeat(13), // V8 copies the first, slices the second
  'é', 'grün', 'Ł', '日本語', '😀', 'a😀b', '\ufeffbom', '\u2028',
  'y'.repeat(kSlab / 4), 'y'.repeat(kSlab / 4 + 1), 'z'.repeat(kSlab), 'z'.repeat(kSlab + 1), 'z'.repeat(100_000),
  'é'.repeat(2048), 'é'.repeat(2049), '😀'.repeat(50_000),
  bytes(), bytes(0x80), bytes(0xff, 0xfe), bytes(0x61, 0xc3), bytes(0xf0, 0x9f, 0x98), bytes(0xed, 0xa0, 0x80), bytes(0x62),
];
const bytesOf = (payload) => (typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload.buffer));

// Every payload stands beside every other, and the rounds fall differently into batches and slabs.
function* mixed(rounds) {
  for (let round = 0; round < rounds; ++round) {
    for (let i = 0; i < payloads.length; ++i) yield payloads[(i * (round + 1)) % payloads.length];
  }
}

for (const [what, channel, subscribe] of [
  ['a channel', 'mixed', () => bus.subscribe('mixed')],
  ['a pattern', 'mixed:1', () => bus.psubscribe('mixed:*')],
  ['a pattern, the channel not ASCII', 'mixed:é😀', () => bus.psubscribe('mixed:é*')],
]) {
  test(`texts and bytes of all kinds in one batch, by ${what}`, async () => {
    const stream = subscribe();
    await stream.ready;
    const sent = [...mixed(28)]; // 29 is prime: so many steps differ
    for (const payload of sent) bus.publishNoWait(channel, payload);
    const kept = [];
    for await (const message of stream) {
      kept.push([message, message.text]);
      if (kept.length === sent.length) break;
    }
    for (const [i, [message, text]] of kept.entries()) { // long after their batches
      const expected = bytesOf(sent[i]);
      assert.equal(text, expected.toString(), `text ${i}`);
      assert.equal(message.text, text);
      assert.ok(message.data.equals(expected), `data ${i}`);
      assert.equal(message.channel, channel);
      assert.equal(message.channelBytes.toString(), channel);
      assert.equal(message.toString(), text);
    }
  });
}

test('data is the same Buffer each time, and what is written to it changes no neighbour', async () => {
  const messages = [];
  const subscription = bus.subscribe('written', (message) => messages.push(message));
  await subscription.ready;
  for (const text of ['first', 'sécond', 'third', 'fôurth']) bus.publishNoWait('written', text);
  await until(() => messages.length === 4);
  for (const message of messages.slice(0, 2)) {
    assert.equal(message.data, message.data);
    message.data.fill('!');
  }
  assert.deepEqual(messages.map(({ data }) => data.toString()), ['!!!!!', '!!!!!!!', 'third', 'fôurth']);
  assert.equal(messages[2].text, 'third');
  subscription.unsubscribe();
});

test('json() of long and short texts, ASCII or not, is cleaned', async () => {
  const seen = [];
  const subscription = bus.subscribe('json', (message) => seen.push(message.json()));
  await subscription.ready;
  const filler = ['', 'x'.repeat(600), 'x'.repeat(5000), 'é', 'é'.repeat(600), '😀'.repeat(5000)];
  for (const text of filler) bus.publishNoWait('json', `{"a":${JSON.stringify(text)},"__proto__":{"bad":1},"b":2}`);
  await until(() => seen.length === filler.length);
  assert.deepEqual(seen, filler.map((a) => ({ a, b: 2 })));
  for (const value of seen) assert.equal(value.bad, undefined);
  subscription.unsubscribe();
});

test('a kept text keeps little of its batch', async () => {
  const kKept = 1000;
  const kept = [];
  let count = 0;
  const subscription = bus.subscribe('kept', (message) => {
    if (count++ % 100 === 0) kept.push(message.text);
  });
  await subscription.ready;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const used = () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  for (let round = 0; round < kKept; ++round) {
    for (let i = 0; i < 100; ++i) bus.publishNoWait('kept', `${round} ${'x'.repeat(900)}`);
    await until(() => count === 100 * (round + 1));
  }
  assert.equal(kept.length, kKept);
  const grown = used() - before;
  assert.ok(grown < 2 * kKept * kSlab, `${grown} bytes for ${kKept} texts`); // all that has come are 90 MB
  assert.ok(kept.every((text, i) => text === `${i} ${'x'.repeat(900)}`));
  subscription.unsubscribe();
});

// ---- Publishing

async function received(channel, publish, count) {
  const messages = [];
  const subscription = bus.subscribe(channel, ({ data }) => messages.push(Buffer.from(data)));
  await subscription.ready;
  await publish();
  await until(() => messages.length === count);
  subscription.unsubscribe();
  return messages;
}

test('publish(): texts and bytes of all kinds in one turn arrive as they were, in order', async () => {
  const sent = [...mixed(28)];
  const publish = () => Promise.all(sent.map((payload) => bus.publish('out', payload)));
  const messages = await received('out', publish, sent.length);
  for (const [i, data] of messages.entries()) assert.ok(data.equals(bytesOf(sent[i])), `payload ${i}`);
});

test('publish(): half a surrogate pair stays half of one, whatever follows', async () => {
  const sent = ['a\ud83d', '\ude00b', '\ud83d', '\ude00', '\ud83d\ude00', '\ude00\ud83d', 'ok'];
  const publish = () => Promise.all(sent.map((payload) => bus.publish('\ude00lone\ud83d', payload)));
  const messages = await received('\ude00lone\ud83d', publish, sent.length);
  assert.deepEqual(messages.map(String), sent.map((text) => Buffer.from(text).toString()));
});

test('publish() and publishNoWait() mixed keep their order', async () => {
  const sent = Array.from({ length: 3000 }, (_, i) => `${i}`);
  const messages = await received('order', () => {
    for (const [i, text] of sent.entries()) {
      if (i % 7 === 3) bus.publishNoWait('order', text);
      else if (i % 11 === 5) bus.publish('order', Buffer.from(text));
      else bus.publish('order', text);
    }
  }, sent.length);
  assert.deepEqual(messages.map(String), sent);
});

test('what the engine refuses rejects its own promise and no other', async () => {
  const own = await connect('memory://refused', { maxMessageBytes: 10 });
  const tooLarge = 'MESSAGE_TOO_LARGE';
  const results = await Promise.allSettled([
    own.publish('c', 'good'), own.publish('', 'x'), own.publish('c', 'x'.repeat(11)), own.publish('c', 'é'.repeat(6)),
    own.publish('c', 'é'.repeat(5)), own.publish('c', 'x'.repeat(10_000)), own.publish('c', Buffer.alloc(11)),
    own.publish('c', undefined), own.publish(1, 'x'), own.publish('c', 'good'),
  ]);
  assert.deepEqual(results.map(({ value, reason }) => reason?.code ?? value), [
    0, 'INVALID_CHANNEL', tooLarge, tooLarge, 0, tooLarge, tooLarge, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', 0,
  ]);
  await own.close();
  await assert.rejects(own.publish('c', 'late'), { code: 'CLOSED' });
});

test('what was published counts at once, and close() sends it', async () => {
  const own = await connect('memory://counted');
  const outcomes = [own.publish('c', 'a'), own.publish('c', 'b')];
  assert.equal(own.stats().published, 2);
  outcomes.push(own.publish('c', 'c'));
  assert.match(own.metrics('json'), /"published":\s*3\b/);
  outcomes.push(own.publish('c', 'd'));
  await own.close();
  assert.deepEqual(await Promise.all(outcomes), [0, 0, 0, 0]);
  assert.equal(own.stats().published, 4);
});

test('a publish in each microtask of a long chain is not held back', async () => {
  const messages = await received('chain', async () => {
    for (let i = 0; i < 2000; ++i) {
      bus.publish('chain', `${i}`);
      await null;
    }
  }, 2000);
  assert.deepEqual(messages.map(String), Array.from({ length: 2000 }, (_, i) => `${i}`));
});
