// Each block of the migration note is a program that prints what it says, with the change, and without where there is a package.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { run, testDir } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';

const packageDir = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));
const note = readFileSync(path.join(packageDir, 'lib/faces/ws-kit/README.md'), 'utf8');
const blocks = [...note.matchAll(/```diff\n([^]*?)```/g)].map(([, block]) => block);

const program = (block, sign) =>
  block.split('\n').filter((line) => line[0] === ' ' || line[0] === sign).map((line) => line.slice(1)).join('\n');

// 0.1 and the router's memory adapter are not installed here.
const hasBefore = (block) => block.includes("'@ws-kit/redis-pubsub'") && !block.includes('/v0');

test('the blocks of the note on ws-kit', async () => {
  assert.ok(blocks.length >= 1);
  assert.equal([...note.matchAll(/```/g)].length, 2 * blocks.length);
  const server = await RedisServer.start();
  try {
    for (const block of blocks) {
      const [, expected] = /prints: (.*)/.exec(block);
      for (const sign of hasBefore(block) ? ['-', '+'] : ['+']) {
        const source = program(block, sign);
        const options = { cwd: testDir, env: { ...process.env, REDIS_URL: server.url } };
        const { code, stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', source], options);
        assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${expected}\n`, stderr: '' }, source);
      }
    }
  } finally {
    await server.stop();
  }
});
