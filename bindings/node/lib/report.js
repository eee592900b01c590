'use strict';
// Errors of the user's own code, called from the middle of a batch: the rest of the batch must still be delivered.

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

/** An error of a handler: an 'error' event if somebody listens, an uncaught exception if not. */
function reportHandlerError(bus, error, context) {
  if (bus.listenerCount('error') > 0) emitSafely(bus, 'error', error, context);
  else throwLater(error);
}

module.exports = { emitSafely, reportHandlerError };
