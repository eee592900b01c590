// child_process.fork() and the cluster module: every process has engines of its own.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { fixture, run } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

const forked = new Set();
function forkChild(...args) {
  const child = fork(fixture('child.mjs'), args, { silent: true });
  forked.add(child);
  return child;
}
afterEach(() => {
  for (const child of forked) child.kill('SIGKILL'); // a test that failed may have left them
  forked.clear();
});

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

test('children forked in the middle of traffic have engines of their own; the parent goes on receiving', async () => {
  const bus = await connect(server.url);
  const told = [];
  const counted = [];
  await bus.subscribe('to parent', ({ text }) => told.push(text)).ready;
  await bus.subscribe('numbers', ({ text }) => counted.push(Number(text))).ready;
  let sent = 0;
  let flowing = true;
  const flow = (async () => {
    while (flowing) await Promise.all(Array.from({ length: 50 }, () => bus.publish('numbers', String(sent++))));
  })();
  const names = ['a', 'b', 'c', 'd'];
  const children = names.map((name) => forkChild(server.url, name));
  let stderr = '';
  for (const child of children) child.stderr.on('data', (chunk) => (stderr += chunk));
  const exits = children.map((child) => once(child, 'exit'));
  const ready = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0]));

  for (let i = 0; i < 99; ++i) assert.equal(await bus.publish('to children', 'x'), names.length);
  await bus.publish('to children', 'end');
  assert.deepEqual(await Promise.all(exits), names.map(() => [0, null]), stderr);
  assert.equal(stderr, '');
  await until(() => told.length === names.length);
  assert.deepEqual(told.sort(), names.map((name) => `${name}: 100`));
  flowing = false;
  await flow;
  await until(() => counted.length === sent);
  assert.deepEqual(counted, Array.from({ length: sent }, (_, i) => i));
  assert.equal(bus.stats().disconnects, 0);

  // stdin, stdout, stderr and the channel to the parent are sockets; no more of the parent's came along.
  for (const { inherited } of ready) {
    assert.ok(inherited.filter((line) => / socket:/.test(line)).length <= 4, inherited.join('\n'));
  }
  await bus.close();
});

test('a child that is killed takes nothing of the parent with it', async () => {
  const bus = await connect(server.url, { clientName: 'parent' });
  const stream = bus.subscribe('c');
  await stream.ready;
  const child = forkChild(server.url, 'x');
  await once(child, 'message');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const client = await RespClient.connect(server.port);
  await until(async () => !(await client.command('CLIENT', 'LIST')).toString().includes('name=fanwire '));
  client.close();
  assert.equal(await bus.publish('c', 'still here'), 1);
  assert.equal((await stream.next()).value.text, 'still here');
  assert.equal(bus.stats().disconnects, 0);
  await bus.close();
});

test('the cluster module: what one process publishes reaches all, also after one was killed and replaced', async () => {
  const { code, signal, stdout, stderr } = await run(process.execPath, [fixture('cluster.mjs'), server.url]);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  assert.equal(stdout, 'all: 3 of 3, 3 processes\none killed: 2 of 2, 2 processes\nreplaced: 3 of 3, 3 processes\n' +
    'exit codes: 0,0,0\n');
});
