// Where node_api.h is. npm does not install the dependencies of a package it links (npm install ./bindings/node), so
// the dependency on node-api-headers is only one of the places to look.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const hasHeader = (dir) => existsSync(path.join(dir, 'node_api.h'));

function fromDependency(from) {
  try {
    return createRequire(from).resolve('node-api-headers/include/node_api.h');
  } catch {
    return undefined;
  }
}

function candidates() {
  const dependency = fromDependency(import.meta.url);
  const nodedir = process.env.npm_config_nodedir ?? process.config.variables.nodedir;
  return [
    ...(dependency ? [path.dirname(dependency)] : []),
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
  const { dependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const [command, ...first] = npmCommand();
  mkdirSync(dir, { recursive: true });
  writeFileSync(path.join(dir, 'package.json'), '{"private": true}\n');
  console.log('fanwire: fetching the Node headers (npm package node-api-headers)');
  const { status, stderr } = spawnSync(
    command,
    [...first, 'install', '--prefix', dir, '--global=false', '--no-save', '--no-package-lock', '--no-audit', '--no-fund',
      `node-api-headers@${dependencies['node-api-headers']}`],
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
