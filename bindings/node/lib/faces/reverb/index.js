'use strict';
// fanwire/reverb: the Redis provider of Laravel Reverb, and of its ports to JavaScript, over a bus.

const { loadScalingConfig } = require('./config.js');
const { RedisConnectionException } = require('./errors.js');
const { RedisClientFactory } = require('./factory.js');
const { RedisPubSubProvider } = require('./provider.js');

module.exports = { RedisPubSubProvider, RedisClientFactory, RedisConnectionException, loadScalingConfig };
