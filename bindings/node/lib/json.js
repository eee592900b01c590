'use strict';
// The JSON guard: "__proto__", "constructor" and "prototype" are taken out before JSON.parse makes objects of them.

const addon = require('./addon.js');
const { makeError, kindOf } = require('./errors.js');

// What a key needs to be one of the three: its plain spelling, or an escape of one of its characters, all of which lie
// within U+005F..U+0079. Few texts have either; the addon looks closer at those.
const suspicious = /"(?:__proto__|constructor|prototype)"|\\u00[567]/;

// Up to this many bytes the regular expression is done before the addon has been called; the addon scans faster.
const kShort = 512;

/** JSON.parse() of `size` bytes from `start` on, cleaned; `text` gives them as a string. */
function parseCleaned(bytes, start, size, text) {
  if (size <= kShort && !suspicious.test(text)) return JSON.parse(text);
  return JSON.parse(addon.cleanJsonBytes(bytes, start, size)?.toString() ?? text);
}

/** The JSON in a string or Uint8Array, cleaned; the value itself when there is nothing to take out. */
function cleanJson(json) {
  if (typeof json === 'string') return suspicious.test(json) ? addon.cleanJsonText(json) ?? json : json;
  // Other threads may write to shared memory while the addon looks at it: it gets a copy.
  if (json instanceof Uint8Array && json.buffer instanceof SharedArrayBuffer) {
    const own = Buffer.from(json);
    return addon.cleanJsonBytes(own, 0, own.length) ?? json;
  }
  if (json instanceof Uint8Array) return addon.cleanJsonBytes(json, 0, json.length) ?? json;
  throw makeError('INVALID_ARGUMENT', `the JSON must be a string or a Uint8Array, not ${kindOf(json)}`);
}

module.exports = { cleanJson, parseCleaned };
