// What a person sees who looks at things: console.log(), JSON, copies, log lines, mistakes in names.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { runScript } from './support/child.mjs';
import { connect, open, settings } from './support/fanwire.mjs';
import { freePort } from './support/redis.mjs';
import { until } from './support/wait.mjs';

for (const [what, payload, text] of [
  ['ASCII', 'hello', 'hello'], ['text', 'žluť', 'žluť'], ['bytes', Buffer.from([0x61, 0xff]), 'a\ufffd'], ['nothing', '', ''],
  ['long', 'é'.repeat(5000), 'é'.repeat(5000)], ['JSON', { n: 1 }, '{"n":1}'],
]) {
  test(`a message of ${what}: copies, JSON and inspect() have its channel, pattern and text`, async () => {
    const bus = await connect('memory://');
    const streams = [bus.subscribe('c'), bus.psubscribe('c*')];
    await Promise.all(streams.map(({ ready }) => ready));
    await bus.publish('c', payload);
    for (const [stream, pattern] of [[streams[0], null], [streams[1], 'c*']]) {
      const { value: message } = await stream.next();
      const expected = { channel: 'c', pattern, text };
      assert.deepEqual({ ...message }, expected);
      assert.deepEqual(JSON.parse(JSON.stringify(message)), expected);
      assert.deepEqual(structuredClone(message), expected);
      assert.deepEqual(Object.keys(message), ['channel', 'pattern', 'text']);
      const { data, ...rest } = message;
      assert.deepEqual(data, Buffer.from(typeof payload === 'object' && !Buffer.isBuffer(payload) ? text : payload));
      assert.deepEqual(rest, expected);
      assert.ok(inspect(message).startsWith(`Message { channel: 'c',`) || text.length > 50, inspect(message));
      assert.equal(message.value, data); // there is no codec
    }
  });
}

test('with a codec the value is shown as well', async () => {
  const bus = await connect('memory://', { codec: 'json' });
  const stream = bus.subscribe('c');
  await stream.ready;
  for (const [value, text] of [[{ n: 1 }, '{"n":1}'], ['ž', '"ž"'], [null, 'null']]) {
    await bus.publish('c', value);
    const { value: message } = await stream.next();
    assert.deepEqual({ ...message }, { channel: 'c', pattern: null, text, value });
    assert.equal(JSON.stringify(message), JSON.stringify({ channel: 'c', pattern: null, text, value }));
    assert.ok(inspect(message).includes(`value: ${inspect(value)}`));
  }
});

test('console.log() of a bus, a subscription and a stream is a line', async () => {
  const bus = open('redis://user:hunter2@127.0.0.1:1', { password: 'hunter3' });
  const line = inspect(bus);
  assert.match(line, /^Bus \{ url: 'redis:\/\/.*127\.0\.0\.1:1', state: 'connecting', subscriptions: 0 \}$/);
  assert.doesNotMatch(line, /hunter/);
  const sub = bus.subscribe('room', () => {});
  const stream = bus.psubscribe('r*');
  assert.equal(inspect(sub), `Subscription { channel: 'room', state: 'pending' }`);
  assert.equal(inspect(stream), `MessageStream { pattern: 'r*', state: 'pending' }`);
  assert.match(inspect({ deep: { er: { bus, sub } } }, { depth: 5 }), /Bus \{/);
  assert.match(inspect(stream.events()), /^EventStream/);
  await bus.close();
  assert.match(inspect(bus), /state: 'closed'/);
  assert.match(inspect(sub), /state: 'ended'/);
});

const camelCase = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

test('a name with a mistake: the nearest one is named as it is spelled here', async () => {
  for (const [wrong, meant] of [
    ['conectTimeoutMs', 'connectTimeoutMs'], ['connect_timeot_ms', 'connectTimeoutMs'], ['ConnectTimeoutMs', 'connectTimeoutMs'],
    ['connectTimeoutMS', 'connectTimeoutMs'], ['passwrd', 'password'],
    ['tlsCAFile', 'tlsCaFile'], ['sginal', 'signal'], ['codecs', 'codec'], ['logs', 'log'],
  ]) {
    await assert.rejects(connect('memory://x', { [wrong]: 5 }), (error) => {
      assert.equal(error.code, 'UNKNOWN_OPTION');
      assert.ok(error.message.includes(`"${wrong}"`) && error.message.endsWith(`did you mean "${meant}"?`), error.message);
      return true;
    });
  }
  for (const { name } of settings) { // a letter less
    const wrong = camelCase(name).slice(0, -1);
    assert.throws(() => open({ [wrong]: 5 }), ({ code, message }) => code === 'UNKNOWN_OPTION' && message.includes('did you mean'), wrong);
  }
  assert.throws(() => open({ somethingElse: 1 }), { code: 'UNKNOWN_OPTION', message: /"somethingElse".*connect_timeout_ms/ });
});

test('null and undefined are unset, everywhere', async () => {
  const bus = await connect('memory://null', { host: null, port: undefined, codec: null, log: null, signal: undefined, max_message_bytes: null });
  const stream = bus.subscribe('c', null);
  await stream.ready;
  assert.equal(await bus.publish('c', null, null), 1); // a value of null is one
  assert.equal((await stream.next()).value.text, 'null');
  assert.ok(bus.metrics(null).startsWith('#'));
  bus.setCredentials(null, null);
  const other = await connect(null, { url: 'memory://null' });
  await other.close(null);
  await bus.close({ timeout: null });
  await (await connect({ url: 'memory://null', inboxCount: null })).close(undefined);
  assert.throws(() => open({ url: null, port: 'high' }), { code: 'INVALID_OPTION' });
});

test('log: the engine\'s lines from logLevel on, with their levels', async () => {
  const lines = [];
  const bus = open(`redis://127.0.0.1:${await freePort()}`, {
    logLevel: 'debug', reconnectDelayMs: 10, maxReconnectDelayMs: 10, log: (...line) => lines.push(line),
  });
  assert.deepEqual(lines, []); // never from within a call
  await until(() => lines.length > 3);
  await bus.close();
  for (const [level, text, ...rest] of lines) {
    assert.ok(['error', 'warn', 'info', 'debug'].includes(level), level);
    assert.ok(typeof text === 'string' && text.length > 0);
    assert.deepEqual(rest, []);
  }
  assert.ok(lines.some(([, text]) => /Connection refused/i.test(text)), inspect(lines));
  const count = lines.length;
  await new Promise(setImmediate);
  assert.equal(lines.length, count); // nothing comes after close()

  const quiet = [];
  const other = open('memory://log', { logLevel: 'off', log: (...line) => quiet.push(line) });
  await other.opened;
  await other.close();
  assert.deepEqual(quiet, []);
});

test('log: more lines than are taken are counted, and what it throws is an uncaught exception', async () => {
  const { code, stdout, stderr } = await runScript(`
    let thrown = 0;
    process.on('uncaughtException', ({ message }) => { if (message === 'of log') ++thrown; });
    const lines = [];
    const bus = open('redis://127.0.0.1:1', {
      logLevel: 'debug', reconnectDelayMs: 1, maxReconnectDelayMs: 1, connectTimeoutMs: 1000,
      log(level, text) { lines.push([level, text]); if (lines.length === 1) throw new Error('of log'); },
    });
    bus.ref();
    while (bus.stats().connectErrors < 1500) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // no turn
    await new Promise((resolve) => bus.once('error', resolve));
    while (!lines.some(([, text]) => text.includes('left out'))) await new Promise(setImmediate);
    await bus.close();
    console.log(thrown);
  `, { timeout: 60_000 });
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '1\n', stderr: '' });
});

test('what is no log function', () => {
  for (const log of ['x', {}, true]) {
    assert.throws(() => open('memory://x', { log }), { code: 'INVALID_ARGUMENT', message: /log.*function/ });
  }
});

test('reading ready and ending the subscription ends no process', async () => {
  const { code, stdout, stderr } = await runScript(`
    const bus = await connect('memory://x');
    for (const end of [(sub) => sub.unsubscribe(), () => {}]) {
      for (const handler of [undefined, () => {}]) {
        const sub = bus.subscribe('c', handler);
        sub.ready;
        end(sub);
        sub.ready;
      }
    }
    const ended = bus.subscribe('c', () => {});
    ended.unsubscribe();
    await new Promise((resolve) => ended.once('ended', resolve));
    ended.ready;
    const away = open('redis://127.0.0.1:1');
    away.subscribe('c', () => {}).ready;
    away.subscribe('c').ready;
    await Promise.all([bus.close(), away.close()]);
    await new Promise(setImmediate);
    console.log('fine');
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'fine\n', stderr: '' });
});
