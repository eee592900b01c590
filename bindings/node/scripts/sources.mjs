// Where the engine's sources are. In a checkout they are two folders up; but some npm versions (and --install-links)
// copy this folder out of the checkout before they build it, and then npm says where it came from.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const isSourceTree = (dir) =>
  existsSync(path.join(dir, 'core/CMakeLists.txt')) && existsSync(path.join(dir, 'capi/include/fanwire/fanwire.h'));

function copiedFrom() {
  const resolved = process.env.npm_package_resolved;
  if (!resolved?.startsWith('file:')) return undefined;
  if (resolved.startsWith('file:///')) return fileURLToPath(resolved);
  return path.resolve(process.env.npm_config_local_prefix ?? process.cwd(), resolved.slice('file:'.length));
}

/** The root of the fanwire source tree that `packageDir` belongs to. */
export function findSources(packageDir) {
  const given = process.env.FANWIRE_SOURCE_DIR;
  if (given) {
    if (isSourceTree(given)) return path.resolve(given);
    throw new Error(`FANWIRE_SOURCE_DIR is ${given}, which is not a fanwire source tree`);
  }
  const origin = copiedFrom();
  const places = [packageDir, ...(origin ? [origin] : [])].map((dir) => path.resolve(dir, '../..'));
  const found = places.find(isSourceTree);
  if (found) return found;
  throw new Error(
    `the engine's C++ sources are not where this package expects them (${places.join(' or ')}).\n` +
      `The package is built inside a fanwire checkout: npm install <checkout>/bindings/node.\n` +
      `To build a copy of it elsewhere, set FANWIRE_SOURCE_DIR to the checkout.`,
  );
}
