'use strict';

/** An error of PondSocket; `code` is a status of HTTP. */
class PondError extends Error {
  constructor(text, code, { channelName = '', temporary = false, cause } = {}) {
    super(channelName === '' ? `${text} (code: ${code})` : `Error in Channel ${channelName}: ${text} (code: ${code})`);
    this.name = 'PondError';
    this.code = code;
    this.channelName = channelName;
    this.temporary = temporary;
    if (cause !== undefined) this.cause = cause;
  }
}

class PubSubClosedError extends Error {
  constructor() {
    super('pubsub: closed');
    this.name = 'PubSubClosedError';
  }
}

const kNotFound = 404;
const kUnavailable = 503;

const notFound = () => new PondError('pattern not found', kNotFound, { channelName: 'pubsub' });

/** That Redis is away, or refuses. */
function unavailable(text, cause) {
  const temporary = cause?.retryable !== false;
  return new PondError(`${text}: ${cause?.message ?? cause}`, kUnavailable, { channelName: 'pubsub', temporary, cause });
}

module.exports = { PondError, PubSubClosedError, notFound, unavailable };
