'use strict';
// Loads the native addon: the one that `npx fanwire build` made, or that of the package for this platform. Says what to do
// when there is neither.

const { existsSync } = require('node:fs');
const path = require('node:path');

// A bundler puts this file's text into another one; as an ES module that has no __dirname at all.
const here = typeof __dirname === 'string' ? __dirname : undefined;
const isBundled = here === undefined || !existsSync(path.join(here, 'addon.js'));
const built = isBundled ? undefined : path.join(here, '../build/fanwire.node');

// Each by a literal name, so that bundlers find it, and in a try of its own, so that they take a missing one for what it is:
// a package manager installs only the one whose os, cpu and libc fit.
const packages = {
  'linux-x64-gnu'() {
    try {
      return require('@fanwire/linux-x64-gnu');
    } catch (error) {
      return failed(error);
    }
  },
  'linux-x64-musl'() {
    try {
      return require('@fanwire/linux-x64-musl');
    } catch (error) {
      return failed(error);
    }
  },
  'linux-arm64-gnu'() {
    try {
      return require('@fanwire/linux-arm64-gnu');
    } catch (error) {
      return failed(error);
    }
  },
  'linux-arm64-musl'() {
    try {
      return require('@fanwire/linux-arm64-musl');
    } catch (error) {
      return failed(error);
    }
  },
};

const isMissing = (error) => error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND';

let failure; // of a package that is there

function failed(error) {
  if (!isMissing(error)) failure ??= error;
  return undefined;
}

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

function loadBuilt() {
  try {
    return require(built);
  } catch (cause) {
    throw new Error(`fanwire's addon ${built} cannot be loaded: ${cause.message}`, { cause });
  }
}

function notInstalled(names) {
  const platform = `${process.platform}-${process.arch}`;
  if (isBundled) {
    return `fanwire is bundled, and its native addon for ${platform} is not where the bundle can find it. Leave fanwire out ` +
      `of the bundle: mark "fanwire" as external (esbuild --external:fanwire, webpack externals, rollup external) and have ` +
      `it in node_modules where the bundle runs`;
  }
  if (names.length === 0) {
    return `fanwire has no ready-made addon for ${platform}; there are ${Object.keys(packages).join(', ')}. ` +
      `To compile one: npx fanwire build`;
  }
  return `fanwire's addon for ${platform} is not installed: it is in the package @fanwire/${names[0]}, an optional dependency ` +
    `of fanwire. It is missing when optional dependencies were left out (npm --omit=optional, yarn ` +
    `--ignore-optional), when node_modules was copied from another platform, or when a bundler left it out (mark ` +
    `"fanwire" as external). Install fanwire again on this machine, or compile the addon: npx fanwire build`;
}

function load() {
  if (!isBundled && existsSync(built)) return loadBuilt();
  const names = platforms();
  for (const name of names) {
    const addon = packages[name]();
    if (addon !== undefined) return addon;
  }
  if (failure === undefined) throw new Error(notInstalled(names));
  throw new Error(`fanwire's addon cannot be loaded: ${failure.message}`, { cause: failure });
}

module.exports = load();
