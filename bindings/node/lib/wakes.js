'use strict';
// What the addon may wake in this environment, by number.

const addon = require('./addon.js');
const { makeError } = require('./errors.js');

const targets = new Map(); // id -> something with onWake(), or a WeakRef of it
let lastId = 0;

/** A new number for a target, until removeWake(). With `isWeak` this does not keep it from being collected. */
function addWake(target, isWeak) {
  do {
    lastId = (lastId % 0x7fffffff) + 1;
  } while (targets.has(lastId));
  targets.set(lastId, isWeak ? new WeakRef(target) : target);
  return lastId;
}

function removeWake(id) {
  targets.delete(id);
}

addon.setup((id) => {
  const target = targets.get(id);
  (typeof target?.deref === 'function' ? target.deref() : target)?.onWake();
}, makeError);

module.exports = { addWake, removeWake };
