'use strict';
// Loads the native addon: the one that `npx fanwire build` made, or that of the package for this platform. Says what to do
// when there is neither.

const { existsSync } = require('node:fs');
const path = require('node:path');

const built = path.join(__dirname, '../build/fanwire.node');

// Each by a literal name, so that bundlers find them; a package manager installs the one whose os, cpu and libc fit.
const packages = {
  'linux-x64-gnu': () => require('@fanwire/linux-x64-gnu'),
  'linux-x64-musl': () => require('@fanwire/linux-x64-musl'),
  'linux-arm64-gnu': () => require('@fanwire/linux-arm64-gnu'),
  'linux-arm64-musl': () => require('@fanwire/linux-arm64-musl'),
};

// A report names the glibc that runs; on musl it has none. Asking for it must not look up the host's network.
function usesGlibc() {
  try {
    const { report } = process;
    report.excludeNetwork = true;
    return report.getReport().header.glibcVersionRuntime !== undefined;
  } catch {
    return undefined; // not told: both are tried
  }
}

/** The platform packages to try, the likeliest first: some package managers ignore `libc` and install two of them. */
function platforms() {
  if (process.platform !== 'linux') return [];
  const gnu = `linux-${process.arch}-gnu`;
  const musl = `linux-${process.arch}-musl`;
  return (usesGlibc() === false ? [musl, gnu] : [gnu, musl]).filter((name) => name in packages);
}

const isMissing = (error) => error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND';

function loadBuilt() {
  try {
    return require(built);
  } catch (cause) {
    throw new Error(`fanwire's addon ${built} cannot be loaded: ${cause.message}`, { cause });
  }
}

function notInstalled(names) {
  const here = `${process.platform}-${process.arch}`;
  if (names.length === 0) {
    return `fanwire has no ready-made addon for ${here}; there are ${Object.keys(packages).join(', ')}. ` +
      `To compile one: npx fanwire build`;
  }
  return `fanwire's addon for ${here} is not installed: it is in the package @fanwire/${names[0]}, an optional dependency ` +
    `of fanwire. It is missing when optional dependencies were left out (npm --omit=optional, yarn ` +
    `--ignore-optional), when node_modules was copied from another platform, or when a bundler left it out (mark ` +
    `"fanwire" as external). Install fanwire again on this machine, or compile the addon: npx fanwire build`;
}

function load() {
  if (existsSync(built)) return loadBuilt();
  const names = platforms();
  let failure;
  for (const name of names) {
    try {
      return packages[name]();
    } catch (error) {
      if (!isMissing(error)) failure ??= new Error(`@fanwire/${name} cannot be loaded: ${error.message}`, { cause: error });
    }
  }
  throw failure ?? new Error(notInstalled(names));
}

module.exports = load();
