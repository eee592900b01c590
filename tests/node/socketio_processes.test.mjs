// fanwire/socket.io in processes of their own, the package's note on moving to it, and its types.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { io as connectClient } from 'socket.io-client';

import { skip } from './support/bun.mjs';
import { fixture, run, start } from './support/child.mjs';
import { runtimes } from './support/member.mjs';
import { freePort, RedisServer } from './support/redis.mjs';
import { closeAtEnd, serveFanwire } from './support/socketio.mjs';
import { until } from './support/wait.mjs';

let redis;
before(async () => (redis = await RedisServer.start()));
after(() => redis.stop());

async function startServer(wire, runtime = 'node', ...kind) {
  const [command, ...before] = runtimes[runtime];
  const server = start(command, [...before, fixture('socketio.cjs'), redis.url, wire, ...kind], { timeout: 120_000 });
  closeAtEnd(() => server.child.kill('SIGKILL'));
  let port;
  server.child.stdout.on('data', (chunk) => (port ??= /port (\d+)/.exec(chunk)?.[1]));
  await server.saw('port ');
  const client = connectClient(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true });
  closeAtEnd(() => client.close());
  const got = [];
  client.on('said', (...args) => got.push(args));
  await until(() => client.connected, 'a client that is connected');
  return { ...server, client, got };
}

for (const [wire, runtime] of [
  ['interest', 'node'], ['classic', 'node'], ['interest', 'bun'], ['interest', 'deno'], ['classic', 'deno'],
]) {
  const what = `processes of ${runtime} with socket.io-adapter 2.5.4, one with the newest, Redis killed, ${wire}`;
  test(what, { skip: !(runtime in runtimes) && `there is no ${runtime}: npm install --no-save ${runtime}` }, async () => {
    const [a, b] = await Promise.all([startServer(wire), startServer(wire, runtime)]);
    const here = await serveFanwire(redis.url, { wire, requestsTimeout: 10_000 });
    await until(async () => (await here.adapter.serverCount()) === 3);
    const { socket, got } = await here.connect();
    await Promise.all([...[a, b].map(({ client }) => client.emitWithAck('join', 'room')), socket.join('room')]);
    const all = () => [a.got, b.got, got.map(([, ...args]) => args)];
    const everywhere = (text) => all().every((list) => list.some((args) => args[0] === text));

    const bytes = Buffer.from([0, 200, 0]);
    a.client.emit('say', 'room', 'bytes', bytes, 'a\0b');
    await until(() => everywhere('bytes'));
    for (const list of all()) assert.deepEqual(list, [['bytes', bytes, 'a\0b']]);
    assert.equal(await b.client.emitWithAck('count'), 3);
    assert.deepEqual((await here.io.serverSideEmitWithAck('ask')).sort(), [a.child.pid, b.child.pid].sort());

    await redis.kill();
    await until(() => !here.bus.connected);
    a.client.emit('say', 'room', 'away');
    here.io.to('room').emit('said', 'away');
    await until(() => a.got.length === 2 && got.length === 2);
    await redis.restart();
    await until(async () => (await here.adapter.serverCount()) === 3);
    let i = 0;
    await until(() => { // until the rooms are subscribed again everywhere
      here.io.to('room').emit('said', `back ${++i}`);
      return all().every((list) => list.some(([text]) => text.startsWith('back')));
    });
    b.client.emit('say', 'room', 'end');
    await until(() => everywhere('end'));

    b.child.kill('SIGKILL');
    await b.ended;
    await until(async () => (await here.adapter.serverCount()) === 2);
    assert.equal(await a.client.emitWithAck('count'), 2);
    a.child.kill('SIGTERM');
    assert.deepEqual(await a.ended.then(({ code, stderr }) => [code, stderr]), [0, '']);
  });
}

// Bun's own client is text only, so bytes come from those that have it too.
for (const [kind, wire] of [
  ['bun', 'interest'], ['redis', 'classic'], ['redis-6', 'interest'], ['ioredis', 'interest'], ['ioredis-6', 'classic'],
  ['ioredis', 'sharded'], ['redis-5', 'sharded'],
]) {
  test(`processes of bun over a client of the application's: ${kind}, ${wire}`, { skip }, async () => {
    const [a, b] = await Promise.all([1, 2].map(() => startServer(wire, 'bun', kind)));
    const others = wire === 'sharded' ? [] : [await serveFanwire(redis.url, { wire, requestsTimeout: 10_000 })];
    const joined = others.map((other) => other.connect());
    const people = await Promise.all(joined);
    const all = () => [a.got, b.got, ...people.map(({ got }) => got.map(([, ...args]) => args))];
    const everywhere = (text) => all().every((list) => list.some((args) => args[0] === text));
    const count = () => a.client.timeout(1000).emitWithAck('count').catch(() => -1);
    await until(async () => (await count()) === 2 + others.length);
    await Promise.all([...[a, b].map(({ client }) => client.emitWithAck('join', 'room')), ...people.map(({ socket }) => socket.join('room'))]);

    async function talk(end) {
      const bytes = Buffer.from([0, 200, 0]);
      a.client.emit('say', 'room', 'bytes', bytes, 'a\0b');
      await until(() => everywhere('bytes'));
      others[0]?.io.to('room').emit('said', 'from here', 'é\0');
      await until(() => others.length === 0 || everywhere('from here'));
      b.client.emit('say', 'room', end);
      await until(() => everywhere(end));
      const expected = [['bytes', bytes, 'a\0b'], ...others.map(() => ['from here', 'é\0']), [end]];
      for (const list of all()) assert.deepEqual(list, expected); // each once
    }
    await talk('end');
    await redis.kill();
    await redis.restart();
    await until(async () => (await count()) === 2 + others.length);
    let i = 0;
    await until(() => { // until the rooms are subscribed again everywhere
      b.client.emit('say', 'room', `back ${++i}`);
      a.client.emit('say', 'room', `back too ${i}`);
      return all().every((list) => ['back ', 'back too'].every((word) => list.some(([text]) => text.startsWith(word))));
    });
    a.client.emit('say', 'room', 'settled');
    b.client.emit('say', 'room', 'settled too');
    await until(() => everywhere('settled') && everywhere('settled too'));
    for (const list of [a.got, b.got, ...people.map(({ got }) => got)]) list.length = 0;
    await talk('end again');
  });
}

test('the note on moving: each piece of code runs', async () => {
  const { resolve } = createRequire(import.meta.url);
  const note = readFileSync(path.join(path.dirname(resolve('fanwire/socket.io')), 'README.md'), 'utf8');
  const blocks = [...note.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, code]) => code);
  assert.equal(blocks.length, 7);
  for (const code of blocks) {
    const port = await freePort();
    const end = `
      if (typeof io !== 'undefined') console.log((await io.fetchSockets()).length);
      else console.log(typeof emitter);
      process.exit();`;
    const args = ['--input-type=module', '--eval', code.replaceAll('3000', port) + end];
    const { stdout, stderr } = await run(process.execPath, args, { env: { ...process.env, REDIS_URL: redis.url } });
    assert.deepEqual([stdout, stderr], [code.includes('new Server') ? '0\n' : 'object\n', ''], code);
  }
});

test('what the note says of other languages', async () => {
  const { resolve } = createRequire(import.meta.url);
  const note = readFileSync(path.join(path.dirname(resolve('fanwire/socket.io')), 'README.md'), 'utf8');
  const [, body] = /^```json\n([^]*?)\n```$/m.exec(note);
  const server = await serveFanwire(redis.url);
  const { socket, got } = await server.connect();
  await socket.join('room');
  for (const channel of ['fanwire:socket.io#/#', 'fanwire:socket.io#/#r#room']) {
    await run('redis-cli', ['-p', String(redis.port), 'PUBLISH', channel, body]);
  }
  await until(() => got.length === 2);
  assert.deepEqual(got, [['hello', 'world'], ['hello', 'world']]);
});

test('a package that is missing is named', async () => {
  const source = `
    const Module = require('node:module');
    const resolve = Module._resolveFilename;
    const other = (name) => (name === process.argv[1] ? 'none-of-this-name' : name);
    Module._resolveFilename = (name, ...rest) => resolve.call(Module, other(name), ...rest);
    try {
      require('fanwire/socket.io').createAdapter('redis://127.0.0.1:1');
    } catch (error) {
      console.log(error.message);
    }`;
  for (const name of ['notepack.io', 'socket.io-adapter']) {
    const { stdout } = await run(process.execPath, ['--eval', source, name]);
    assert.equal(stdout, `fanwire/socket.io needs the package ${name}: npm install ${name}\n`);
  }
});
