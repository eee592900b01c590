'use strict';
// The options of @ws-kit/redis-pubsub 1.0: which there are, and what the engine makes of them.

const { open } = require('../../index.js');
const { ClientBus } = require('../client.js');

const kAllowed = ['url', 'client', 'namespace', 'serializer', 'retry', 'maxSubscriptions', 'logger', 'isRetryable'];
const kDefaultUrl = 'redis://localhost:6379';
const kLongestConnectMs = 4000; // a `ready` settles within 5 s
const kFirstDelayMs = 100;
const kLongestDelayMs = 2000; // unless the options say otherwise

function checkOptions(options) {
  for (const key of Object.keys(options)) {
    if (!kAllowed.includes(key)) throw new TypeError(`Unknown option "${key}". Allowed options: ${kAllowed.join(', ')}`);
  }
  if (options.url && options.client) {
    throw new TypeError('Options "url" and "client" are mutually exclusive. Use one or the other.');
  }
  const { serializer } = options;
  const isKnown = serializer === undefined || ['json', 'text', 'binary'].includes(serializer);
  if (isKnown || (typeof serializer?.encode === 'function' && typeof serializer.decode === 'function')) return;
  throw new TypeError('Option "serializer" must be "json", "text", "binary" or an object with encode() and decode()');
}

/** "app:", " app " and the like are "app"; "" is none. */
function normalizeNamespace(namespace) {
  const normalized = (namespace ?? '').trim().replace(/[:_\s]+$/, '');
  if (normalized === '' || /^[A-Za-z0-9][A-Za-z0-9:_-]*$/.test(normalized)) return normalized;
  throw new TypeError(
    `Invalid namespace "${normalized}". Namespace must start with alphanumeric and contain only alphanumerics, colons, ` +
      'underscores, and hyphens.',
  );
}

// The namespace is the face's own.
const kCommon = { namespace: '', offline: 'fail', unsubscribeLingerMs: 0, connectTimeoutMs: kLongestConnectMs, reviveOnUse: true };

const within = (value, least, most) => (Number.isFinite(value) ? Math.min(Math.max(value, least), most) : undefined);

function openBus({ url, client, retry = {} }) {
  if (client) return new ClientBus(client);
  const { initialMs = kFirstDelayMs, factor, maxMs = kLongestDelayMs, jitter = 'full', maxAttempts } = retry;
  return open(url || kDefaultUrl, {
    ...kCommon,
    reconnectDelayMs: within(Math.round(Math.min(initialMs, maxMs)), 1, 3_600_000),
    reconnectFactor: within(factor, 1, 10),
    maxReconnectDelayMs: within(Math.round(maxMs), 1, 3_600_000),
    reconnectJitter: jitter,
    maxReconnectAttempts: maxAttempts === 'infinite' ? 0 : within(maxAttempts, 1, 1_000_000_000),
  });
}

module.exports = { checkOptions, normalizeNamespace, openBus, kCommon, kDefaultUrl, kFirstDelayMs, kLongestDelayMs };
