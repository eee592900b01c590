'use strict';
// The packages of others that faces need. They are optional peers: whoever does not use a face has none of its own.

const { createRequire } = require('node:module');
const path = require('node:path');

const isMissing = (error) => error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND';

// "@scope/name/part" is of "@scope/name".
const packageOf = (name) => name.split('/').slice(0, name[0] === '@' ? 2 : 1).join('/');

/**
 * Like require(), also from the application's folders: where packages are linked, as by pnpm or in a workspace, this file's
 * own may not lead there. `through`: a package that depends on it; `face`: who needs it, for the error.
 */
function load(face, name, through) {
  const folders = [__dirname, ...(process.argv[1] === undefined ? [] : [path.dirname(process.argv[1])]), process.cwd()];
  for (const folder of folders) {
    const from = createRequire(path.resolve(folder, 'from.js'));
    for (const find of [() => from, () => createRequire(from.resolve(through))]) {
      try {
        return find()(name);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
  }
  throw new Error(`${face} needs the package ${packageOf(name)}: npm install ${packageOf(name)}`);
}

module.exports = { load };
