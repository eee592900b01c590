// The JSON guard, against the JSON.parse that it guards.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { cleanJson, connect, FanwireError } from './support/fanwire.mjs';

const vectors = JSON.parse(readFileSync(new URL('../vectors/json_guard.json', import.meta.url))).cases;
const bytesOf = (vector, field) =>
  vector[`${field}_hex`] === undefined ? Buffer.from(vector[field]) : Buffer.from(vector[`${field}_hex`], 'hex');

const forbidden = new Set(['__proto__', 'constructor', 'prototype']);

// What JSON.parse gives, without the keys; 'invalid' when it throws. By a reviver, which knows nothing of the text.
function reference(text) {
  try {
    return JSON.parse(text, function (key, value) {
      return forbidden.has(key) && !Array.isArray(this) ? undefined : value;
    });
  } catch {
    return 'invalid';
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return 'invalid';
  }
}

test('vectors', async (t) => {
  const bus = await connect('memory://json');
  const stream = bus.subscribe('c');
  await stream.ready;
  for (const vector of vectors) {
    await t.test(vector.name, async () => {
      const [before, after] = [bytesOf(vector, 'text'), bytesOf(vector, 'clean')];
      const cleaned = cleanJson(before);
      assert.equal(cleaned.toString('hex'), after.toString('hex'));
      assert.equal(cleaned === before, before.equals(after)); // itself when there is nothing to do
      assert.equal(cleanJson(new Uint8Array(before)).length, after.length);
      assert.equal(cleanJson(before.toString()), after.toString());

      await bus.publish('c', before);
      const { value: message } = await stream.next();
      if (parsed(after.toString()) === 'invalid') assert.throws(() => message.json(), SyntaxError);
      else assert.equal(JSON.stringify(message.json()), JSON.stringify(JSON.parse(after.toString())));
      assert.equal(message.text, before.toString()); // json() changes nothing of the message
    });
  }
  await bus.close();
});

test('what is not taken out of a string comes back unit for unit', () => {
  const kept = '"\ud800 \udc00 \ud83d\ude00 \u0000 \u07ff \u0800 \uffff"'.replace('\u0000', '\u007f');
  assert.equal(cleanJson(`{"a":${kept},"__proto__":${kept}}`), `{"a":${kept}}`);
});

test('other values are refused', () => {
  for (const value of [undefined, null, 1, {}, [], new ArrayBuffer(1)]) {
    assert.throws(() => cleanJson(value), (error) => error instanceof FanwireError && error.code === 'INVALID_ARGUMENT');
  }
});

test('nothing reaches the prototype of what is parsed', async () => {
  const bus = await connect('memory://pollution');
  const stream = bus.subscribe('c');
  await stream.ready;
  for (const padding of ['', 'x'.repeat(5000)]) {
    await bus.publish('c', `{"padding":"${padding}","a":{"\\u005f_proto__":{"admin":true}}}`);
    const { value: message } = await stream.next();
    const target = Object.assign({}, message.json().a);
    assert.equal(target.admin, undefined);
    assert.deepEqual(Object.getOwnPropertyNames(message.json().a), []);
  }
  await bus.close();
});

test('random texts', () => {
  let seed = 1;
  const pick = (n) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0, Math.floor((seed / 2 ** 32) * n));
  const choose = (...all) => all[pick(all.length)];
  const escaped = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')[choose('toLowerCase', 'toUpperCase')]()}`;
  const string = (text) => `"${[...text].map((c) => (pick(10) ? c : escaped(c))).join('')}"`;
  const word = () => string(choose('__proto__', 'constructor', 'prototype', 'a', 'b', '', 'čaj', '\ud800', 'protos'));
  const space = () => (pick(4) ? '' : pick(30) ? choose(' ', '\t', '\n', '\r') : choose('\u00a0', '\ufeff', '\v'));
  const list = (n, item) => Array.from({ length: pick(n) }, item).join(',');
  const value = (depth) => {
    switch (depth > 5 ? pick(3) : pick(7)) {
      case 0: return word();
      case 1: return pick(30) ? choose('0', '-1', '2.5', '1e400', '0.1E-2', '-0') : choose('01', '1.', '.5', '-', '+1', '1e', 'NaN');
      case 2: return choose('true', 'false', 'null', '[]', '{}');
      case 3: case 4: return `[${list(4, () => space() + value(depth + 1))}${space()}]`;
      default: return `{${list(6, () => `${space()}${word()}${space()}:${space()}${value(depth + 1)}`)}${space()}}`;
    }
  };
  let valid = 0;
  let cleaned = 0;
  for (let i = 0; i < 30000; i += 1) {
    let text = space() + value(0) + space();
    if (!pick(3)) {
      const at = pick(text.length);
      text = text.slice(0, at) + choose('', '{', '}', '[', ']', ',', ':', '"', '\\', '\u0000', 'u') + text.slice(at + pick(2));
    }
    const result = cleanJson(text);
    const expected = reference(text);
    assert.deepEqual(parsed(result), expected, text);
    assert.equal(Buffer.from(cleanJson(Buffer.from(text))).toString(), Buffer.from(result).toString());
    if (expected !== 'invalid') valid += 1;
    else if (!text.startsWith('\ufeff')) assert.equal(result, text); // TextDecoder drops that mark: it may be JSON yet
    cleaned += result !== text;
  }
  assert.ok(valid > 5000, `${valid} were valid`);
  assert.ok(cleaned > 1000, `${cleaned} were cleaned`);
});

test('shared memory is looked at once', () => {
  const text = Buffer.from('{"a":1,"__proto__":{"b":2}}');
  const shared = new Uint8Array(new SharedArrayBuffer(text.length));
  shared.set(text);
  assert.equal(cleanJson(shared).toString(), '{"a":1}');
  assert.equal(Buffer.from(shared).toString(), text.toString());
  shared.set(Buffer.from('{"a":1,"__prot0__":{"b":2}}'));
  assert.equal(cleanJson(shared), shared);
});
