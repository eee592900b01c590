// Where node_api.h is. The addon needs no more of Node than that, and any version of it does.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

// The npm package of the headers, for when the system has none.
const kHeaders = '^1.5.0';

const hasHeader = (dir) => existsSync(path.join(dir, 'node_api.h'));

function candidates() {
  const nodedir = process.env.npm_config_nodedir ?? process.config.variables.nodedir;
  return [
    path.resolve(path.dirname(process.execPath), '../include/node'),
    ...(nodedir ? [path.join(nodedir, 'include/node')] : []),
    '/usr/include/node',
    '/usr/include/nodejs/src',
    path.join(os.homedir(), '.cache/node-gyp', process.versions.node, 'include/node'),
  ];
}

// The npm that runs us, or the one on the PATH when another package manager does.
function npmCommand() {
  const script = process.env.npm_execpath;
  return script && path.basename(script) === 'npm-cli.js' ? [process.execPath, script] : ['npm'];
}

function install(dir) {
  const [command, ...first] = npmCommand();
  mkdirSync(dir, { recursive: true });
  writeFileSync(path.join(dir, 'package.json'), '{"private": true}\n');
  console.log('fanwire: fetching the Node headers (npm package node-api-headers)');
  const { status, stderr } = spawnSync(
    command,
    [...first, 'install', '--prefix', dir, '--global=false', '--no-save', '--no-package-lock', '--no-audit', '--no-fund',
      `node-api-headers@${kHeaders}`],
    { cwd: dir, stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' },
  );
  if (status === 0) return path.join(dir, 'node_modules/node-api-headers/include');
  throw new Error(
    `node_api.h was not found, and the npm package node-api-headers, which has it, could not be installed:\n` +
      `${(stderr ?? '').trim()}\nOn Debian "apt-get install libnode-dev" gives it too.`,
  );
}

/** The folder that holds node_api.h; `buildDir` is where it may be put when the system has none. */
export function findNodeHeaders(buildDir) {
  const found = candidates().find(hasHeader);
  if (found) return found;
  const dir = path.join(buildDir, 'headers');
  const kept = path.join(dir, 'node_modules/node-api-headers/include');
  const headers = hasHeader(kept) ? kept : install(dir);
  if (!hasHeader(headers)) throw new Error(`node_api.h is not in ${headers}`);
  return headers;
}
