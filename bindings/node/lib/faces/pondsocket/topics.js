'use strict';
// The names of topics, and the one wildcard there is: ".*" at the end of a pattern stands for anything, or nothing.

const kWildcard = '.*';
const kDefaults = { namespace: 'default', prefix: 'pondsocket' };

/** What a topic has to begin with; undefined when the pattern is a topic. */
function prefixOf(pattern) {
  return pattern.length > kWildcard.length && pattern.endsWith(kWildcard) ? pattern.slice(0, -kWildcard.length) : undefined;
}

function matchTopic(pattern, topic) {
  const prefix = prefixOf(pattern);
  return prefix === undefined ? topic === pattern : topic.startsWith(prefix);
}

/** The same as a pattern of Redis, to which some characters mean more. */
const globOf = (prefix) => `${prefix.replace(/[*?[\\]/g, '\\$&')}*`;

const formatTopic = (endpoint, channel, event) => `pondsocket:${endpoint}:${channel}:${event}`;

/** An endpoint in topics and messages of version 1, in which it begins with no slash. */
const cleanEndpoint = (endpoint) => endpoint.replace(/^\/+/, '');

function formatChannelTopic(endpoint, channel, { namespace = kDefaults.namespace, prefix = kDefaults.prefix } = {}) {
  return `${prefix}:v1:${namespace}:${cleanEndpoint(endpoint)}:${channel}`;
}

function formatHeartbeatTopic({ namespace = kDefaults.namespace, prefix = kDefaults.prefix } = {}) {
  return `${prefix}:v1:${namespace}:__heartbeat__`;
}

module.exports = { prefixOf, matchTopic, globOf, cleanEndpoint, formatTopic, formatChannelTopic, formatHeartbeatTopic };
