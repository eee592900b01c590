'use strict';
// fanwire/orijs: the WebSocket providers of @orijs/websocket and @orijs/websocket-redis.

const { InProcWsProvider, createInProcWsProvider } = require('./inproc.js');
const { RedisWsProvider, createRedisWsProvider } = require('./redis.js');
const { validateTopic, validateSocketId, MAX_TOPIC_LENGTH, UUID_V4_REGEX } = require('./validation.js');

module.exports = {
  RedisWsProvider,
  createRedisWsProvider,
  InProcWsProvider,
  createInProcWsProvider,
  validateTopic,
  validateSocketId,
  MAX_TOPIC_LENGTH,
  UUID_V4_REGEX,
};
