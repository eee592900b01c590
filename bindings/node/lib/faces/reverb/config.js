'use strict';
// The configuration of Laravel's Redis connections: what the environment says, and what the engine makes of it.

const kDefaultUrl = 'redis://127.0.0.1:6379';
const kDefaultTimeoutS = 60;
const kRedisSchemes = ['redis:', 'rediss:', 'tcp:', 'tls:'];
const kSecure = ['tls', 'rediss'];

// What Laravel's env() makes of the words that .env files have.
const words = { null: undefined, '(null)': undefined, empty: '', '(empty)': '' };

const variable = (env, name) => (Object.hasOwn(words, env[name] ?? '') ? words[env[name]] : env[name]);
const isTrue = (text) => ['true', '(true)', '1', 'yes', 'on'].includes(text.trim().toLowerCase());

/** The server's configuration under `scaling`, as config/reverb.php makes it of the environment. */
function loadScalingConfig(env = process.env) {
  return {
    enabled: isTrue(variable(env, 'REVERB_SCALING_ENABLED') ?? ''),
    channel: variable(env, 'REVERB_SCALING_CHANNEL') || 'reverb',
    server: {
      url: variable(env, 'REDIS_URL'),
      host: variable(env, 'REDIS_HOST') || '127.0.0.1',
      port: variable(env, 'REDIS_PORT') || '6379',
      username: variable(env, 'REDIS_USERNAME'),
      password: variable(env, 'REDIS_PASSWORD'),
      database: variable(env, 'REDIS_DB') || '0',
      timeout: Number(variable(env, 'REDIS_TIMEOUT') || kDefaultTimeoutS),
    },
  };
}

/** What is configured; when that is nothing, what the environment says, where scaling may be switched off, unless `hasClient`. */
function serverOf(server, hasClient) {
  const given = typeof server === 'string' ? { url: server } : server;
  if (given !== undefined && given !== null && Object.keys(given).length > 0) return given;
  const { enabled, server: found } = loadScalingConfig();
  return { ...found, enabled: hasClient || enabled || !variable(process.env, 'REVERB_SCALING_ENABLED') };
}

/** Seconds for which a publish waits for Redis, at most what the engine counts. */
function timeoutOf({ timeout }) {
  const seconds = Number(timeout === '' ? kDefaultTimeoutS : timeout ?? kDefaultTimeoutS);
  if (seconds >= 0) return seconds;
  throw new TypeError(`timeout must be a number of seconds, not ${timeout}`);
}

// What the URL says has precedence over the other fields. `whole`: a URL that the engine is to read.
function connectionOf(server) {
  const { url: text, host, port, username, password, database } = server;
  const scheme = String(server.driver || server.scheme || '').toLowerCase();
  const found = { isSecure: kSecure.includes(scheme), host, port, username, password, database, rest: {} };
  if (!text) return found;
  const url = asUrl(text);
  if (!kRedisSchemes.includes(url?.protocol)) return { whole: text, rest: {} };
  const { username: user, password: secret, database: named, db = named, timeout: connectTimeoutMs, ...rest } = Object.fromEntries(
    url.searchParams,
  );
  const parts = {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port,
    username: user || decoded(url.username),
    password: secret || decoded(url.password),
    database: db || url.pathname.slice(1),
  };
  for (const [key, value] of Object.entries(parts)) if (value) found[key] = value;
  found.isSecure = kSecure.includes(url.protocol.slice(0, -1));
  found.rest = { ...rest, ...(connectTimeoutMs && { connectTimeoutMs }) };
  return found;
}

const asUrl = (text) => {
  try {
    return new URL(text);
  } catch {
    return undefined; // whoever opens it says what is wrong with it
  }
};

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** The settings of a bus. Those of TLS are taken as they are named there: tlsCaFile and so on. */
function settingsOf(server) {
  const { whole, isSecure, host, port, username, password, database, rest } = connectionOf(server);
  const tls = Object.fromEntries(Object.entries(server).filter(([key]) => /^tls[A-Z]/.test(key)));
  if (whole !== undefined) return { ...tls, url: whole };
  const settings = { url: kDefaultUrl, tls: isSecure, ...tls, ...rest };
  const parts = { host, port, username, password: password ? String(password) : undefined, db: database };
  for (const [key, value] of Object.entries(parts)) if (value) settings[key] = value;
  return settings;
}

/** The URL that factories of clients are called with, as Laravel writes it. */
function redisUrlOf(server) {
  const { whole, isSecure, host = '127.0.0.1', port, username, password, database } = connectionOf(server);
  if (whole !== undefined) return whole;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ username, password, db: database })) {
    if (value && value !== '0') query.set(name, value);
  }
  const address = host.includes(':') ? `[${host}]` : host;
  return `redis${isSecure ? 's' : ''}://${address}:${port || 6379}?${query}`.replace(/\?$/, '');
}

module.exports = { loadScalingConfig, serverOf, timeoutOf, settingsOf, redisUrlOf };
