// The migration note of a face: each of its blocks is a program that prints what it says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { run, testDir } from './child.mjs';
import { RedisServer } from './redis.mjs';

const packageDir = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));

const program = (block, sign) =>
  block.split('\n').filter((line) => line[0] === ' ' || line[0] === sign).map((line) => line.slice(1)).join('\n');

/** Runs the blocks with the change, and without where `hasBefore(block)`: what they import is installed here. */
export function testNote(face, hasBefore = () => false) {
  test(`the blocks of the note on ${face}`, async () => {
    const note = readFileSync(path.join(packageDir, 'lib/faces', face, 'README.md'), 'utf8');
    const blocks = [...note.matchAll(/```diff\n([^]*?)```/g)].map(([, block]) => block);
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
}
