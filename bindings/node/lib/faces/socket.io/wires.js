'use strict';

const { ClassicWire } = require('./classic.js');
const { InterestWire } = require('./interest.js');
const { ShardedWire } = require('./sharded.js');

const wires = { interest: InterestWire, classic: ClassicWire, sharded: ShardedWire };

/** The class of the wire with this name. */
function wireNamed(name = 'interest') {
  if (Object.hasOwn(wires, name)) return wires[name];
  const known = Object.keys(wires).join(', ');
  throw new TypeError(`fanwire/socket.io has no wire ${JSON.stringify(name)}; it has ${known}`);
}

module.exports = { wireNamed };
