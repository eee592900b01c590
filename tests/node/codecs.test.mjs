// Codecs of a bus: what is published, what message.value is, and what happens to what cannot be decoded. The same as in
// tests/python/test_codecs.py.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, cpSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { run, runScript } from './support/child.mjs';
import { connect, DecodeError, errors, FanwireError, open } from './support/fanwire.mjs';
import { event, until } from './support/wait.mjs';

const binary = Buffer.from([0, 0xff]);
const reversed = (text) => [...text].reverse().join('');
const backwards = { encode: reversed, decode: (data) => reversed(data.toString()) };

// codec, value, payload, what comes out
const rows = [
  [undefined, 'é', 'é', Buffer.from('é')],
  [undefined, { n: 1 }, '{"n":1}', Buffer.from('{"n":1}')],
  ['json', { n: [1, null] }, '{"n":[1,null]}', { n: [1, null] }],
  ['json', 'é', '"é"', 'é'],
  ['json', null, 'null', null],
  ['json', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}', { at: '1970-01-01T00:00:00.000Z' }],
  ['text', 'é', 'é', 'é'],
  ['text', '', '', ''],
  ['text', '\ufeffx', '\ufeffx', '\ufeffx'],
  ['bytes', binary, binary, binary],
  ['bytes', new Uint16Array([0x6161]).buffer, 'aa', Buffer.from('aa')],
  ['base64', binary, binary.toString('base64'), binary],
  ['base64', new DataView(new Uint8Array([0, 0x61, 0x62]).buffer, 1), 'YWI=', Buffer.from('ab')],
  ['base64', Buffer.alloc(0), '', Buffer.alloc(0)],
  // ws-kit's table
  ['ws-kit', 'plain', 'plain', 'plain'],
  ['ws-kit', '{"n":1}', '{"n":1}', { n: 1 }],
  ['ws-kit', { n: 1 }, '{"n":1}', { n: 1 }],
  ['ws-kit', 1.5, '1.5', 1.5],
  ['ws-kit', true, 'true', true],
  ['ws-kit', null, 'null', null],
  ['ws-kit', binary, 'AP8=', 'AP8='],
  [backwards, 'abc', 'cba', 'abc'],
];

for (const [codec, value, payload, back] of rows) {
  const name = typeof codec === 'object' ? 'a codec of ours' : codec;
  test(`${name}: ${JSON.stringify(value) ?? value} is sent as ${payload}`, async () => {
    const bus = open('memory://', { codec });
    const handled = [];
    const sub = bus.subscribe('a', ({ value: decoded }) => handled.push(decoded));
    const pattern = bus.psubscribe('a*', (message) => handled.push(message.value));
    const stream = bus.subscribe('a');
    await Promise.all([sub.ready, pattern.ready, stream.ready]);
    await bus.publish('a', value);
    bus.publishNoWait('a', value);
    const messages = [(await stream.next()).value, (await stream.next()).value];
    for (const message of messages) {
      assert.deepEqual(message.data, Buffer.from(payload));
      assert.deepEqual(message.value, back);
    }
    await until(() => handled.length === 4);
    assert.deepEqual(handled, Array(4).fill(back));
    assert.equal(messages[0].value, messages[0].value);
  });
}

for (const [codec, value, mentions] of [
  ['json', Buffer.from('bytes'), /bytes/], ['json', { deep: [new Uint8Array(1)] }, /bytes/], ['json', new Set([1]), /Set/],
  ['json', { deep: new Map() }, /Map/], ['json', NaN, /NaN/], ['json', [Infinity], /Infinity/], ['json', undefined, /undefined/],
  ['json', 10n, /BigInt/], ['text', 1, /a number/], ['text', Buffer.from('bytes'), /an object/], ['bytes', 'text', /a string/],
  ['base64', 'text', /a string/], ['ws-kit', () => {}, /a function/], ['ws-kit', NaN, /NaN/],
  [{ encode() { throw new Error('oh no'); }, decode() {} }, 'x', /oh no/], [{ encode: () => 7, decode() {} }, 'x', /a number/],
  [{ encode: async () => 'x', decode() {} }, 'x', /a promise/],
]) {
  test(`what cannot be encoded: ${typeof codec === 'string' ? codec : codec.encode}, ${String(value)}`, async () => {
    const bus = open('memory://', { codec });
    const isInvalid = (error) => {
      assert.ok(error instanceof errors.InvalidArgumentError, error?.stack);
      assert.match(error.message, mentions);
      return true;
    };
    await assert.rejects(bus.publish('a', value), isInvalid);
    await assert.rejects(bus.publish('a', value, { timeout: 1000 }), isInvalid);
    assert.throws(() => bus.publishNoWait('a', value), isInvalid);
    assert.equal(bus.stats().published, 0);
  });
}

for (const [codec, payload, good] of [
  ['json', '{', 1], ['json', '', 1], ['json', '\ufeff1', 1], ['json', Buffer.from([0x22, 0xff, 0x22]), 1],
  ['text', Buffer.from([0xff]), 'x'], ['base64', 'A?==', binary], ['base64', 'AAA', binary], ['base64', 'AA==AA==', binary],
  ['base64', 'A===', binary], ['base64', 'AP8=\n', binary], ['base64', 'AP-_', binary],
]) {
  test(`what cannot be decoded is an event in its place: ${codec}, ${JSON.stringify(String(payload))}`, async () => {
    const bus = open('memory://undecodable', { codec });
    const raw = open('memory://undecodable');
    bus.on('handlerError', (error) => assert.fail(error));
    const seen = [];
    const sub = bus.subscribe('a', ({ value }) => seen.push(value));
    sub.on('decodeError', (error, message) => seen.push([error, message]));
    const stream = bus.subscribe('a');
    const told = event(stream, 'decodeError');
    const events = stream.events();
    const plain = bus.subscribe('a').on('decodeError', () => seen.push('plain'));
    await Promise.all([sub.ready, stream.ready, plain.ready]);
    await bus.publish('a', good);
    await raw.publish('a', payload);
    await bus.publish('a', good);
    const items = [];
    for (let i = 0; i < 4; ++i) items.push((await events.next()).value);
    assert.deepEqual(items.map(({ kind }) => kind), ['active', 'message', 'decodeError', 'message']);
    assert.deepEqual([(await plain.next()).value.value, (await plain.next()).value.value], [good, good]);
    await until(() => seen.length === 4);
    assert.deepEqual([seen[0], seen.at(-1), seen.includes('plain')].slice(0, 1), [good]);
    const [error, message] = seen.find((item) => Array.isArray(item));
    for (const [one, of] of [[error, message], [items[2].error, items[2].message], await told]) {
      assert.ok(one instanceof DecodeError && one instanceof FanwireError);
      assert.equal(one.code, 'DECODE_FAILED');
      assert.ok(one.message.includes(`"${codec}"`) && one.cause !== undefined, one.message);
      assert.deepEqual(of.data, Buffer.from(payload));
      assert.throws(() => of.value, one);
    }
  });
}

const bad = (data) => {
  if (data.toString() === 'bad') throw new Error('oh no');
  return data.toString();
};
const faulty = { encode: (value) => value, decode: bad };

for (const how of ['a handler', 'a loop']) {
  test(`${how}: nobody listens to decodeError: it is a handlerError, and the rest goes on`, async () => {
    const bus = open('memory://', { codec: faulty });
    const reports = [];
    const got = [];
    bus.on('handlerError', (error, context) => reports.push([error, context]));
    const sub = bus.subscribe('a', how === 'a handler' ? ({ value }) => got.push(value) : undefined);
    await sub.ready;
    for (const value of ['1', 'bad', '2']) await bus.publish('a', value);
    if (how === 'a loop') for (let i = 0; i < 2; ++i) got.push((await sub.next()).value.value);
    await until(() => got.length === 2 && reports.length === 1);
    assert.deepEqual(got, ['1', '2']);
    const [[error, { subscription, message }]] = reports;
    assert.ok(error instanceof DecodeError);
    assert.equal(subscription, sub);
    assert.equal(message.text, 'bad');
  });
}

test('a loop over events() is somebody who listens', async () => {
  const bus = open('memory://', { codec: faulty });
  bus.on('handlerError', (error) => assert.fail(error));
  const events = bus.subscribe('a').events();
  assert.equal((await events.next()).value.kind, 'active');
  await bus.publish('a', 'bad');
  assert.equal((await events.next()).value.kind, 'decodeError');
});

test('a message is decoded once for all handlers, and they share the value', async () => {
  const decoded = [];
  const decode = (data) => {
    decoded.push(data.toString());
    return { text: bad(data) };
  };
  const bus = open('memory://', { codec: { encode: (value) => value, decode } });
  const got = [];
  let failures = 0;
  let last;
  for (let i = 0; i < 11; ++i) {
    last = bus.subscribe('a', ({ value }) => got.push(value));
    last.on('decodeError', () => ++failures);
  }
  await last.ready;
  const texts = ['same', 'same', ...Array.from({ length: 500 }, (_, i) => (i % 50 === 0 ? 'bad' : 'same')), 'end'];
  for (const text of texts) bus.publishNoWait('a', text);
  await until(() => got.at(-1)?.text === 'end' && got.length === 11 * (texts.length - 10));
  assert.equal(failures, 110);
  assert.deepEqual(decoded, texts);
  assert.equal(new Set(got.slice(0, 11)).size, 1);
  assert.equal(new Set(got).size, texts.length - 10);
});

test('nothing is decoded for a subscription that has ended', async () => {
  let decoded = 0;
  const bus = open('memory://', { codec: { encode: (value) => value, decode: () => ++decoded } });
  const sub = bus.subscribe('a', () => sub.unsubscribe());
  await sub.ready;
  for (let i = 0; i < 10; ++i) bus.publishNoWait('a', 'x');
  await event(sub, 'ended');
  assert.equal(decoded, 1);
});

test('decoding may use the bus, and `this` is the codec', async () => {
  class Upper {
    sent = [];
    encode(value) {
      this.sent.push(value);
      return value.toUpperCase();
    }
    decode(data) {
      if (this.sent.length === 1) bus.publishNoWait('b', 'from decode');
      return data.toString().toLowerCase();
    }
  }
  const codec = new Upper();
  const bus = open('memory://', { codec });
  const stream = bus.subscribe('a');
  await stream.ready;
  await bus.publish('a', 'x');
  const { value: message } = await stream.next();
  assert.deepEqual([message.text, message.value, codec.sent], ['X', 'x', ['x', 'from decode']]);
});

test('what JSON of others could do to objects is taken out', async () => {
  const raw = open('memory://guard');
  for (const codec of ['json', 'ws-kit']) {
    const bus = open('memory://guard', { codec });
    const stream = bus.subscribe(codec);
    await stream.ready;
    await raw.publish(codec, '{"__proto__":{"admin":true},"a":{"constructor":1}}');
    const { value } = (await stream.next()).value;
    assert.deepEqual(Object.keys(value), ['a']);
    assert.deepEqual(Object.keys(value.a), []);
    assert.equal(value.admin, undefined);
  }
});

for (const [codec, mentions] of [
  ['jsn', /"jsn".*json/], [7, /encode/], [{ encode: String }, /decode/], [{ encode: String, decode: 1 }, /decode/], ['toString', /toString/],
]) {
  test(`what is no codec: ${JSON.stringify(codec)}`, async () => {
    assert.throws(() => open('memory://x', { codec }), { code: 'INVALID_ARGUMENT', message: mentions });
    await assert.rejects(connect('memory://x', { codec }), { code: 'INVALID_ARGUMENT', message: mentions });
  });
}

test('msgpack: without its package the error says what to install', async () => {
  // A copy of the package, from where no @msgpack/msgpack can be found.
  const dir = mkdtempSync(path.join(tmpdir(), 'fanwire-msgpack-'));
  try {
    const from = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));
    const to = path.join(dir, 'node_modules/fanwire');
    for (const name of ['package.json', 'index.mjs', 'lib']) cpSync(path.join(from, name), path.join(to, name), { recursive: true });
    const built = path.join(from, 'build/fanwire.node');
    mkdirSync(path.join(to, 'build'));
    let addon;
    try {
      cpSync(built, path.join(to, 'build/fanwire.node'));
      addon = built;
    } catch {
      const platform = path.join(from, '../@fanwire');
      cpSync(platform, path.join(dir, 'node_modules/@fanwire'), { recursive: true });
    }
    writeFileSync(path.join(dir, 'try.cjs'), `
      try { require('fanwire').open('memory://x', { codec: 'msgpack' }); } catch (error) { console.log(error.code, error.message); }`);
    const { stdout, stderr } = await run(process.execPath, [path.join(dir, 'try.cjs')]);
    assert.match(stdout, /^INVALID_ARGUMENT .*npm install @msgpack\/msgpack/, `${stderr} ${addon}`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('msgpack', async () => {
  const { encode } = await import('@msgpack/msgpack');
  const bus = open('memory://msgpack', { codec: 'msgpack' });
  const raw = open('memory://msgpack');
  const stream = bus.subscribe('a');
  await stream.ready;
  const value = { n: [1, new Uint8Array(binary), 'é'] };
  await bus.publish('a', value);
  const { value: message } = await stream.next();
  assert.deepEqual(message.data, Buffer.from(encode(value)));
  assert.deepEqual(message.value, { n: [1, binary, 'é'] });
  await assert.rejects(bus.publish('a', () => {}), { code: 'INVALID_ARGUMENT', message: /msgpack/ });
  const told = event(stream, 'decodeError');
  await raw.publish('a', Buffer.from([0xc1]));
  await bus.publish('a', 'next');
  assert.equal((await stream.next()).value.value, 'next');
  assert.equal((await told)[0].code, 'DECODE_FAILED');
});

test('an undecodable message and nobody listens at all: one warning, and the process goes on', async () => {
  const { code, stdout, stderr } = await runScript(`
    process.on('warning', ({ name, message }) => console.log(name, message));
    const bus = open('memory://x', { codec: 'json' });
    const raw = open('memory://x');
    await bus.subscribe('c', ({ value }) => console.log(value)).ready;
    await raw.publish('c', '{');
    await raw.publish('c', '[');
    await raw.publish('c', '7');
    await Promise.all([bus.close(), raw.close()]);
  `);
  assert.equal(code, 0);
  assert.match(stderr, /FanwireWarning/);
  const lines = stdout.trim().split('\n').sort();
  assert.equal(lines.length, 2, stdout);
  assert.equal(lines[0], '7');
  assert.match(lines[1], /^FanwireWarning a message on channel "c" cannot be decoded, .*'decodeError'/);
});
