'use strict';
// AbortSignals, of whatever realm or library.

const { AbortError, makeError, kindOf } = require('./errors.js');

/** An AbortSignal as it is given. */
function checkSignal(signal) {
  if (typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function') return signal;
  throw makeError('INVALID_ARGUMENT', `the signal must be an AbortSignal, not ${kindOf(signal)}`);
}

/** Calls `onAbort` when the signal is aborted, until the function that it returns is called. */
function onceAborted(signal, onAbort) {
  signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

/** Throws when the signal has been aborted already: nothing has happened then. */
function throwIfAborted(signal, what) {
  if (signal?.aborted) throw new AbortError(`${what} was aborted before it began`, signal, false);
}

module.exports = { checkSignal, onceAborted, throwIfAborted };
