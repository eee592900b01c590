// publish() with a timeout and a signal of its own, and what its errors say about what may have happened.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { runScript } from './support/child.mjs';
import { AbortError, connect, FanwireError, open } from './support/fanwire.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };

// Rejects with this code, and says whether it may have happened.
const fails = (promise, code, mayHaveHappened) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof FanwireError, error?.stack);
    assert.deepEqual([error.code, error.mayHaveHappened], [code, mayHaveHappened], error.message);
    return true;
  });

test('options that are not set, and a signal that is never aborted', async () => {
  const bus = await connect(server.url);
  const { signal } = new AbortController();
  for (const options of [undefined, null, {}, { signal: null, timeout: undefined }, { signal }, { timeout: 10_000, signal }, { timeout: 0.5 + 9999 }]) {
    assert.equal(await bus.publish('c', 'x', options), 0);
  }
});

test('what is no option, no value of one, and one argument too many', async () => {
  const bus = await connect('memory://publish');
  for (const [args, mentions] of [
    [[{ timout: 1 }], /"timout".*"timeout"/], [[{ timeoutMs: 1 }], /"timeoutMs"/], [['fast'], /options.*a string/],
    [[{ timeout: '5' }], /timeout/], [[{ timeout: -1 }], /timeout/], [[{ timeout: 0 }], /timeout/], [[{ timeout: 3_600_001 }], /3600000/], [[{ timeout: NaN }], /timeout/],
    [[{ timeout: Infinity }], /timeout/], [[{ signal: {} }], /AbortSignal/], [[{}, 1], /4 were given/], [[undefined, undefined], /4 were given/],
  ]) {
    await assert.rejects(bus.publish('c', 'x', ...args), { code: 'INVALID_ARGUMENT', message: mentions, mayHaveHappened: false });
  }
  assert.throws(() => bus.publishNoWait('c', 'x', {}), { code: 'INVALID_ARGUMENT', message: /3 were given/ });
  await assert.rejects(bus.close({ timout: 1 }), { code: 'INVALID_ARGUMENT', message: /"timout".*"timeout"/ });
  assert.equal(bus.stats().published, 0);
});

test('a signal that was aborted before: nothing is sent', async () => {
  const bus = await connect('memory://publish');
  await fails(bus.publish('c', 'x', { signal: AbortSignal.abort() }), 'ABORT_ERR', false);
  assert.equal(bus.stats().published, 0);
});

test('a signal ends the wait for the outcome; the message is published all the same', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, { heartbeatTimeoutMs: 600_000 });
  own.pause();
  const controller = new AbortController();
  const outcome = bus.publish('c', 'x', { signal: controller.signal });
  const other = bus.publish('c', 'x', { signal: controller.signal, timeout: 60_000 });
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(outcome, (error) => {
    assert.ok(error instanceof AbortError);
    assert.deepEqual([error.name, error.code, error.mayHaveHappened, error.cause], ['AbortError', 'ABORT_ERR', true, reason]);
    return true;
  });
  await fails(other, 'ABORT_ERR', true);
  own.resume();
  await until(() => bus.stats().publishOk === 2);
  for (let i = 0; i < 10; ++i) assert.equal(await bus.publish('c', 'later', { signal: new AbortController().signal }), 0);
  await bus.close();
  await own.stop();
});

test('an aborted publish keeps no process alive', async () => {
  const own = await RedisServer.start();
  await own.kill();
  const { code, stdout, stderr } = await runScript(`
    const bus = open('${own.url}', { publishTimeoutMs: 60_000 });
    const controller = new AbortController();
    const outcome = bus.publish('c', 'x', { signal: controller.signal });
    controller.abort();
    console.log(await outcome.catch(({ code, mayHaveHappened }) => code + mayHaveHappened));
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'ABORT_ERRtrue\n', stderr: '' });
  await own.stop();
});

test('a timeout of its own: never sent is TIMEOUT, sent and unanswered is OUTCOME_UNKNOWN', async () => {
  const offline = open(`redis://127.0.0.1:${await freePort()}`, { ...quick, publishTimeoutMs: 60_000 });
  const kept = offline.publish('c', 'kept');
  await fails(offline.publish('c', 'x', { timeout: 30 }), 'TIMEOUT', false);
  offline.close({ timeout: 0 }).catch(() => {});
  await fails(kept, 'CLOSED', false);

  const own = await RedisServer.start();
  const bus = await connect(own.url, { publishTimeoutMs: 60_000, heartbeatTimeoutMs: 600_000, heartbeatIntervalMs: 300_000 });
  own.pause();
  await fails(bus.publish('c', 'x', { timeout: 30 }), 'OUTCOME_UNKNOWN', true);
  own.resume();
  assert.equal(await bus.publish('c', 'x'), 0);
  await own.stop();
});

test('a break with a publish under way: OUTCOME_UNKNOWN may have happened', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, { ...quick, heartbeatTimeoutMs: 600_000 });
  own.pause();
  const outcome = fails(bus.publish('c', 'x'), 'OUTCOME_UNKNOWN', true);
  const { bytesOut } = bus.stats();
  await until(() => bus.stats().publishUnsent === 0 && bus.stats().bytesOut >= bytesOut);
  await own.kill();
  await outcome;
  await own.stop();
});

test('every error of a publish has the word', async () => {
  const bus = await connect('memory://publish', { maxMessageBytes: 10 });
  await fails(bus.publish('', 'x'), 'INVALID_CHANNEL', false);
  await fails(bus.publish('c', 'x'.repeat(11)), 'MESSAGE_TOO_LARGE', false);
  await fails(bus.publish('c', Buffer.alloc(11)), 'MESSAGE_TOO_LARGE', false);
  await fails(bus.publish('c', undefined), 'INVALID_ARGUMENT', false);
  assert.throws(() => bus.publishNoWait('', 'x'), { code: 'INVALID_CHANNEL', mayHaveHappened: false });
  await bus.close();
  await fails(bus.publish('c', 'x'), 'CLOSED', false);
});
