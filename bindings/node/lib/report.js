'use strict';
// Errors of the user's own code, called from the middle of a batch: the rest of the batch must still be delivered.

const { queueMicrotask } = require('./runtime.js');

/** Makes an error an uncaught exception, once the code that runs now has finished. */
function throwLater(error) {
  queueMicrotask(() => {
    throw error;
  });
}

/** emitter.emit(), with what listeners throw made an uncaught exception. */
function emitSafely(emitter, event, ...args) {
  try {
    emitter.emit(event, ...args);
  } catch (error) {
    throwLater(error);
  }
}

/** An error of a handler: a 'handlerError' event if somebody listens, an uncaught exception if not. */
function reportHandlerError(bus, error, context) {
  if (bus.listenerCount('handlerError') > 0) emitSafely(bus, 'handlerError', error, context);
  else throwLater(error);
}

/** Calls a function of the user, with what it throws made an uncaught exception. */
function callSafely(callback, ...args) {
  try {
    callback(...args);
  } catch (error) {
    throwLater(error);
  }
}

/** A line on stderr, or whatever the process does with its warnings. */
function warn(text) {
  process.emitWarning(text, 'FanwireWarning');
}

module.exports = { emitSafely, callSafely, reportHandlerError, warn };
