'use strict';
// fanwire/ws-kit: @ws-kit/redis-pubsub 1.0 over a bus.

const { RedisPubSub, createRedisPubSub } = require('./pubsub.js');

// The spread stands here so that Node finds the names for `import { PublishError }`.
module.exports = { RedisPubSub, createRedisPubSub, ...require('./errors.js') };
