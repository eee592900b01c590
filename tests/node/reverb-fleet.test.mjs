// fanwire/reverb in several processes on one Redis, of which one is a server in PHP: frames that PHP wrote, and raw bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Member, runtimes } from './support/member.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

const messages = [
  { type: 'message', application: 'O:1:"A":1:{s:5:"\0*\0id";s:1:"é";}', payload: { event: 'e', channel: 'c', data: '{"a":"\\u0000😀"}' }, socket_id: '1.2' },
  { type: 'terminate', application: '', payload: { user_id: '7' } },
  { type: 'Ab3dEf9hIj', payload: [] },
];

// What one publishes, all get, itself among them; so do those that speak to Redis without us.
async function talk(from, others, outside) {
  for (const message of messages) {
    from.send(message);
    for (const one of [from, ...others]) await one.saw({ got: message });
    const [, channel, payload] = await outside.reply();
    assert.deepEqual([String(channel), JSON.parse(payload)], ['reverb', message]);
    await from.saw({ receivers: others.length + 2 });
  }
}

async function withServer(body) {
  const server = await RedisServer.start();
  const members = [];
  const join = async (...args) => {
    members.push(await Member.start(args[0], 'reverb-member.mjs', server.url, ...args.slice(1)));
    return members.at(-1);
  };
  const listen = async () => {
    const outside = await RespClient.connect(server.port);
    await outside.command('SUBSCRIBE', 'reverb');
    return outside;
  };
  try {
    await body(server, join, listen);
  } finally {
    for (const { process: one } of members) one.child.kill('SIGKILL');
    await server.stop();
  }
}

const receivers = (server) =>
  RespClient.connect(server.port).then(async (admin) => {
    const [, count] = await admin.command('PUBSUB', 'NUMSUB', 'reverb');
    admin.close();
    return count;
  });

for (const runtime of Object.keys(runtimes)) {
  test(`Redis is killed and started again, ${runtime}`, () =>
    withServer(async (server, join, listen) => {
      const [one, other] = [await join(runtime), await join('node')];
      let outside = await listen();
      await talk(one, [other], outside);
      await talk(other, [one], outside);
      for (let round = 0; round < 3; ++round) {
        outside.close();
        await server.kill();
        await one.saw('disconnected');
        for (let i = 0; i < 50; ++i) one.send({ type: 'queued', i });
        await server.restart();
        for (let i = 0; i < 50; ++i) await one.saw({ got: { type: 'queued', i } }); // also to itself
        assert.ok(!one.lines.some((line) => line.failed));
        await until(async () => (await receivers(server)) === 2);
        outside = await listen();
        one.lines.length = other.lines.length = 0;
        await talk(one, [other], outside);
        await talk(other, [one], outside);
      }
      outside.close();
      const admin = await RespClient.connect(server.port);
      await until(async () => String(await admin.command('CLIENT', 'LIST')).trim().split('\n').length === 5);
      admin.close();
      const { code, stderr } = await one.end();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }));
}

const clients = { redis: ['node', 'bun'], ioredis: ['node', 'bun'], bun: ['bun'] };
for (const [kind, where] of Object.entries(clients)) {
  for (const runtime of where.filter((one) => one in runtimes)) {
    test(`a client that is passed in: ${kind}, ${runtime}`, () =>
      withServer(async (server, join, listen) => {
        const [passed, ours] = [await join(runtime, kind), await join('node')];
        let outside = await listen();
        await talk(passed, [ours], outside);
        await talk(ours, [passed], outside);
        outside.close();
        await server.kill();
        await server.restart();
        await until(async () => (await receivers(server)) === 2);
        outside = await listen();
        await talk(ours, [passed], outside);
        await talk(passed, [ours], outside);
        outside.close();
        passed.send('close');
        await passed.saw({ answers: 0 });
        assert.equal((await passed.process.ended).code, 0);
      }));
  }
}
