'use strict';
// What keeps the process alive: promises that are pending, and buses with subscriptions that have a handler. Counts them
// in this environment.

const addon = require('./addon.js');

let waiting = 0;

function acquire() {
  if (waiting++ === 0) addon.keepAlive(true);
}

function release() {
  if (--waiting === 0) addon.keepAlive(false);
}

const held = new Map(); // what is waited for, and by how many

/** acquire(), and `owner` cannot be collected until it is let go: promises do not refer to what will settle them. */
function hold(owner) {
  held.set(owner, (held.get(owner) ?? 0) + 1);
  acquire();
}

/** Undoes hold(). */
function letGo(owner) {
  const count = held.get(owner);
  if (count === 1) held.delete(owner);
  else held.set(owner, count - 1);
  release();
}

module.exports = { acquire, release, hold, letGo };
