// Each block of the note on Reverb is a program that prints what it says. Revurb is not on npm, so only the change is run.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { run, testDir } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';

const packageDir = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));
const note = readFileSync(path.join(packageDir, 'lib/faces/reverb/README.md'), 'utf8');
const blocks = [...note.matchAll(/```diff\n([^]*?)```/g)].map(([, block]) => block);

const changed = (block) =>
  block.split('\n').filter((line) => line[0] === ' ' || line[0] === '+').map((line) => line.slice(1)).join('\n');

test('the blocks of the note on Reverb', async () => {
  assert.equal(blocks.length, 3);
  const server = await RedisServer.start();
  try {
    for (const block of blocks) {
      const [, expected] = /\/\/.*prints: (.*)/.exec(block);
      const options = { cwd: testDir, env: { ...process.env, REDIS_URL: server.url } };
      const source = changed(block);
      const { code, stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', source], options);
      assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${expected}\n`, stderr: '' }, source);
    }
  } finally {
    await server.stop();
  }
});
