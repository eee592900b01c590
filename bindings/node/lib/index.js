'use strict';

const addon = require('./addon.js');
const { Bus } = require('./bus.js');
const { encodeEnvelope, decodeEnvelope } = require('./envelope.js');
const { FanwireError, DecodeError, AbortError, errors, makeError } = require('./errors.js');
const { cleanJson } = require('./json.js');
const { parseOptions } = require('./settings.js');
const { onceAborted, throwIfAborted } = require('./signals.js');

/** open(url?, options?) or open(options): a bus at once, which connects in the background. */
function open(url, options) {
  const { signal, ...parsed } = parseOptions(url, options);
  if (signal === undefined) return new Bus(parsed);
  throw makeError('INVALID_ARGUMENT', 'signal is an option of connect(); what open() returns has close()');
}

/** connect(url?, options?) or connect(options): resolves to a connected bus, or rejects and leaves nothing open. */
async function connect(url, options) {
  const { signal, ...parsed } = parseOptions(url, options);
  throwIfAborted(signal, 'connect()');
  const bus = new Bus(parsed);
  try {
    await (signal === undefined ? bus.opened : unlessAborted(bus.opened, signal));
  } catch (error) {
    await bus.close({ timeout: 0 }).catch(() => {}); // what the caller is told is why it could not connect
    throw error;
  }
  return bus;
}

function unlessAborted(opened, signal) {
  return new Promise((resolve, reject) => {
    const stop = onceAborted(signal, () => reject(new AbortError('connect() was aborted', signal, false)));
    opened.then(resolve, reject).finally(stop);
  });
}

module.exports = {
  connect,
  open,
  cleanJson,
  encodeEnvelope,
  decodeEnvelope,
  FanwireError,
  DecodeError,
  AbortError,
  errors,
  version: addon.version(),
  dependencies: Object.freeze(addon.dependencies()),
  settings: Object.freeze(addon.optionTable().map(Object.freeze)),
  statuses: Object.freeze(addon.statusTable().map(Object.freeze)),
};
