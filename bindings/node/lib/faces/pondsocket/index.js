'use strict';
// fanwire/pondsocket: the distributed PubSub of PondSocket, and the backend of its server for Node.

const { DistributedMessageType, RedisDistributedBackend } = require('./backend.js');
const { PondError, PubSubClosedError } = require('./errors.js');
const { createRedisPubSub, RedisPubSub } = require('./pubsub.js');
const { formatChannelTopic, formatHeartbeatTopic, formatTopic, matchTopic } = require('./topics.js');

module.exports = {
  RedisPubSub,
  createRedisPubSub,
  RedisDistributedBackend,
  DistributedMessageType,
  PondError,
  PubSubClosedError,
  formatTopic,
  formatChannelTopic,
  formatHeartbeatTopic,
  matchTopic,
};
