// The two servers of packaging/demo.sh --pusher, with clients of pusher-js.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import WebSocket from 'ws';

import { run, start, testDir } from './support/child.mjs';
import { runtimes } from './support/member.mjs';
import { freePort, RedisServer } from './support/redis.mjs';

let folder; // a copy, from where it finds the packages that are installed here
before(async () => {
  folder = await mkdtemp(path.join(testDir, '.pusher-'));
  await cp(fileURLToPath(new URL('../../packaging/demo/pusher', import.meta.url)), folder, { recursive: true });
});
after(() => rm(folder, { recursive: true, force: true }));

for (const [runtime, [command, ...before]] of Object.entries(runtimes)) {
  test(`the clients of both servers receive what is triggered on one, ${runtime}`, async () => {
    const { code, stdout, stderr } = await run(command, [...before, path.join(folder, 'run.mjs')], { timeout: 60_000 });
    assert.equal(code, 0, stdout + stderr);
    const each = (text) => [1, 2].map((n) => `the client of server ${n} got ${text}`);
    const expected = [
      ...each('greeting {"text":"to everybody"}'), ...each('answer {"text":"NUL \\u0000 and 😀"}'), ...each('queued {"n":3}'),
      'the client of server 2 got echo {"but":"client 1"}', 'the client of server 2 got client-typing {"by":1}',
      'the client of server 1 got queued {"n":1}', 'the client of server 1 got queued {"n":2}', 'all of it has arrived',
    ];
    const lines = stdout.split('\n');
    for (const line of expected) assert.ok(lines.includes(line), `${line} in\n${stdout}`);
  });
}

test('requests and messages that are wrong', async () => {
  const { app, trigger } = await import(pathToFileURL(path.join(folder, 'app.mjs')));
  const redis = await RedisServer.start();
  const port = await freePort();
  const server = start(process.execPath, [path.join(folder, 'server.mjs'), String(port)], { env: { ...process.env, REDIS_URL: redis.url } });
  try {
    await server.saw(`http://127.0.0.1:${port}`);
    const address = `http://127.0.0.1:${port}`;
    assert.deepEqual(await (await fetch(`${address}/up`)).json(), { health: 'OK', redis: true });
    const event = { name: 'x', channel: 'c', data: '{}' };
    const status = async (...args) => (await trigger(...args)).status;
    assert.equal(await status(address, event), 200);
    for (const wrong of [null, {}, [], { name: 'x' }, { channel: 'c' }, { name: 7, channel: 'c' }, { name: 'x', channels: [7] }]) {
      assert.equal(await status(address, wrong), 422, JSON.stringify(wrong));
    }
    assert.equal(await status(address, { ...event, data: 'x'.repeat(20_000) }), 413);
    const post = (where, body) => fetch(`${address}${where}`, { method: 'POST', body }).then((response) => response.status);
    assert.equal(await post(`/apps/${app.id}/events`, '{}'), 401);
    assert.equal(await post(`/apps/${app.id}/events?auth_signature=${'0'.repeat(64)}`, '{}'), 401);
    assert.equal(await post('/apps/other/events', '{}'), 404);

    const talk = async (where, messages, count) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${where}`);
      const got = [];
      const closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
      await new Promise((resolve) => {
        socket.on('message', (data) => got.push(JSON.parse(data)) === count && resolve());
        socket.on('open', () => messages.forEach((message) => socket.send(message)));
      });
      // Each error has a message, which stands for it here.
      return { got: got.map(({ event, data }) => `${event} ${JSON.parse(data).message ?? ''}`), closed, socket };
    };
    const unknown = await talk('/app/other', [], 1);
    assert.deepEqual(unknown.got, ['pusher:error Application does not exist']);
    assert.equal(await unknown.closed, 4001);
    const subscribe = (channel, auth) => JSON.stringify({ event: 'pusher:subscribe', data: { channel, auth } });
    const wrong = ['{', 'null', '7', '{"event":"pusher:subscribe","data":"{"}', Buffer.from([0xff, 0])];
    const messages = [...wrong, '{"event":"pusher:subscribe"}', subscribe('private-x', 'demo-key:0'), subscribe('presence-x', ''),
      '{"event":"pusher:unsubscribe","data":null}', '{"event":"client-x","channel":"private-x","data":{}}', '{"event":"pusher:ping"}'];
    const { got, socket } = await talk(`/app/${app.key}`, messages, 10);
    assert.deepEqual(got, [
      'pusher:connection_established ', ...Array(4).fill('pusher:error Invalid message format'), 'pusher:error Invalid message format',
      'pusher:error Invalid channel', ...Array(2).fill('pusher:error Connection is unauthorized'), 'pusher:pong ',
    ]);
    socket.terminate();
    assert.equal(await status(address, event), 200); // it is still there
    server.child.kill('SIGTERM');
    const { code, stderr } = await server.ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  } finally {
    server.child.kill('SIGKILL');
    await redis.stop();
  }
});
