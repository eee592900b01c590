// Where the drivers' packages are: in the folder that FANWIRE_BENCH_PACKAGES names, or else next to this file.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const given = process.env.FANWIRE_BENCH_PACKAGES;
const folder = given && path.resolve(given);
if (folder !== undefined) process.env.FANWIRE_BENCH_PACKAGES = folder; // for processes that are started elsewhere
const require = createRequire(folder === undefined ? import.meta.url : path.join(folder, 'package.json'));

/** The module `name` of the installed packages; `fallback` is a file to take when there is no such package. */
export async function load(name, fallback) {
  try {
    return require(name);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ESM') return await import(pathToFileURL(require.resolve(name)).href);
    if (error.code !== 'MODULE_NOT_FOUND' || fallback === undefined) throw error;
    return await import(new URL(fallback, import.meta.url).href);
  }
}
