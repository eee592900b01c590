// fanwire/pondsocket in several processes, some of which run the package pondsocket of Python, on one Redis.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

import { bun, skip } from './support/bun.mjs';
import { run, testDir } from './support/child.mjs';
import { Member, runtimes } from './support/member.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

// PondSocket's package for Node that is on npm distributes nothing; Python's does.
const python = [process.env.FANWIRE_PONDSOCKET_PYTHON, path.join(testDir, '../../build/test-venv/bin/python'), 'python3'].find(
  (one) => one !== undefined && spawnSync(one, ['-c', 'import pondsocket.distributed, redis.asyncio']).status === 0,
);
if (python !== undefined) runtimes.python = [python];
const noPython = python === undefined && 'there is no Python with pondsocket and redis: set FANWIRE_PONDSOCKET_PYTHON';

const data = [[0, 255, 10, 128], [], [...Buffer.from('{"text":"N\0UL é"}')]];
const texts = [[...Buffer.from('{"text":"é"}')], [...Buffer.from('x')]]; // what Bun's client can give
const own = Object.keys(runtimes).filter((runtime) => runtime !== 'python');

async function withFleet(kinds, body) {
  const server = await RedisServer.start();
  const members = [];
  try {
    for (const [runtime, ...rest] of kinds) {
      const program = runtime === 'python' ? 'pondsocket_member.py' : 'pondsocket-member.mjs';
      const member = await Member.start(runtime, program, server.url, ...rest);
      // Two patterns of ours overlap.
      members.push(Object.assign(member, { runtime, times: runtime === 'python' || rest[0] === 'bun' ? 1 : 2 }));
    }
    await body(server, members);
  } finally {
    for (const { process: one } of members) one.child.kill('SIGKILL');
    await server.stop();
  }
}

const kProbe = 1; // the payload of messages that only try out whether they can be sent

// What has come, `count` lines at least, without what was tried out before.
async function next(member, count) {
  await until(() => (member.lines = member.lines.filter(({ payload }) => payload !== kProbe)).length >= count);
  return member.lines.splice(0);
}

async function takes(member, lines) {
  assert.deepEqual((await next(member, lines.length)).map(String).sort(), lines.map(String).sort());
}

// What each publishes, all get: once for each handler.
async function talk(members, values = data) {
  for (const from of members) {
    for (const bytes of values) {
      for (const topic of ['pondsocket:room:1', 'pondsocket:room:2', 'pondsocket:one']) {
        from.send([topic, bytes]);
        await from.saw('published');
        for (const to of members) await takes(to, Array(topic.endsWith('one') ? 1 : to.times).fill([topic, bytes]));
      }
    }
    from.send(['v1', { text: 'N\0UL é' }]);
    await from.saw('published');
    for (const to of members.filter((one) => one !== from)) {
      const [{ sourceNodeId, ...rest }, ...more] = await next(to, 1);
      const expected = { type: 'USER_MESSAGE', endpointName: 'api/socket', channelName: '/chat/1', payload: { text: 'N\0UL é' } };
      assert.deepEqual([typeof sourceNodeId, rest, more], ['string', expected, []]);
    }
  }
}

const publishes = async (member) => {
  let has = true;
  for (const command of [['pondsocket:nobody', []], ['v1', kProbe]]) {
    member.send(command);
    await until(() => member.lines.some((line) => line === 'published' || line.failed));
    has = member.lines.splice(0).includes('published') && has;
  }
  return has;
};

// Redis is back, and all that is wanted is subscribed again.
async function recover(server, members) {
  await server.restart();
  const admin = await RespClient.connect(server.port);
  await until(async () => {
    const [, one, , channel] = await admin.command('PUBSUB', 'NUMSUB', 'pondsocket:one', 'pondsocket:v1:default:api/socket:/chat/1');
    const hasPatterns = (await admin.command('PUBSUB', 'NUMPAT')) === 2;
    return one === members.length && channel === members.length && hasPatterns;
  });
  for (const member of members) await until(() => publishes(member));
  const clients = String(await admin.command('CLIENT', 'LIST')).trim().split('\n').length - 1;
  admin.close();
  return clients;
}

for (const runtime of own) {
  test(`half a fleet is the package of Python, ${runtime}`, { skip: noPython }, () =>
    withFleet([[runtime], ['python'], ['node']], async (_server, members) => {
      await talk(members);
      const { code, stderr } = await members[0].end();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }));

  test(`Redis is killed and started again, ${runtime}`, () =>
    withFleet([[runtime], ['node']], async (server, members) => {
      await talk(members);
      for (let round = 0; round < 3; ++round) {
        await server.kill();
        for (const member of members) await until(async () => !(await publishes(member)));
        assert.equal(await recover(server, members), 8); // two of each class of each member
        await talk(members);
      }
      const { code, stderr } = await members[0].end();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    }));
}

const both = ['node', 'bun'];
const clients = { redis: ['node'], 'redis-5': both, 'redis-6': both, ioredis: ['node'], 'ioredis-6': both, bun: ['bun'] };
for (const [kind, where] of Object.entries(clients)) {
  for (const runtime of where.filter((one) => own.includes(one))) {
    test(`a client that is passed in: ${kind}, ${runtime}`, () =>
      withFleet([[runtime, kind], ['node']], async (server, members) => {
        const values = kind === 'bun' ? texts : data;
        await talk(members, values);
        const [passed] = members;
        passed.send('close');
        await passed.saw({ answers: 0 });
        assert.equal((await passed.process.ended).code, 0);
      }));
  }
}

test('the tests of one process, under Bun', { skip }, async () => {
  const { code, stderr } = await run(bun, ['test', './pondsocket.test.mjs'], { timeout: 120_000 });
  assert.equal(code, 0, stderr);
});
