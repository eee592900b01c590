'use strict';
// The packages of others that this face needs.

const { load } = require('../packages.js');

const kFace = 'fanwire/socket.io';

module.exports = {
  /** ClusterAdapter and Adapter, which socket.io itself depends on. */
  adapters: () => load(kFace, 'socket.io-adapter', 'socket.io'),
  /** {encode, decode} of the msgpack that Socket.IO's own adapters speak. */
  msgpack: () => load(kFace, 'notepack.io', '@socket.io/redis-adapter'),
};
