// The same addon and the same package, loaded by Bun.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

import { run, testDir } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';

const bun = [path.join(testDir, 'node_modules/.bin/bun'), 'bun'].find(
  (command) => spawnSync(command, ['--version']).status === 0,
);
const skip = bun === undefined && 'there is no bun: npm install --no-save bun';

async function smoke(url) {
  const { code, signal, stdout, stderr } = await run(bun, ['fixtures/bun-smoke.mjs', url]);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  const refused = 'InvalidChannelError INVALID_CHANNEL';
  assert.deepEqual(JSON.parse(stdout), {
    receivers: 2, count: 2001, seen: 2001, refused, kinds: ['active', 'message'], verdict: 'ok', measured: true,
  });
}

test('Bun, in memory', { skip }, () => smoke('memory://bun'));

test('Bun, on Redis', { skip }, async () => {
  const server = await RedisServer.start();
  await smoke(server.url);
  await server.stop();
});
