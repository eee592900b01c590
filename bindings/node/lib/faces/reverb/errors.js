'use strict';

class RedisConnectionException extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'RedisConnectionException';
  }

  /** `timeout`: the seconds of the server's configuration. */
  static failedAfter(name, timeout, options) {
    const text = `Failed to connect to Redis connection [${name}] after retrying for ${timeout}s.`;
    return new RedisConnectionException(text, options);
  }
}

const textOf = (error) => (error instanceof Error ? error.message : String(error));

const creationError = (cause) => new Error(`Failed to create Redis client: ${textOf(cause)}`, { cause });

module.exports = { RedisConnectionException, textOf, creationError };
