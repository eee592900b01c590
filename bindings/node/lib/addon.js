'use strict';
// Loads the native addon, and says what to do when that is not possible.

const { existsSync } = require('node:fs');
const path = require('node:path');

const file = path.join(__dirname, '../build/fanwire.node');

function load() {
  if (!existsSync(file)) {
    throw new Error(
      `fanwire is not built: ${file} is missing. It is compiled by the package's install script; when npm skipped ` +
        `that (--ignore-scripts, allowScripts), run: node ${path.join(__dirname, '../scripts/build.mjs')}`,
    );
  }
  try {
    return require(file);
  } catch (cause) {
    throw new Error(`fanwire's addon ${file} cannot be loaded: ${cause.message}`, { cause });
  }
}

module.exports = load();
