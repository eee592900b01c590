// What who installs the package reads when that fails.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { run } from './support/child.mjs';

const packageDir = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));
let copy; // of the package, outside the checkout and not built

before(async () => {
  copy = await mkdtemp(path.join(os.tmpdir(), 'fanwire-package-'));
  for (const name of ['lib', 'scripts', 'package.json', 'CMakeLists.txt']) {
    await cp(path.join(packageDir, name), path.join(copy, name), { recursive: true });
  }
});
after(() => rm(copy, { recursive: true, force: true }));

const build = (env) =>
  run(process.execPath, [path.join(copy, 'scripts/build.mjs')], { env: { PATH: process.env.PATH, ...env } });

test('no compiler, no cmake, no libraries: all of them are named at once', async () => {
  const { code, stderr } = await build({ PATH: '/nonexistent' });
  assert.equal(code, 1);
  assert.match(stderr, /cmake 3\.25 or newer/);
  assert.match(stderr, /apt-get install cmake g\+\+ make pkg-config libhiredis-dev libevent-dev libssl-dev\n/);
});

test('no libraries', async () => {
  const { code, stderr } = await build({ PKG_CONFIG_LIBDIR: '/nonexistent' });
  assert.equal(code, 1);
  assert.match(stderr, /hiredis 0\.14 or newer/);
  assert.match(stderr, /apt-get install libhiredis-dev libevent-dev libssl-dev\n/);
});

test('a copy of the package without the sources of the engine', async () => {
  const { code, stderr } = await build({});
  assert.equal(code, 1);
  assert.match(stderr, /C\+\+ sources are not where/);
  assert.match(stderr, /FANWIRE_SOURCE_DIR/);
  const wrong = await build({ FANWIRE_SOURCE_DIR: copy });
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /not a fanwire source tree/);
});

test('loading a package that was not built', async () => {
  const { code, stderr } = await run(process.execPath, ['--eval', `require(${JSON.stringify(copy)})`]);
  assert.equal(code, 1);
  assert.match(stderr, /fanwire is not built: .*fanwire\.node is missing/);
  assert.match(stderr, /node .*build\.mjs/);
});
