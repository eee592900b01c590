'use strict';
// The scheduling functions that we need, as they are when this module is loaded. Fake timers of tests (Vitest, Jest,
// node:test) replace those of globalThis and of node:timers: a bus that called the fakes would stop for good.

const { setImmediate } = require('node:timers');

const { queueMicrotask } = globalThis;

module.exports = { setImmediate, queueMicrotask };
