'use strict';
// Envelopes: what may stand in front of a payload, so that more is known of it.

const { isUint8Array, isSharedArrayBuffer } = require('node:util').types;

const addon = require('./addon.js');
const { makeError, kindOf } = require('./errors.js');

const types = new Map(Object.entries(addon.constants().payloadTypes).map(([code, name]) => [name, Number(code)]));
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const bad = (text) => makeError('INVALID_ARGUMENT', text);
const shown = (value) => (typeof value === 'string' ? JSON.stringify(value) : kindOf(value));

function bytesOf(value, name) {
  if (value === undefined || value === null) return '';
  // Other threads may write to shared memory while the addon reads it: it gets a copy.
  if (isUint8Array(value)) return isSharedArrayBuffer(value.buffer) ? Buffer.from(value) : value;
  if (typeof value === 'string') return value;
  throw bad(`${name} must be a string or a Uint8Array, not ${kindOf(value)}`);
}

function putId(ids, at, value, name) {
  if (value === undefined || value === null) return;
  if (typeof value !== 'string' || !uuid.test(value)) throw bad(`${name} must be a UUID, not ${shown(value)}`);
  ids.write(value.replaceAll('-', ''), at, 'hex');
}

function numberOf(value, name) {
  if (value === undefined || value === null) return 0;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw bad(`${name} must be a whole number from 0 to 2^53 - 1, not ${typeof value === 'number' ? value : kindOf(value)}`);
}

/** The bytes to publish. */
function encodeEnvelope(envelope) {
  if (typeof envelope !== 'object' || envelope === null) throw bad(`an envelope must be an object, not ${kindOf(envelope)}`);
  const { payload, publisher, sequence, excluded, replyTo, correlationId, dedupeId, timestampMs } = envelope;
  const type = types.get(envelope.type ?? 'binary');
  if (type === undefined) throw bad(`type must be one of ${[...types.keys()].join(', ')}, not ${shown(envelope.type)}`);
  const ids = Buffer.alloc(32);
  putId(ids, 0, publisher, 'publisher');
  putId(ids, 16, excluded, 'excluded');
  return addon.encodeEnvelope(
    bytesOf(payload, 'payload'), type, ids,
    [numberOf(sequence, 'sequence'), numberOf(timestampMs, 'timestampMs')],
    [bytesOf(replyTo, 'replyTo'), bytesOf(correlationId, 'correlationId'), bytesOf(dedupeId, 'dedupeId')],
  );
}

function idOf(bytes) {
  const digits = bytes.toString('hex');
  if (/^0*$/.test(digits)) return null;
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => digits.slice(from, to)).join('-');
}

/** What the payload of a message is. */
function decodeEnvelope(data) {
  if (!isUint8Array(data)) throw bad(`the payload must be a Uint8Array, not ${kindOf(data)}`);
  const bytes = isSharedArrayBuffer(data.buffer)
    ? Buffer.from(data)
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const [kind, type, publisher, sequence, excluded, timestampMs, ...ends] = addon.decodeEnvelope(bytes);
  const part = (index) => bytes.subarray(ends[2 * index], ends[2 * index + 1]);
  return {
    kind,
    payload: part(0),
    type,
    publisher: idOf(publisher),
    sequence,
    excluded: idOf(excluded),
    replyTo: part(1).toString(),
    correlationId: part(2),
    dedupeId: part(3),
    timestampMs,
  };
}

module.exports = { encodeEnvelope, decodeEnvelope };
