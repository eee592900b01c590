// Bad input: each mistake has its own code and a text that names it.
import assert from 'node:assert/strict';
import http from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import { connect, errors, FanwireError, statuses } from './support/fanwire.mjs';

import { freePort, RedisServer } from './support/redis.mjs';
import { event } from './support/wait.mjs';

let bus;
before(async () => (bus = await connect('memory://errors', { maxMessageBytes: 1000, maxSubscriptions: 1000 })));
after(() => bus.close());

function isError(code, mentions) {
  return (error) => {
    assert.ok(error instanceof FanwireError, `not a FanwireError: ${error?.stack}`);
    assert.equal(error.code, code);
    assert.match(error.message, mentions);
    return true;
  };
}

test('the classes are made from the table', () => {
  const failures = statuses.filter(({ status }) => status !== 0);
  assert.equal(Object.keys(errors).length, failures.length);
  assert.ok(failures.length >= 24);
  assert.equal(errors.ConnectFailedError.name, 'ConnectFailedError');
  assert.ok(errors.RedisError && errors.SystemError && errors.ProtocolError && errors.InternalError);
});

test('an error has its class, code, status, retryable and name', async () => {
  const error = await connect(`redis://127.0.0.1:${await freePort()}`).catch((caught) => caught);
  assert.ok(error instanceof errors.ConnectFailedError);
  assert.equal(error.name, 'ConnectFailedError');
  const row = statuses.find(({ code }) => code === 'CONNECT_FAILED');
  assert.equal(error.status, row.status);
  assert.equal(error.retryable, row.retryable);
  assert.match(error.stack, /^ConnectFailedError: /);
});

const settingsCases = [
  ['an URL that is none', ['nonsense'], 'INVALID_URL', /scheme/],
  ['an URL of an unknown scheme', ['http://localhost'], 'INVALID_URL', /http/],
  ['an URL that is no string', [42], 'INVALID_URL', /number/],
  ['an URL with a NUL', ['redis://a\0b'], 'INVALID_URL', /NUL/],
  ['an URL with port 0', ['redis://127.0.0.1:0'], 'INVALID_URL', /port/],
  ['an URL with port 70000', ['redis://127.0.0.1:70000'], 'INVALID_URL', /port.*65535/],
  ['an unknown setting in the URL', ['redis://127.0.0.1?wrong=1'], 'UNKNOWN_OPTION', /wrong/],
  ['an unknown setting', ['memory://x', { wrongName: 1 }], 'UNKNOWN_OPTION', /wrongName/],
  ['port 0', [undefined, { port: 0 }], 'INVALID_OPTION', /port/],
  ['port 70000', [undefined, { port: 70000 }], 'INVALID_OPTION', /port.*70000|70000.*port/],
  ['a fraction', ['memory://x', { connectTimeoutMs: 1.5 }], 'INVALID_OPTION', /connect_timeout_ms.*1\.5/],
  ['a word for a number', ['memory://x', { port: 'high' }], 'INVALID_OPTION', /port.*high/],
  ['NaN', ['memory://x', { db: NaN }], 'INVALID_OPTION', /db.*NaN/],
  ['a word outside the list', ['memory://x', { overflow: 'explode' }], 'INVALID_OPTION', /overflow.*explode/],
  ['an array', ['memory://x', { host: [] }], 'INVALID_OPTION', /host.*an array/],
  ['an object', ['memory://x', { host: {} }], 'INVALID_OPTION', /host.*an object/],
  ['a NUL in a value', ['memory://x', { password: 'a\0b' }], 'INVALID_OPTION', /password.*NUL/],
  ['a setting given twice', ['memory://x', { clientName: 'a', client_name: 'b' }], 'INVALID_OPTION', /client_name.*twice/],
  ['settings that are no object', ['memory://x', 'fast'], 'INVALID_ARGUMENT', /a string/],
];
for (const [what, args, code, mentions] of settingsCases) {
  test(`connect: ${what}`, () => assert.rejects(connect(...args), isError(code, mentions)));
}

test('passwords never stand in an error', async () => {
  for (const args of [
    [`redis://user:hunter2@127.0.0.1:${await freePort()}`], ['redis://user:hunter2@127.0.0.1:70000'],
    ['memory://x', { password: 'hunter2\0' }],
  ]) {
    const error = await connect(...args).catch((caught) => caught);
    assert.ok(error instanceof FanwireError);
    assert.doesNotMatch(error.message, /hunter2/);
  }
});

const badNames = [
  ['an empty channel', '', 'INVALID_CHANNEL', /empty/],
  ['a channel that is too long', 'x'.repeat(1025), 'INVALID_CHANNEL', /102[45]/],
  ['a channel that is no string', 42, 'INVALID_ARGUMENT', /a number/],
  ['no channel', undefined, 'INVALID_ARGUMENT', /undefined/],
];
for (const [what, name, code, mentions] of badNames) {
  test(`${what}: publish, publishNoWait, subscribe, psubscribe`, async () => {
    await assert.rejects(bus.publish(name, 'x'), isError(code, mentions));
    assert.throws(() => bus.publishNoWait(name, 'x'), isError(code, mentions));
    assert.throws(() => bus.subscribe(name, () => {}), isError(code, mentions));
    assert.throws(() => bus.subscribe(name), isError(code, mentions));
    assert.throws(() => bus.psubscribe(name, () => {}), isError(code, mentions));
  });
}

test('a message over the limit', async () => {
  await assert.rejects(bus.publish('c', 'x'.repeat(1001)), isError('MESSAGE_TOO_LARGE', /1001.*1000/));
  assert.throws(() => bus.publishNoWait('c', Buffer.alloc(1001)), isError('MESSAGE_TOO_LARGE', /1001.*1000/));
});

test('values that have no JSON', async () => {
  const cycle = {};
  cycle.self = cycle;
  for (const [value, mentions] of [
    [undefined, /undefined/], [() => {}, /a function/], [Symbol('x'), /a symbol/], [10n, /BigInt/], [cycle, /circular/],
    [{ toJSON() { throw new Error('no JSON today'); } }, /no JSON today/],
  ]) {
    await assert.rejects(bus.publish('c', value), isError('INVALID_ARGUMENT', mentions));
    assert.throws(() => bus.publishNoWait('c', value), isError('INVALID_ARGUMENT', mentions));
  }
});

test('a handler that is no function', () => {
  for (const handler of ['x', {}, 7]) {
    assert.throws(() => bus.subscribe('c', handler), isError('INVALID_ARGUMENT', /handler.*(a string|an object|a number)/));
  }
});

test('unsubscribe twice', async () => {
  const sub = bus.subscribe('twice', () => {});
  sub.unsubscribe();
  assert.throws(() => sub.unsubscribe(), isError('UNSUBSCRIBED', /unsubscribed/));
  await event(sub, 'ended');
  assert.throws(() => sub.unsubscribe(), isError('UNSUBSCRIBED', /"twice".*unsubscribed/));
});

test('more subscriptions than max_subscriptions', async () => {
  const other = await connect('memory://max', { maxSubscriptions: 1 });
  const sub = other.subscribe('a', () => {});
  assert.throws(() => other.subscribe('b', () => {}), isError('LIMIT_REACHED', /max_subscriptions/));
  assert.throws(() => other.subscribe('b'), isError('LIMIT_REACHED', /max_subscriptions/));
  sub.unsubscribe();
  other.subscribe('b', () => {});
  await other.close();
});

test('a closed bus', async () => {
  const other = await connect('memory://closed');
  const sub = other.subscribe('c', () => {});
  const stream = other.subscribe('c');
  await other.close();
  await assert.rejects(other.publish('c', 'x'), isError('CLOSED', /closed/));
  assert.throws(() => other.publishNoWait('c', 'x'), isError('CLOSED', /closed/));
  assert.throws(() => other.subscribe('c', () => {}), isError('CLOSED', /closed/));
  assert.throws(() => other.psubscribe('c'), isError('CLOSED', /closed/));
  assert.throws(() => sub.unsubscribe(), isError('CLOSED', /"c".*closed/));
  assert.throws(() => stream.unsubscribe(), isError('CLOSED', /closed/));
  await other.close();
});

test('a bad timeout for close()', async () => {
  for (const timeout of [-1, NaN, '5', {}]) {
    await assert.rejects(bus.close({ timeout }), isError('INVALID_ARGUMENT', /timeout/));
  }
  assert.equal(bus.connected, true);
});

test('no server', async () => {
  const port = await freePort();
  await assert.rejects(connect(`redis://127.0.0.1:${port}`), isError('CONNECT_FAILED', new RegExp(`${port}`)));
});

test('no unix socket', async () => {
  await assert.rejects(connect({ unixPath: '/nonexistent/redis.sock' }), isError('CONNECT_FAILED', /nonexistent/));
});

test('a host that does not exist', async () => {
  await assert.rejects(connect('redis://no-such-host.invalid'), isError('RESOLVE_FAILED', /no-such-host\.invalid/));
});

test('a server that speaks HTTP', async () => {
  const server = http.createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  await assert.rejects(connect(`redis://127.0.0.1:${server.address().port}`), isError('PROTOCOL_ERROR', /./));
  server.closeAllConnections?.();
  server.close();
});

test('wrong passwords', async () => {
  const alice = ['--user', 'alice', 'on', '>wonder', '~*', '&*', '+@all'];
  const server = await RedisServer.start('--requirepass', 'secret', ...alice);
  try {
    await assert.rejects(connect(`redis://:wrong@127.0.0.1:${server.port}`), isError('AUTH_FAILED', /./));
    await assert.rejects(connect(`redis://alice:wrong@127.0.0.1:${server.port}`), isError('AUTH_FAILED', /./));
    await assert.rejects(connect(server.url), isError('AUTH_FAILED', /./));
    for (const url of [`redis://:secret@127.0.0.1:${server.port}`, `redis://alice:wonder@127.0.0.1:${server.port}`]) {
      const other = await connect(url);
      assert.equal(await other.publish('c', 'x'), 0);
      await other.close();
    }
  } finally {
    await server.stop();
  }
});

test('a detached buffer is refused, not sent as an empty message', async () => {
  const bus = await connect('memory://detached');
  const bytes = new Uint8Array([1, 2, 3]);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  await assert.rejects(bus.publish('c', bytes), { code: 'INVALID_ARGUMENT', message: /detached/ });
  assert.equal(await bus.publish('c', new Uint8Array(0)), 0); // an empty one is as good as any
  await bus.close();
});
