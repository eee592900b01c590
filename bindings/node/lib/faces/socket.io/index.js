'use strict';
// fanwire/socket.io: an adapter for socket.io 4.7 and later.

const { makeAdapter } = require('./adapter.js');
const { Link } = require('./link.js');
const { adapters, msgpack } = require('./packages.js');
const { wireNamed } = require('./wires.js');

let Adapter; // the class, once it is needed

/**
 * createAdapter(busOrUrl, options): what the option `adapter` of a Socket.IO server takes. Options that are none of
 * the adapter's are settings of the bus that it opens.
 */
function createAdapter(busOrUrl, options) {
  const {
    wire, key, requestsTimeout, notifyClients, publishOnSpecificResponseChannel, subscriptionMode, parser, ...settings
  } = options ?? {};
  const known = {
    Wire: wireNamed(wire), msgpack: parser ?? msgpack(),
    key, requestsTimeout, notifyClients, publishOnSpecificResponseChannel, subscriptionMode,
  };
  const link = new Link(busOrUrl, settings, { isSharded: known.Wire.isSharded });
  Adapter ??= makeAdapter(adapters());
  // Socket.IO calls it with `new`.
  return function FanwireAdapterFactory(nsp) {
    return new Adapter(nsp, link, known);
  };
}

module.exports = { createAdapter };
