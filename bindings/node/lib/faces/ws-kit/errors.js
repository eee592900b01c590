'use strict';
// The errors of @ws-kit/redis-pubsub 1.0.

class PubSubError extends Error {
  constructor(message, { code = 'PUBLISH_FAILED', retryable = false, cause, channel } = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.retryable = retryable;
    if (cause !== undefined) this.cause = cause;
    this.channel = channel;
  }
}

class PublishError extends PubSubError {
  constructor(message, options) {
    super(message, { ...options, code: 'PUBLISH_FAILED' });
  }
}

class SubscribeError extends PubSubError {
  constructor(message, options) {
    super(message, { ...options, code: 'SUBSCRIBE_FAILED' });
  }
}

class SerializationError extends PubSubError {
  constructor(message, options) {
    super(message, { ...options, code: 'SERIALIZATION_ERROR' });
  }
}

class DeserializationError extends PubSubError {
  constructor(message, options) {
    super(message, { ...options, code: 'DESERIALIZATION_ERROR' });
  }
}

class DisconnectedError extends PubSubError {
  constructor(message, options) {
    super(message, { retryable: true, ...options, code: 'DISCONNECTED' });
  }
}

class ConfigurationError extends PubSubError {
  constructor(message, options) {
    super(message, { ...options, code: 'CONFIGURATION_ERROR' });
  }
}

class MaxSubscriptionsExceededError extends PubSubError {
  constructor(message, limit) {
    super(message, { code: 'MAX_SUBSCRIPTIONS_EXCEEDED' });
    this.limit = limit;
  }
}

module.exports = {
  PubSubError,
  PublishError,
  SubscribeError,
  SerializationError,
  DeserializationError,
  DisconnectedError,
  ConfigurationError,
  MaxSubscriptionsExceededError,
};
