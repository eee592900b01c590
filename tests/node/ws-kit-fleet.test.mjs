// fanwire/ws-kit in several processes, some of which run the original, on one Redis.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Member, runtimes } from './support/member.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

const kOurs = 'fanwire/ws-kit';
const kTheirs = '@ws-kit/redis-pubsub';
const values = [{ a: [1, null, 'é😀'] }, 'text', 'N\0UL', '"quoted"', 7, null, false];

async function member(runtime, module, server, ...rest) {
  return Member.start(runtime, 'ws-kit-member.mjs', module, server.url, ...rest);
}

// What one publishes, both get, by channel and by pattern.
async function talk(from, others) {
  for (const [i, message] of values.entries()) {
    const channel = i % 2 === 0 ? 'room' : 'news:1';
    from.send([channel, message]);
    await from.saw('published');
    for (const one of [from, ...others]) await one.saw({ message, channel });
  }
}

async function withServer(body) {
  const server = await RedisServer.start();
  const members = [];
  try {
    await body(server, async (...args) => {
      members.push(await member(args[0], args[1], server, ...args.slice(2)));
      return members.at(-1);
    });
  } finally {
    for (const { process: one } of members) one.child.kill('SIGKILL');
    await server.stop();
  }
}

for (const runtime of Object.keys(runtimes)) {
  test(`half a fleet is the original, ${runtime}`, () =>
    withServer(async (server, add) => {
      const ours = await add(runtime, kOurs);
      const theirs = await add(runtime, kTheirs);
      await talk(ours, [theirs]);
      await talk(theirs, [ours]);
      assert.equal((await ours.end()).code, 0);
    }));

  test(`Redis is killed and started again, ${runtime}`, () =>
    withServer(async (server, add) => {
      const [one, other] = [await add(runtime, kOurs), await add('node', kOurs)];
      await talk(one, [other]);
      for (let round = 0; round < 3; ++round) {
        await server.kill();
        await until(async () => {
          one.send(['room', 'into the void']);
          await until(() => one.lines.some((line) => line === 'published' || line.failed));
          return one.lines.pop().failed === 'DisconnectedError';
        });
        await server.restart();
        await Promise.all([one.saw('reconnected'), other.saw('reconnected')]);
        await talk(one, [other]);
        await talk(other, [one]);
      }
      const admin = await RespClient.connect(server.port);
      const clients = String(await admin.command('CLIENT', 'LIST')).trim().split('\n');
      assert.equal(clients.length, 5); // two of each member, and this one
      admin.close();
      const { code, stderr } = await one.end();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }));
}

const clients = { redis: ['node'], 'redis-5': ['node', 'bun'], 'redis-6': ['node', 'bun'], ioredis: ['node'], 'ioredis-6': ['node', 'bun'], bun: ['bun'] };
for (const [kind, where] of Object.entries(clients)) {
  for (const runtime of where.filter((one) => one in runtimes)) {
    test(`a client that is passed in: ${kind}, ${runtime}`, () =>
      withServer(async (server, add) => {
        const passed = await add(runtime, kOurs, kind);
        const ours = await add('node', kOurs);
        await talk(passed, [ours]);
        await talk(ours, [passed]);
        await server.kill();
        await server.restart();
        await Promise.all([ours.saw('reconnected'), passed.saw('reconnected')]);
        await talk(ours, [passed]);
        await talk(passed, [ours]);
        passed.send('close');
        await passed.saw({ answers: 0 });
        assert.equal((await passed.process.ended).code, 0);
      }));
  }
}

// 0.1 is on npm no more: its wire is what the document says, read and written by a client of the other half.
for (const runtime of Object.keys(runtimes)) {
  test(`v0 in two processes, and a Redis that is killed, ${runtime}`, () =>
    withServer(async (server, add) => {
      const [one, other] = [await add(runtime, 'fanwire/ws-kit/v0'), await add('node', 'fanwire/ws-kit/v0', 'redis-5')];
      const [texts, bytes] = [['as it is\0', { a: 'é\0' }, 7, null], Buffer.from([0, 255, 1]).toString('base64')];
      const talkBoth = async () => {
        for (const from of [one, other]) {
          for (const message of [...texts, bytes]) {
            from.send(['room', message]);
            await from.saw('published');
            for (const to of [one, other]) await to.saw({ message });
          }
        }
      };
      const wait = async () => {
        const admin = await RespClient.connect(server.port);
        await until(async () => (await admin.command('PUBSUB', 'NUMSUB', 'fleet:room'))[1] === 2);
        admin.close();
      };
      await wait();
      await talkBoth();
      await server.kill();
      await until(async () => {
        one.send(['room', 'into the void']);
        await until(() => one.lines.some((line) => line === 'published' || line.failed));
        return one.lines.pop().failed !== undefined;
      });
      await server.restart();
      await wait();
      for (const member of [one, other]) {
        await until(async () => {
          member.send(['nobody', 1]);
          await until(() => member.lines.some((line) => line === 'published' || line.failed));
          return member.lines.splice(0).includes('published');
        });
      }
      await talkBoth();
      assert.equal((await one.end()).code, 0);
    }));
}
