// Envelopes. What they are byte by byte is said by tests/vectors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { connect, decodeEnvelope, encodeEnvelope } from './support/fanwire.mjs';

const vectors = JSON.parse(readFileSync(new URL('../vectors/envelopes.json', import.meta.url))).cases;
const bytesOf = (vector, field) =>
  vector[`${field}_hex`] === undefined ? Buffer.from(vector[field] ?? '') : Buffer.from(vector[`${field}_hex`], 'hex');
const uuidOf = (vector, field) =>
  vector[`${field}_hex`]?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') ?? null;

test('vectors', async (t) => {
  for (const vector of vectors) {
    await t.test(vector.name, () => {
      const wire = bytesOf(vector, 'wire');
      const envelope = decodeEnvelope(wire);
      assert.deepEqual(envelope, {
        kind: vector.kind,
        payload: bytesOf(vector, 'payload'),
        type: vector.type ?? 'binary',
        publisher: uuidOf(vector, 'publisher'),
        sequence: vector.sequence ?? 0,
        excluded: uuidOf(vector, 'excluded'),
        replyTo: vector.reply_to ?? '',
        correlationId: bytesOf(vector, 'correlation_id'),
        dedupeId: bytesOf(vector, 'dedupe_id'),
        timestampMs: vector.timestamp_ms ?? 0,
      });
      assert.deepEqual(decodeEnvelope(new Uint8Array(wire)), envelope);
      assert.deepEqual(decodeEnvelope(new Uint8Array(new SharedArrayBuffer(wire.length)).fill(1)).kind, 'plain');
      if (vector.kind === 'envelope' && !vector.written_by_others) {
        assert.equal(encodeEnvelope(envelope).toString('hex'), vector.wire_hex);
      }
    });
  }
});

test('what is read are parts of the bytes', () => {
  const bytes = encodeEnvelope({ payload: 'hello', dedupeId: 'd' });
  const { payload, dedupeId } = decodeEnvelope(bytes);
  assert.equal(payload.buffer, bytes.buffer);
  assert.equal(payload.byteOffset + payload.length, bytes.byteOffset + bytes.length);
  assert.equal(dedupeId.toString(), 'd');
});

test('an envelope goes through a channel as it is', async () => {
  const bus = await connect('memory://envelopes');
  const stream = bus.subscribe('c');
  await stream.ready;
  const publisher = crypto.randomUUID();
  await bus.publish('c', encodeEnvelope({ payload: '{"a":1}', type: 'json', publisher, sequence: 1, timestampMs: Date.now() }));
  const { value: message } = await stream.next();
  const envelope = decodeEnvelope(message.data);
  assert.equal(envelope.kind, 'envelope');
  assert.equal(envelope.publisher, publisher);
  assert.deepEqual(JSON.parse(envelope.payload), { a: 1 });
  await bus.close();
});

test('what no envelope can hold', () => {
  const refused = (fields, about) => assert.throws(() => encodeEnvelope(fields), (error) => {
    assert.equal(error.code, 'INVALID_ARGUMENT');
    assert.match(error.message, about);
    return true;
  });
  refused(undefined, /an envelope must be an object, not undefined/);
  refused({ type: 'unknown' }, /type must be one of binary, text, json, not "unknown"/);
  refused({ type: 1 }, /type/);
  refused({ payload: {} }, /payload must be a string or a Uint8Array, not an object/);
  refused({ publisher: 'me' }, /publisher must be a UUID, not "me"/);
  refused({ excluded: Buffer.alloc(16) }, /excluded must be a UUID/);
  refused({ sequence: 1 }, /needs the publisher/);
  refused({ sequence: -1 }, /sequence must be a whole number/);
  refused({ sequence: 2 ** 53 }, /sequence must be a whole number from 0 to 2\^53 - 1, not 9007199254740992/);
  refused({ timestampMs: 1.5 }, /timestampMs/);
  refused({ timestampMs: 1n }, /timestampMs.* not a bigint/);
  refused({ replyTo: 'r'.repeat(1025) }, /reply_to has 1025 bytes/);
  refused({ correlationId: 7 }, /correlationId must be a string/);
  refused({ dedupeId: Buffer.alloc(256) }, /dedupe_id has 256 bytes/);
  for (const data of ['text', undefined, 1]) {
    assert.throws(() => decodeEnvelope(data), { code: 'INVALID_ARGUMENT', message: /must be a Uint8Array/ });
  }
});
