// What a user reads when the addon is missing, or cannot be compiled.
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { run } from './support/child.mjs';

const packageDir = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));
let copy; // of the package, outside the checkout and not built

before(async () => {
  copy = await mkdtemp(path.join(os.tmpdir(), 'fanwire-package-'));
  for (const name of ['bin', 'lib', 'scripts', 'package.json', 'CMakeLists.txt']) {
    await cp(path.join(packageDir, name), path.join(copy, name), { recursive: true });
  }
});
after(() => rm(copy, { recursive: true, force: true }));

const build = (env) =>
  run(process.execPath, [path.join(copy, 'bin/fanwire.mjs'), 'build'], { env: { PATH: process.env.PATH, ...env } });

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

test('the command says what it can do', async () => {
  const command = (...words) => run(process.execPath, [path.join(copy, 'bin/fanwire.mjs'), ...words]);
  const help = await command('--help');
  assert.equal(help.code, 0);
  assert.match(help.stdout, /npx fanwire build/);
  const { version } = createRequire(import.meta.url)('fanwire/package.json');
  assert.equal((await command('--version')).stdout, `${version}\n`);
  const wrong = await command('bild');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /there is no command "bild"/);
});

test('no addon for this platform is installed: the package that has it is named, and what to do', async () => {
  const { code, stderr } = await run(process.execPath, ['--eval', `require(${JSON.stringify(copy)})`]);
  assert.equal(code, 1);
  assert.match(stderr, /fanwire's addon for linux-\w+ is not installed: it is in the package @fanwire\/linux-\w+-(gnu|musl)/);
  assert.match(stderr, /--omit=optional/);
  assert.match(stderr, /npx fanwire build/);
});

test('bundled: the error says so, and what to do', async () => {
  const source = await readFile(path.join(copy, 'lib/addon.js'), 'utf8');
  for (const [how, script] of [
    ['in one file of another folder, as by esbuild', source],
    ['as an ES module, where there is no __dirname', `((require, module, __dirname) => { ${source} })(require, module)`],
    ['in the root, as by webpack', `((__dirname) => { ${source} })('/')`],
  ]) {
    const file = path.join(copy, 'bundle.cjs');
    await writeFile(file, script);
    const { code, stderr } = await run(process.execPath, [file]);
    assert.equal(code, 1, how);
    assert.match(stderr, /fanwire is bundled.*external/, how);
  }
});

test('a platform without a ready-made addon', async () => {
  const script = `Object.defineProperty(process, 'platform', { value: 'sunos' }); require(${JSON.stringify(copy)})`;
  const { code, stderr } = await run(process.execPath, ['--eval', script]);
  assert.equal(code, 1);
  assert.match(stderr, /no ready-made addon for sunos-\w+; there are linux-x64-gnu, /);
});

test('an addon that was compiled here is used instead of the ready-made one, and a broken one is named', async () => {
  await mkdir(path.join(copy, 'build'));
  await writeFile(path.join(copy, 'build/fanwire.node'), 'not an addon');
  const { code, stderr } = await run(process.execPath, ['--eval', `require(${JSON.stringify(copy)})`]);
  assert.equal(code, 1);
  assert.match(stderr, /build\/fanwire\.node cannot be loaded: /);
});

test('the package runs nothing when it is installed, and its parts are of its own version', () => {
  const main = createRequire(import.meta.url)('fanwire/package.json');
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) assert.equal(main.scripts[name], undefined);
  const parts = Object.entries(main.optionalDependencies ?? {});
  for (const [, version] of parts) assert.equal(version, main.version);
});
