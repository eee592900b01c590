// Messages too large for what JavaScript makes of them: none may be lost without a word, or end the process. Each in a
// process of its own, which gives its memory back.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { bun, skip as noBun } from './support/bun.mjs';
import { fixture, run } from './support/child.mjs';

const kGiB = 2 ** 30;

async function passes(command, ...args) {
  const { code, signal, stdout, stderr } = await run(command, args, { timeout: 60_000 });
  assert.deepEqual({ code, signal, stdout, stderr }, { code: 0, signal: null, stdout: 'all of it\n', stderr: '' });
}

const needs = (bytes) => freemem() < bytes && `it takes ${bytes / kGiB} GiB of memory`;

for (const [name, command, skip] of [['Node', process.execPath, false], ['Bun', bun, noBun]]) {
  test(`${name}: texts and bytes of more than 16 MiB come as they are`, { skip: skip || needs(kGiB) }, () =>
    passes(command, 'fixtures/large.mjs', 'border'));

  test(`${name}: a text longer than a string can be has its bytes, and the owner hears of it`, {
    skip: skip || needs(3 * kGiB),
  }, () => passes(command, 'fixtures/large.mjs', 'string'));
}

test('text of more than V8 may have in its heap comes all the same', { skip: needs(kGiB) }, () =>
  passes(process.execPath, '--max-old-space-size=64', 'fixtures/large.mjs', 'heap'));

const cc = spawnSync('cc', ['--version']).status === 0;
test('a message that there is no memory for is delivered, and reading it says so', {
  skip: cc ? needs(2 * kGiB) : 'there is no C compiler',
}, async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'fanwire-no-memory-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const library = path.join(dir, 'no_memory.so');
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, fixture('no_memory.c'), '-ldl']);
  assert.equal(status, 0, String(stderr));
  await passes('env', `LD_PRELOAD=${library}`, process.execPath, 'fixtures/large.mjs', 'memory');
});
