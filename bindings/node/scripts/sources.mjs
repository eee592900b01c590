// Where the engine's sources are: in a checkout two folders up, in an installed package in its folder sources/. Some npm
// versions (and --install-links) copy this folder out of the checkout; FANWIRE_SOURCE_DIR says then where that is.
import { existsSync } from 'node:fs';
import path from 'node:path';

const isSourceTree = (dir) =>
  existsSync(path.join(dir, 'core/CMakeLists.txt')) && existsSync(path.join(dir, 'capi/include/fanwire/fanwire.h'));

/** The root of the fanwire source tree that `packageDir` belongs to. */
export function findSources(packageDir) {
  const given = process.env.FANWIRE_SOURCE_DIR;
  if (given) {
    if (isSourceTree(given)) return path.resolve(given);
    throw new Error(`FANWIRE_SOURCE_DIR is ${given}, which is not a fanwire source tree`);
  }
  const places = [path.join(packageDir, 'sources'), path.resolve(packageDir, '../..')];
  const found = places.find(isSourceTree);
  if (found) return found;
  throw new Error(
    `the engine's C++ sources are not where this package expects them (${places.join(' or ')}).\n` +
      `To build a copy of it elsewhere, set FANWIRE_SOURCE_DIR to a checkout of fanwire.`,
  );
}
