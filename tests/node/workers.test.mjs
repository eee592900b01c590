// Worker threads: each has its own engines, and may end at any moment.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { fixture, run, runScript } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';
import { endWorkers, startWorker } from './support/worker.mjs';

afterEach(endWorkers);

let server;
let client;
before(async () => {
  server = await RedisServer.start();
  client = await RespClient.connect(server.port);
});
after(async () => {
  client.close();
  await server.stop();
});

// Those of fanwire, as Redis counts them.
const connections = async () => (await client.command('CLIENT', 'LIST')).toString().match(/ name=fanwire /g)?.length ?? 0;

test('six workers, each with a bus of its own on one server: each message once and in order in all', async () => {
  const sent = Array.from({ length: 2000 }, (_, i) => String(i));
  const bus = await connect(server.url);
  const workers = Array.from({ length: 6 }, () => startWorker({ role: 'receive', url: server.url, total: sent.length }));
  const exits = workers.map(({ worker }) => once(worker, 'exit'));
  await Promise.all(workers.map(({ saw }) => saw('ready')));
  const counts = await Promise.all(sent.map((text) => bus.publish('c', text)));
  assert.deepEqual(new Set(counts), new Set([workers.length]));
  assert.deepEqual((await Promise.all(exits)).flat(), workers.map(() => 0));
  for (const { messages } of workers) assert.deepEqual(messages.at(-1), sent);
  await bus.close();
  await until(async () => (await connections()) === 0);
});

// Ends workers in a process of its own, so that a crash, a hang, a word on stderr and what is left over are seen.
async function terminate(times, workerData) {
  const { code, signal, stdout, stderr } = await run(process.execPath, [fixture('terminate.mjs'), String(times),
    JSON.stringify(workerData)], { timeout: 120_000 });
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  const result = JSON.parse(stdout);
  assert.ok(result.after.descriptors <= result.before.descriptors, stdout);
  assert.ok(result.after.threads <= result.before.threads, stdout);
  return result;
}

test('terminate() in the middle of traffic, 20 times, beside a bus of the main thread', async () => {
  const { received } = await terminate(20, { role: 'flood', url: server.url, main: true });
  assert.equal(received, 21);
  await until(async () => (await connections()) === 0);
});

test('terminate() in the middle of traffic in memory', () => terminate(10, { role: 'flood', url: 'memory://flood' }));

test('terminate() during connect() to a server that accepts and says nothing', async () => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1').unref();
  await once(silent, 'listening');
  await terminate(5, { role: 'connect', url: `redis://127.0.0.1:${silent.address().port}` });
  silent.close();
});

test('terminate() during connect() to a server that answers', () => terminate(10, { role: 'connect', url: server.url }));

test('terminate() with publishes, confirmations and iterations pending', async () => {
  const own = await RedisServer.start();
  await terminate(3, { role: 'pending', url: own.url, pid: own.pid });
  await own.stop();
});

test('terminate() during close(), which waits for publishes', async () => {
  const own = await RedisServer.start();
  await terminate(3, { role: 'pending', url: own.url, pid: own.pid, close: 200 });
  await own.stop();
});

test('process.exit() in a handler ends the worker only', async () => {
  for (const url of [server.url, 'memory://exit']) {
    const { worker } = startWorker({ role: 'exit', url });
    assert.deepEqual(await once(worker, 'exit'), [5]);
  }
});

test("a handler that throws ends the worker with an 'error'; others go on", async () => {
  const other = startWorker({ role: 'receive', url: server.url, channel: 'other', total: 1 });
  const exit = once(other.worker, 'exit');
  await other.saw('ready');
  const { worker } = startWorker({ role: 'throw', url: server.url });
  const [error] = await once(worker, 'error');
  assert.equal(error.message, 'of the handler: x');
  const bus = await connect(server.url);
  assert.equal(await bus.publish('other', 'still here'), 1);
  assert.deepEqual(await exit, [0]);
  assert.deepEqual(other.messages.at(-1), ['still here']);
  await bus.close();
});

test('200 buses opened and closed in a worker leave no descriptors', async () => {
  const { worker, messages } = startWorker({ role: 'cycles', url: server.url, total: 200 });
  assert.deepEqual(await once(worker, 'exit'), [0]);
  const [counts] = messages;
  assert.equal(counts.length, 200);
  assert.ok(Math.max(...counts.slice(20)) <= Math.max(...counts.slice(0, 20)), counts.join());
  await until(async () => (await connections()) === 0);
});

test('the addon is loaded in workers and the main thread, and unloaded, in any order', async () => {
  const { code, signal, stdout, stderr } = await run(process.execPath, [fixture('load-order.mjs'), server.url]);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  assert.equal(stdout, 'first: 1x\nsecond: 1x\nthird: 1x\nmain: 0\nfourth: 1x\n');
});

test('two copies of the module in one thread', async () => {
  const { code, stdout, stderr } = await runScript(`
    import { createRequire } from 'node:module';
    const require = createRequire(process.cwd() + '/');
    const first = require('fanwire');
    for (const key of Object.keys(require.cache)) delete require.cache[key];
    const second = require('fanwire');
    const [one, two] = [await first.connect('${server.url}'), await second.connect('${server.url}')];
    const stream = one.subscribe('c');
    await stream.ready;
    await two.publish('c', 'between them');
    console.log(first !== second, (await stream.next()).value.text);
    await Promise.all([one.close(), two.close()]);
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true between them\n', stderr: '' });
});
