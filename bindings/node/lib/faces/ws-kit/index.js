'use strict';
// fanwire/ws-kit: @ws-kit/redis-pubsub 1.0 over a bus.

const {
  PubSubError,
  PublishError,
  SubscribeError,
  SerializationError,
  DeserializationError,
  DisconnectedError,
  ConfigurationError,
  MaxSubscriptionsExceededError,
} = require('./errors.js');
const { RedisPubSub, createRedisPubSub } = require('./pubsub.js');

module.exports = {
  RedisPubSub,
  createRedisPubSub,
  PubSubError,
  PublishError,
  SubscribeError,
  SerializationError,
  DeserializationError,
  DisconnectedError,
  ConfigurationError,
  MaxSubscriptionsExceededError,
};
