// Asking: numsub(), and requests with their replies.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { AbortError, FanwireError } from 'fanwire';

import { connect, open } from './support/fanwire.mjs';
import { RedisServer } from './support/redis.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const isError = (code, pattern) => (error) => {
  assert(error instanceof FanwireError, String(error));
  assert.equal(error.code, code, error.message);
  if (pattern !== undefined) assert.match(error.message, pattern);
  return true;
};

let number = 0;
const backends = [['memory', () => `memory://asking-${++number}`], ['Redis', () => server.url]];

// `count` buses that answer each request on `channel`, by their number and what was asked.
async function responders(url, channel, count) {
  const buses = await Promise.all(Array.from({ length: count }, () => connect(url)));
  await Promise.all(buses.map((bus, from) => bus.subscribe(channel, (message) => {
    if (message.isRequest) message.reply({ from, asked: message.text });
  }).ready));
  return buses;
}

for (const [name, urlOf] of backends) {
  const channel = `c-${name}`;

  test(`numbers of subscribers (${name})`, async () => {
    const url = urlOf();
    const [one, two] = await Promise.all([connect(url), connect(url)]);
    await Promise.all([one.subscribe('a', () => {}).ready, two.subscribe('a', () => {}).ready, one.subscribe('b').ready]);
    assert.deepEqual(await one.numsub(['a', 'b', Buffer.from('c'), 'a']), [2, 1, 0, 2]);
    assert.deepEqual(await two.numsub(new Set(['b'])), [1]);
    assert.deepEqual(await two.numsub([]), []);
    assert.deepEqual(await Promise.all([one.publish('nobody', 'x'), one.numsub(['b'])]), [0, [1]]);
  });

  test(`all replies, and as they come (${name})`, async () => {
    const url = urlOf();
    await responders(url, channel, 3);
    const bus = await connect(url);
    const { replies, missing } = await bus.request(channel, 'q', { expect: 3 }).all();
    assert.deepEqual(replies.map((reply) => reply.json().from).sort(), [0, 1, 2]);
    assert(replies.every((reply) => reply.json().asked === 'q' && !reply.isRequest && reply.channel === channel));
    assert.equal(missing, 0);

    const request = bus.request(channel, 'again');
    const seen = [];
    for await (const reply of request) seen.push(reply.json().asked);
    assert.deepEqual(seen, ['again', 'again', 'again']);
    assert.deepEqual(await request.done, { replies: 3, missing: 0, status: 'OK' });
    assert.deepEqual(await request.next(), { value: undefined, done: true });
  });

  test(`what is missing is told (${name})`, async () => {
    const url = urlOf();
    await responders(url, channel, 1);
    const bus = await connect(url);
    const request = bus.request(channel, 'q', { expect: 3, timeout: 100 });
    const { replies, missing } = await request.all();
    assert.deepEqual([replies.length, missing], [1, 2]);
    assert.deepEqual(await request.done, { replies: 1, missing: 2, status: 'TIMEOUT' });
    assert.deepEqual((await bus.request('nobody', 'q', { expect: 2, timeout: Infinity }).done).missing, 2);
    assert.deepEqual(await bus.request('nobody', 'q').done, { replies: 0, missing: 0, status: 'OK' });
  });

  test(`many requests at once do not mix up (${name})`, async () => {
    const url = urlOf();
    await responders(url, channel, 2);
    const bus = await connect(url);
    const requests = Array.from({ length: 200 }, (_, i) => bus.request(channel, String(i), { expect: 2 }).all());
    for (const [i, { replies }] of (await Promise.all(requests)).entries()) {
      assert.deepEqual(replies.map((reply) => reply.json().asked), [String(i), String(i)]);
    }
  });

  test(`any payload, to handlers, patterns and streams (${name})`, async () => {
    // Redis drops a subscriber whose output buffer is larger than 32 MB.
    const size = name === 'memory' ? 20_000_000 : 3_000_000;
    const bus = await connect(urlOf(), { maxMessageBytes: '32MiB' });
    const stream = bus.subscribe(channel);
    const seen = [];
    const pattern = bus.psubscribe(`${channel}*`, (message) => seen.push([message.isRequest, message.channel, message.data]));
    await Promise.all([stream.ready, pattern.ready]);
    const values = ['', 'žluťoučký', Buffer.from([0, 0x66, 0x77, 0x72, 1, 1, 0, 0]), 'x'.repeat(100_000), Buffer.alloc(size, 1)];
    for (const value of values) {
      await bus.publish(channel, value);
      const request = bus.request(channel, value, { expect: 1 });
      const { value: plain } = await stream.next();
      const { value: asked } = await stream.next();
      assert.deepEqual([plain.isRequest, asked.isRequest], [false, true]);
      assert.deepEqual(plain.data, asked.data);
      asked.reply(asked.data);
      const { replies: [reply] } = await request.all();
      assert(reply.data.equals(asked.data));
      await until(() => seen.length === 2);
      assert.deepEqual(seen.map(([isRequest, name_]) => [isRequest, name_]), [[false, channel], [true, channel]]);
      assert(seen.every(([, , data]) => data.equals(asked.data)));
      seen.length = 0;
    }
  });

  test(`a request ends early (${name})`, async () => {
    const url = urlOf();
    await responders(url, channel, 1);
    const bus = await connect(url);
    const request = bus.request(channel, 'q', { expect: 100, timeout: Infinity });
    for await (const reply of request) {
      assert.equal(reply.json().from, 0);
      break;
    }
    assert.deepEqual(await request.done, { replies: 1, missing: 99, status: 'UNSUBSCRIBED' });

    const controller = new AbortController();
    const aborted = bus.request(channel, 'q', { expect: 100, timeout: Infinity, signal: controller.signal });
    await aborted.next();
    const rest = assert.rejects(aborted.all(), (error) => error instanceof AbortError && error.cause.message === 'enough' && error.mayHaveHappened);
    controller.abort(new Error('enough'));
    await rest;
    await assert.rejects(aborted.done, { name: 'AbortError' });
    assert.throws(() => bus.request(channel, 'q', { signal: controller.signal }), { name: 'AbortError' });

    const closing = bus.request(channel, 'q', { expect: 100, timeout: Infinity });
    const rejected = assert.rejects(closing.all(), isError('CLOSED'));
    await bus.close();
    await rejected;
    assert.throws(() => bus.request(channel, 'q'), isError('CLOSED'));
    await assert.rejects(bus.numsub(['a']), isError('CLOSED'));
  });
}

test('with a codec, replies are values', async () => {
  const bus = await connect('memory://', { codec: 'json' });
  await bus.subscribe('a', (message) => message.reply([message.value])).ready;
  const { replies } = await bus.request('a', { n: 1 }).all();
  assert.deepEqual(replies.map(({ value }) => value), [[{ n: 1 }]]);
});

test('what cannot be asked or answered', async () => {
  const bus = await connect('memory://', { maxRequests: 1 });
  const stream = bus.subscribe('a');
  await stream.ready;
  await bus.publish('a', 'x');
  const { value: message } = await stream.next();
  assert.throws(() => message.reply('x'), isError('INVALID_ARGUMENT', /no request/));
  for (const channels of ['one', 1, null, undefined, Buffer.from('x')]) {
    await assert.rejects(bus.numsub(channels), isError('INVALID_ARGUMENT', /array/));
  }
  await assert.rejects(bus.numsub([1]), isError('INVALID_ARGUMENT'));
  await assert.rejects(bus.numsub(['']), isError('INVALID_CHANNEL'));
  await assert.rejects(bus.numsub(new Array(1025).fill('x')), isError('LIMIT_REACHED', /1024/));
  for (const options of [{ expect: -1 }, { expect: 1.5 }, { expect: '1' }, { timeout: 0 }, { timeout: NaN }, { signal: {} }, { wait: 1 }, 5]) {
    assert.throws(() => bus.request('a', 'x', options), isError('INVALID_ARGUMENT'), JSON.stringify(options));
  }
  assert.throws(() => bus.request('a', 'x', {}, 1), isError('INVALID_ARGUMENT'));
  assert.throws(() => bus.request('', 'x'), isError('INVALID_CHANNEL'));
  assert.throws(() => bus.request(1, 'x'), isError('INVALID_ARGUMENT'));
  const first = bus.request('a', 'x', { expect: null, timeout: undefined });
  assert.throws(() => bus.request('a', 'x'), isError('LIMIT_REACHED', /max_requests/));
  await first.return();
  await first.done;
  assert.equal((await bus.request('nobody', 'x').done).status, 'OK');
});

test('without a server it fails in time, and ends no process when nobody waits', async () => {
  const bus = open('unix:///nonexistent/fanwire', { publishTimeoutMs: 50 });
  bus.request('a', 'unwatched');
  const request = bus.request('a', 'x', { timeout: 50 });
  assert.deepEqual(await request.done, { replies: 0, missing: null, status: 'TIMEOUT' });
  await assert.rejects(bus.numsub(['a']), isError('TIMEOUT', /connection/));
  await bus.close({ timeout: 0 });
});
