'use strict';
// The JSON guard: "__proto__", "constructor" and "prototype" are taken out before JSON.parse makes objects of them.

const { isUint8Array, isSharedArrayBuffer } = require('node:util').types;

const addon = require('./addon.js');
const { makeError, kindOf } = require('./errors.js');

// What a key needs to be one of the three: its plain spelling, or an escape of one of its characters, all of which lie
// within U+005F..U+0079. Few texts have either; the addon looks closer at those.
const suspicious = /"(?:__proto__|constructor|prototype)"|\\u00[567]/;

// Up to this many characters the regular expression is done before the addon has been called; the addon scans faster.
const kShort = 512;

/** Whether JSON.parse() of this text may be called as it is, as far as can be told at once. */
function isHarmless(text) {
  return text.length <= kShort && !suspicious.test(text);
}

/** JSON.parse() of a text, cleaned; `bytes` is the same as UTF-8. */
function parseCleaned(text, bytes) {
  return JSON.parse(addon.cleanJsonBytes(bytes, 0, bytes.length)?.toString() ?? text);
}

/** The JSON in a string or Uint8Array, cleaned; the value itself when there is nothing to take out. */
function cleanJson(json) {
  if (typeof json === 'string') return suspicious.test(json) ? addon.cleanJsonText(json) ?? json : json;
  // Other threads may write to shared memory while the addon looks at it: it gets a copy.
  if (isUint8Array(json) && isSharedArrayBuffer(json.buffer)) {
    const own = Buffer.from(json);
    return addon.cleanJsonBytes(own, 0, own.length) ?? json;
  }
  if (isUint8Array(json)) return addon.cleanJsonBytes(json, 0, json.length) ?? json;
  throw makeError('INVALID_ARGUMENT', `the JSON must be a string or a Uint8Array, not ${kindOf(json)}`);
}

module.exports = { cleanJson, isHarmless, parseCleaned };
