// Builds build/fanwire.node with CMake: `npx fanwire build`.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { findNodeHeaders } from './headers.mjs';
import { missingRequirements } from './requirements.mjs';
import { findSources } from './sources.mjs';

const packageDir = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const buildDir = path.join(packageDir, 'build');

function fail(text) {
  console.error(`fanwire: ${text}`);
  process.exit(1);
}

function run(command, args) {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) fail(`cannot run ${command}: ${error.message}`);
  if (status !== 0) fail(`"${command} ${args.join(' ')}" ended with ${signal ?? `exit code ${status}`}; see above`);
}

// CMake refuses a cache made for another path, as after moving the checkout.
function dropForeignCache() {
  const cache = path.join(buildDir, 'CMakeCache.txt');
  if (!existsSync(cache)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1];
  if (home !== packageDir) rmSync(buildDir, { recursive: true, force: true });
}

const missing = missingRequirements();
if (missing.length > 0) {
  fail(
    `something that compiling the addon needs is missing:\n` +
      missing.map(({ what }) => `  - ${what}\n`).join('') +
      `On Debian or Ubuntu this installs it:\n` +
      `  apt-get install ${[...new Set(missing.map(({ debian }) => debian))].join(' ')}`,
  );
}

try {
  const sources = findSources(packageDir);
  dropForeignCache();
  const headers = findNodeHeaders(buildDir);
  console.log(`fanwire: building the addon from ${sources} with the Node headers in ${headers}`);
  run('cmake', ['-S', packageDir, '-B', buildDir, '-DCMAKE_BUILD_TYPE=Release', `-DFANWIRE_ROOT=${sources}`,
    `-DFANWIRE_NODE_INCLUDE=${headers}`,
    `-DFANWIRE_NODE_SHARED_OPENSSL=${process.config.variables.node_shared_openssl ? 'ON' : 'OFF'}`]);
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL || String(os.cpus().length);
  run('cmake', ['--build', buildDir, '--target', 'fanwire_node', '--parallel', jobs]);
} catch (error) {
  fail(error.message);
}
