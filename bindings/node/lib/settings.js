'use strict';
// What connect() is given, as the text the engine's table of settings takes.

const addon = require('./addon.js');
const { makeError, kindOf } = require('./errors.js');

const names = new Set(addon.optionTable().map(({ name }) => name));

const snakeCase = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

// The engine takes NUL-terminated text: what it would not see must not be dropped in silence.
function checkNul(text, error) {
  if (text.includes('\0')) throw error();
  return text;
}

function urlText(url) {
  const text = url instanceof URL ? url.href : url;
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

// The table's name of a key. A key in neither spelling goes to the engine as it is, which refuses it by name.
function settingName(key) {
  const name = names.has(key) ? key : snakeCase(key);
  return names.has(name) ? name : checkNul(key, () => makeError('UNKNOWN_OPTION', 'the name holds a NUL character'));
}

/** [name, value, name, value, ...] of connect(url, settings). */
function settingPairs(url, settings) {
  const values = new Map();
  if (url !== undefined && url !== null) values.set('url', urlText(url));
  if (settings === undefined || settings === null) return [...values].flat();
  if (typeof settings !== 'object') {
    throw makeError('INVALID_ARGUMENT', `the settings must be an object, not ${kindOf(settings)}`);
  }
  for (const [key, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    const name = settingName(key);
    if (values.has(name)) throw makeError('INVALID_OPTION', `setting ${name} is given twice`);
    values.set(name, name === 'url' ? urlText(value) : valueText(key, value));
  }
  return [...values].flat();
}

/** A username or password as the addon takes it: null for none. What it is does not stand in the error. */
function checkCredential(name, value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') {
    throw makeError('INVALID_ARGUMENT', `the ${name} must be a string or null, not ${kindOf(value)}`);
  }
  return checkNul(value, () => makeError('INVALID_OPTION', `the ${name} holds a NUL character`));
}

module.exports = { settingPairs, checkCredential };
