'use strict';
// What connect() and open() are given: the settings as the text the engine's table takes, and the options of this package.

const addon = require('./addon.js');
const { codecOf } = require('./codecs.js');
const { makeError, kindOf } = require('./errors.js');
const { checkSignal } = require('./signals.js');

const names = new Set(addon.optionTable().map(({ name }) => name));

const snakeCase = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camelCase = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

// Options that are none of the engine's.
const ours = ['signal', 'log', 'codec'];
const kMostWrongLetters = 2; // with three it is another word

// The engine takes NUL-terminated text: what it would not see must not be dropped in silence.
function checkNul(text, error) {
  if (text.includes('\0')) throw error();
  return text;
}

// A URL object of whatever realm or library.
const isUrl = (value) => typeof value === 'object' && value !== null && typeof value.href === 'string';

function urlText(url) {
  const text = isUrl(url) ? url.href : url;
  if (typeof text !== 'string') throw makeError('INVALID_URL', `the URL must be a string, not ${kindOf(url)}`);
  return checkNul(text, () => makeError('INVALID_URL', 'the URL holds a NUL character'));
}

function valueText(key, value) {
  switch (typeof value) {
    case 'string':
      return checkNul(value, () => makeError('INVALID_OPTION', `setting ${key}: the value holds a NUL character`));
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      throw makeError('INVALID_OPTION', `setting ${key}: must be a string, number or boolean, not ${kindOf(value)}`);
  }
}

// How many letters to change, add or leave out to make one of the other.
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; ++i) {
    const next = [i];
    for (let j = 1; j <= b.length; ++j) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

// The option that was probably meant, as it is spelled here.
function nearest(key) {
  if (key.length > 64) return undefined;
  const plain = camelCase(key.toLowerCase() === key ? key : snakeCase(key));
  let best = kMostWrongLetters + 1;
  let found;
  for (const name of [...[...names].map(camelCase), ...ours]) {
    const distance = Math.min(editDistance(plain, name), editDistance(key, name));
    if (distance < best) [best, found] = [distance, name];
  }
  return found;
}

// The table's name of a key. A key in neither spelling, and like none, goes to the engine, which knows those of other
// clients and refuses it by name.
function settingName(key) {
  const name = names.has(key) ? key : snakeCase(key);
  if (names.has(name)) return name;
  checkNul(key, () => makeError('UNKNOWN_OPTION', 'the name holds a NUL character'));
  const meant = nearest(key);
  if (meant === undefined) return key;
  throw makeError('UNKNOWN_OPTION', `there is no setting "${key}"; did you mean "${meant}"?`);
}

function checkLog(log) {
  if (typeof log === 'function') return log;
  throw makeError('INVALID_ARGUMENT', `the option log must be a function, not ${kindOf(log)}`);
}

const checks = { signal: checkSignal, log: checkLog, codec: codecOf };

/** {pairs: [name, value, name, value, ...], signal, log, codec} of connect(url, options) or connect(options). */
function parseOptions(url, options) {
  if ((options === undefined || options === null) && typeof url === 'object' && !isUrl(url)) [url, options] = [null, url];
  const values = new Map();
  const parsed = {};
  if (url !== undefined && url !== null) values.set('url', urlText(url));
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw makeError('INVALID_ARGUMENT', `the settings must be an object, not ${kindOf(options)}`);
  }
  for (const [key, value] of Object.entries(options ?? {})) {
    if (value === undefined || value === null) continue;
    if (Object.hasOwn(checks, key)) {
      parsed[key] = checks[key](value);
      continue;
    }
    const name = settingName(key);
    if (values.has(name)) throw makeError('INVALID_OPTION', `setting ${name} is given twice`);
    values.set(name, name === 'url' ? urlText(value) : valueText(key, value));
  }
  return { ...parsed, pairs: [...values].flat() };
}

/** A username or password as the addon takes it: null for none. What it is does not stand in the error. */
function checkCredential(name, value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') {
    throw makeError('INVALID_ARGUMENT', `the ${name} must be a string or null, not ${kindOf(value)}`);
  }
  return checkNul(value, () => makeError('INVALID_OPTION', `the ${name} holds a NUL character`));
}

/**
 * The options of a call, which may be left out: an object with some of the fields of `known`, each of which has a function
 * that checks it. Unset ones are undefined.
 */
function callOptions(what, options, known) {
  const result = {};
  if (options === undefined || options === null) return result;
  if (typeof options !== 'object') {
    throw makeError('INVALID_ARGUMENT', `the options of ${what} must be an object, not ${kindOf(options)}`);
  }
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, key)) {
      const all = Object.keys(known).map((name) => `"${name}"`).join(' and ');
      throw makeError('INVALID_ARGUMENT', `${what} has no option "${key}"; it has ${all}`);
    }
    if (value !== undefined && value !== null) result[key] = known[key](value);
  }
  return result;
}

/** A number of milliseconds. */
function checkTimeout(timeout) {
  if (typeof timeout === 'number' && timeout >= 0) return timeout;
  throw makeError('INVALID_ARGUMENT',
    `timeout must be a number of milliseconds, not ${kindOf(timeout)} ${String(timeout)}`);
}

module.exports = { parseOptions, callOptions, checkTimeout, checkCredential };
