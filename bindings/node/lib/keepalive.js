'use strict';
// Open buses do not keep the process alive; somebody waiting for one does. Counts who waits, in this environment.

const addon = require('./addon.js');

let waiting = 0;

function acquire() {
  if (waiting++ === 0) addon.keepAlive(true);
}

function release() {
  if (--waiting === 0) addon.keepAlive(false);
}

module.exports = { acquire, release };
