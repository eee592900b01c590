'use strict';
// The error classes, made from the engine's table of status codes.

const addon = require('./addon.js');

const table = addon.statusTable();
const rows = table.filter(({ status }) => status !== 0);
const byStatus = new Map(rows.map((row) => [row.status, row]));
const byCode = new Map(rows.map((row) => [row.code, row]));
const unknown = { status: -1, code: 'UNKNOWN', text: 'unknown status', retryable: false };

/** What every failure of fanwire is an instance of. */
class FanwireError extends Error {
  constructor(row, message, options) {
    super(message || row.text, options);
    this.code = row.code;
    this.status = row.status;
    this.retryable = row.retryable;
    this.mayHaveHappened = row.code === 'OUTCOME_UNKNOWN';
  }
}
setName(FanwireError, 'FanwireError');

function setName(type, name) {
  Object.defineProperty(type.prototype, 'name', { value: name, writable: true, configurable: true });
}

// CONNECT_FAILED -> ConnectFailedError, REDIS_ERROR -> RedisError
function classNameOf(code) {
  const words = code.replace(/_ERROR$/, '').toLowerCase().split('_');
  return `${words.map((word) => word[0].toUpperCase() + word.slice(1)).join('')}Error`;
}

const errors = {};
const classes = new Map();
for (const { code } of rows) {
  const name = classNameOf(code);
  errors[name] = { [name]: class extends FanwireError {} }[name];
  setName(errors[name], name);
  classes.set(code, errors[name]);
}

/** The codec of the bus cannot decode a message; `cause` is what it threw. */
class DecodeError extends FanwireError {
  constructor(message, cause) {
    super({ status: -1, code: 'DECODE_FAILED', retryable: false }, message, { cause });
  }
}
setName(DecodeError, 'DecodeError');

/** The AbortSignal of a call was aborted, with `cause` as its reason. */
class AbortError extends FanwireError {
  constructor(message, signal, mayHaveHappened) {
    super({ status: -1, code: 'ABORT_ERR', retryable: false }, message, { cause: signal.reason });
    this.mayHaveHappened = mayHaveHappened;
  }
}
setName(AbortError, 'AbortError');

/** The error of a status number or code; without a message it has the table's text. */
function makeError(statusOrCode, message, options) {
  const row = byStatus.get(statusOrCode) ?? byCode.get(statusOrCode) ?? unknown;
  const Type = classes.get(row.code) ?? FanwireError;
  return new Type(row, message, options);
}

/** The code of a status, OK included. */
function codeOf(status) {
  return (table.find((row) => row.status === status) ?? unknown).code;
}

/** "a number", "null", "an array": for messages that say what was given instead. */
function kindOf(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  const type = typeof value;
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

module.exports = { FanwireError, DecodeError, AbortError, errors: Object.freeze(errors), makeError, codeOf, kindOf };
