// fanwire/orijs in several processes, some of which speak the original's wire by another client, on one Redis.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bun, skip } from './support/bun.mjs';
import { run } from './support/child.mjs';
import { Member, runtimes } from './support/member.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

const kOurs = 'fanwire/orijs';
const messages = ['text', 'N\0UL é😀 "quoted" \\', '', [0, 255, 1, 128], [], [...Buffer.from('é')]];

async function withFleet(kinds, body) {
  const server = await RedisServer.start();
  const members = [];
  try {
    for (const [runtime, module] of kinds) members.push(await Member.start(runtime, 'orijs-member.mjs', module, String(server.port)));
    for (const member of members) await subscribe(member);
    await body(server, members);
  } finally {
    for (const { process: one } of members) one.child.kill('SIGKILL');
    await server.stop();
  }
}

async function subscribe(member) {
  member.send(['subscribe', 'room']);
  await member.saw('subscribe');
}

// What each publishes, all get, once and in order.
async function talk(members) {
  for (const from of members) {
    for (const message of messages) from.send(['publish', 'room', message]);
    for (const _ of messages) await from.saw('published');
    for (const to of members) {
      await until(() => to.lines.length >= messages.length);
      assert.deepEqual(to.lines.splice(0), messages.map((message) => ['room', message]));
    }
  }
}

const publishes = async (member) => {
  member.send(['publish', 'nobody', 'x']);
  await until(() => member.lines.some((line) => line === 'published' || line.failed));
  return member.lines.splice(0).includes('published');
};

for (const runtime of Object.keys(runtimes)) {
  test(`half a fleet speaks the wire by ioredis, ${runtime}`, () =>
    withFleet([[runtime, kOurs], ['node', 'wire'], ['node', kOurs]], async (_server, members) => {
      await talk(members);
      const { code, stderr } = await members[0].end();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }));

  test(`Redis is killed and started again, ${runtime}`, () =>
    withFleet([[runtime, kOurs], ['node', kOurs]], async (server, members) => {
      await talk(members);
      for (let round = 0; round < 3; ++round) {
        await server.kill();
        for (const member of members) await until(async () => !(await publishes(member)));
        const [one] = members;
        one.send(['unsubscribe', 'room']);
        await one.saw('unsubscribe');
        one.send(['subscribe', 'room']); // while Redis is away
        if (round === 1) await one.saw('tries in silence'); // where the original ends
        await server.restart();
        await one.saw('subscribe');
        const admin = await RespClient.connect(server.port);
        await until(async () => (await admin.command('PUBSUB', 'NUMSUB', 'fleet:room'))[1] === 2);
        for (const member of members) await until(() => publishes(member));
        for (const member of members) member.lines.splice(0);
        await talk(members);
        const clients = String(await admin.command('CLIENT', 'LIST')).trim().split('\n');
        assert.equal(clients.length, 5); // two of each member, and this one
        admin.close();
      }
      const { code, stderr } = await members[0].end();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }));
}

test('the tests of one process, under Bun', { skip }, async () => {
  const { code, stderr } = await run(bun, ['test', './orijs.test.mjs'], { timeout: 120_000 });
  assert.equal(code, 0, stderr);
});
