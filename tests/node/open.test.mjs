// open(): a bus at once, which connects in the background; connect() with a signal.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import { runScript, startScript } from './support/child.mjs';
import { AbortError, connect, errors, FanwireError, open } from './support/fanwire.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { event, until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };

// A server that accepts and says nothing, and the sockets it has accepted.
async function silentServer(t) {
  const sockets = new Set();
  const silent = net.createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1').unref();
  await once(silent, 'listening');
  t.after(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `redis://127.0.0.1:${silent.address().port}`, sockets };
}

for (const [backend, url] of [['memory', () => 'memory://open'], ['Redis', () => server.url]]) {
  test(`${backend}: the first 'connect' is an event, also for a listener added right after open()`, async () => {
    const bus = open(url());
    assert.equal(bus.connected, false);
    const connected = event(bus, 'connect');
    assert.equal(await bus.opened, bus);
    assert.deepEqual(await connected, []);
    assert.equal(bus.connected, true);
    assert.equal(bus.state, 'connected');
    assert.equal(await bus.opened, bus);
    await bus.close();
    assert.equal(bus.state, 'closed');
  });

  test(`${backend}: a subscription and publishes before the first connection`, async () => {
    const bus = open({ url: url() });
    const texts = [];
    const sub = bus.subscribe('early', ({ text }) => texts.push(text));
    const receivers = bus.publish('early', 'waited');
    bus.publishNoWait('early', 'waited, too');
    await sub.ready;
    await receivers;
    await bus.publish('early', 'last');
    await until(() => texts.includes('last'));
    await bus.close();
  });
}

test('without a server: opened rejects, an error is told for each attempt, and the bus comes when the server does', async () => {
  const own = await RedisServer.start();
  await own.kill();
  const bus = open(own.url, quick);
  const failures = [];
  bus.on('error', (error, { willReconnect }) => failures.push([error.code, willReconnect]));
  const receivers = bus.publish('c', 'kept');
  const sub = bus.subscribe('c', () => {});
  await assert.rejects(bus.opened, (error) => error instanceof errors.ConnectFailedError && error.mayHaveHappened === false);
  await until(() => failures.length >= 2);
  assert.deepEqual(failures[0], ['CONNECT_FAILED', true]);
  assert.equal(bus.state, 'connecting');
  const connected = event(bus, 'connect');
  await own.restart();
  await connected;
  await sub.ready;
  assert.equal(typeof (await receivers), 'number');
  await assert.rejects(bus.opened, { code: 'CONNECT_FAILED' }); // it is the first attempt's
  await bus.close();
  await own.stop();
});

test("offline=fail holds before the first connection, too", async () => {
  const bus = open(`redis://127.0.0.1:${await freePort()}`, { ...quick, offline: 'fail' });
  await assert.rejects(bus.publish('c', 'x'), (error) => error.code === 'NOT_CONNECTED' && error.mayHaveHappened === false);
  assert.throws(() => bus.publishNoWait('c', 'x'), { code: 'NOT_CONNECTED' });
  await bus.close();
});

test('wrong settings throw at once', () => {
  assert.throws(() => open('memory://x', { prot: 1 }), { code: 'UNKNOWN_OPTION', message: /"prot".*"port"/ });
  assert.throws(() => open('nonsense'), { code: 'INVALID_URL' });
  assert.throws(() => open('memory://x', { signal: new AbortController().signal }), { code: 'INVALID_ARGUMENT', message: /close/ });
});

test('nobody looks at opened, or it is read and forgotten: no rejection ends the process', async () => {
  const { code, stdout, stderr } = await runScript(`
    const failing = open('redis://127.0.0.1:1');
    failing.opened;
    await new Promise((resolve) => failing.once('error', resolve));
    const closed = open('redis://127.0.0.1:1');
    closed.opened;
    await Promise.all([failing.close(), closed.close()]);
    await new Promise(setImmediate);
    console.log('fine');
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'fine\n', stderr: '' });
});

test('waiting for opened keeps the process alive', async () => {
  const { code, stdout, stderr } = await runScript(`
    const bus = open('${server.url}');
    await bus.opened;
    console.log(bus.state);
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'connected\n', stderr: '' });
});

test('close() while connecting to a silent server does not wait for the attempt', async (t) => {
  const { url, sockets } = await silentServer(t);
  // An attempt may take ten minutes, far more than the deadline of what is waited for here.
  const bus = open(url, { connectTimeoutMs: 600_000 });
  const failure = assert.rejects(bus.opened, { code: 'CLOSED' });
  const sub = bus.subscribe('c', () => {});
  await until(() => sockets.size > 0);
  let closed = false;
  bus.close({ timeout: Infinity }).then(() => (closed = true));
  await until(() => closed);
  await failure;
  assert.equal(sub.state, 'ended');
});

test('a signal ends connect(), and nothing stays open', async (t) => {
  const { url, sockets } = await silentServer(t);
  const controller = new AbortController();
  const connecting = connect(url, { connectTimeoutMs: 600_000, signal: controller.signal });
  let failure;
  connecting.catch((error) => (failure = error));
  await until(() => sockets.size > 0);
  const ends = [...sockets].map((socket) => once(socket.resume(), 'close'));
  controller.abort(new Error('enough'));
  await until(() => failure !== undefined);
  assert.ok(failure instanceof AbortError && failure instanceof FanwireError);
  assert.equal(failure.name, 'AbortError');
  assert.equal(failure.code, 'ABORT_ERR');
  assert.equal(failure.cause.message, 'enough');
  await Promise.all(ends);
});

test('a signal that was aborted before, one that is never aborted, and what is no signal', async () => {
  await assert.rejects(connect('memory://x', { signal: AbortSignal.abort() }), { code: 'ABORT_ERR' });
  const controller = new AbortController();
  const bus = await connect('memory://x', { signal: controller.signal });
  controller.abort(); // afterwards it means nothing
  assert.equal(await bus.publish('c', 'x'), 0);
  await bus.close();
  await assert.rejects(connect('memory://x', { signal: {} }), { code: 'INVALID_ARGUMENT', message: /AbortSignal/ });
  await (await connect('memory://x', { signal: null })).close();
});

test('giving up: gaveUp and the state say so, subscriptions are kept, and reconnect() revives all', async () => {
  const own = await RedisServer.start();
  const bus = open(own.url, { ...quick, maxReconnectAttempts: 2 });
  const told = [];
  const sub = bus.subscribe('c', ({ text }) => told.push(text));
  for (const name of ['lost', 'failed', 'resumed', 'ended']) sub.on(name, () => told.push(name));
  await sub.ready;
  const gaveUp = event(bus, 'gaveUp');
  await own.kill();
  const [error, context] = await gaveUp;
  assert.equal(error.code, 'CONNECT_FAILED');
  assert.deepEqual(context, { attempts: 2 });
  assert.equal(bus.state, 'gave_up');
  await assert.rejects(bus.publish('c', 'x'), (failure) => failure.code === 'NOT_CONNECTED' && !failure.mayHaveHappened);
  await until(() => sub.state === 'failed');
  await own.restart();
  bus.reconnect();
  await until(() => sub.state === 'active');
  assert.equal(bus.state, 'connected');
  assert.equal(await bus.publish('c', 'after'), 1);
  await until(() => told.includes('after'));
  assert.deepEqual(told, ['lost', 'failed', 'resumed', 'after']);
  await bus.close();
  assert.throws(() => bus.reconnect(), { code: 'CLOSED' });
  await own.stop();
});

test('a bus that gave up keeps no process alive with its subscriptions; reconnect() does', async () => {
  const { code, stdout, stderr } = await runScript(`
    const bus = open('redis://127.0.0.1:1', { maxReconnectAttempts: 1, reconnectDelayMs: 1 });
    bus.subscribe('c', () => {});
    bus.once('gaveUp', (error, { attempts }) => {
      console.log('gave up', attempts);
      bus.once('gaveUp', () => console.log('again'));
      bus.reconnect();
    });
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'gave up 1\nagain\n', stderr: '' });
});

test('reviveOnUse: a subscription revives a bus that gave up, and keeps the process alive from then on', async () => {
  const own = await RedisServer.start();
  await own.kill();
  const { child, ended, saw } = startScript(`
    const bus = open('${own.url}', { maxReconnectAttempts: 1, reconnectDelayMs: 1, reviveOnUse: true });
    bus.subscribe('c', ({ text }) => bus.close().then(() => console.log(text)));
    bus.once('gaveUp', () => {
      const waiting = setInterval(() => {}, 1000);
      process.once('SIGUSR2', () => {
        clearInterval(waiting);
        bus.once('connect', () => bus.publishNoWait('c', 'revived'));
        bus.subscribe('d', () => {});
      });
      console.log('gave up');
    });
  `);
  await saw('gave up');
  await own.restart();
  child.kill('SIGUSR2');
  const { code, stdout, stderr } = await ended;
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'gave up\nrevived\n', stderr: '' });
  await own.stop();
});

test('reconnect() makes an attempt at once', async () => {
  const own = await RedisServer.start();
  await own.kill();
  const bus = open(own.url, { reconnectDelayMs: 600_000, maxReconnectDelayMs: 600_000 });
  await assert.rejects(bus.opened, { code: 'CONNECT_FAILED' });
  const connected = event(bus, 'connect');
  await own.restart();
  bus.reconnect();
  await connected;
  await bus.close();
  await own.stop();
});
