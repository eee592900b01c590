'use strict';

const addon = require('./addon.js');
const { codeOf } = require('./errors.js');

const { verdicts } = addon.constants();

/** What bus.health() gives, of what the addon gives. */
function healthOf({ verdict, status, ...rest }) {
  const word = verdicts[verdict];
  return { ok: word === 'ok', verdict: word, code: codeOf(status), ...rest };
}

module.exports = { healthOf };
