'use strict';
// The packages of others that this face needs. They are optional peers: whoever does not use Socket.IO has none of
// them.

const { createRequire } = require('node:module');
const path = require('node:path');

const isMissing = (error) => error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND';

// Like require(), also from the application's folders: where packages are linked, as by pnpm or in a workspace, this
// file's own may not lead there. `through`: a package that depends on it.
function load(name, through) {
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
  throw new Error(`fanwire/socket.io needs the package ${name}: npm install ${name}`);
}

module.exports = {
  /** ClusterAdapter and Adapter, which socket.io itself depends on. */
  adapters: () => load('socket.io-adapter', 'socket.io'),
  /** {encode, decode} of the msgpack that Socket.IO's own adapters speak. */
  msgpack: () => load('notepack.io', '@socket.io/redis-adapter'),
};
