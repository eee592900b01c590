'use strict';
// What both classes connect to.

const { open } = require('../../index.js');
const { ClientBus, isClient } = require('../client.js');
const { Link } = require('../link.js');

const kDefaults = {
  url: 'redis://localhost:6379',
  namespace: '', // it is a part of the topics
  offline: 'fail',
  unsubscribeLingerMs: 0,
  reconnectDelayMs: 100,
  maxReconnectDelayMs: 2000,
};

const isUrl = (value) => typeof value === 'string' || typeof value?.href === 'string';

/** The options in (url, options), (client, options) or (options): `url` or `client`, and others. */
function optionsOf(source, more) {
  if (isUrl(source)) return { ...more, url: source };
  if (isClient(source)) return { ...more, client: source };
  return { ...source };
}

/** `settings`: those of open(), or a client alone; `options` are Link's. */
function linkTo({ client, ...settings }, options) {
  if (client !== undefined) {
    if (!isClient(client)) throw new TypeError("client must be one of ioredis or redis, or Bun's RedisClient");
    const [name] = Object.keys(settings).filter((key) => settings[key] !== undefined);
    if (name !== undefined) throw new TypeError(`the option ${name} is a setting, and what connects was passed in`);
  }
  const openBus = () => {
    if (client !== undefined) return new ClientBus(client, { binary: true });
    return open({ ...kDefaults, ...settings, url: settings.url ?? kDefaults.url });
  };
  return new Link({ openBus, makeError: (_name, cause) => cause, ...options });
}

module.exports = { optionsOf, linkTo };
