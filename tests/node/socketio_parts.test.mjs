// Parts of fanwire/socket.io by themselves.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const part = (name) => require(path.join(path.dirname(require.resolve('fanwire/socket.io')), name));
const { FreshRooms, kFreshMs } = part('fresh.js');
const { BroadcastReader, encodeBroadcast, bodyStart } = part('broadcasts.js');
const { readyEncoder } = part('encoder.js');

test('a room is fresh for a second after the last time that sockets were put in it', () => {
  let now = 0;
  const fresh = new FreshRooms(() => now);
  assert.equal(fresh.has('a'), false);
  fresh.add(['a', 7]);
  now = kFreshMs / 2;
  fresh.add(['a', 'b']);
  assert.deepEqual(['a', 'b', 7, '7', 'c'].map((room) => fresh.has(room)), [true, true, true, true, false]);
  now = kFreshMs;
  assert.deepEqual(['a', 'b', 7].map((room) => fresh.has(room)), [true, true, false]);
  now = 2 * kFreshMs;
  assert.equal(fresh.has('a'), false);
  fresh.add([]);
  assert.equal(fresh.has('b'), false);
});

test('a broadcast is read as it was written, whatever was read before', () => {
  const reader = new BroadcastReader();
  for (let i = 0; i < 2500; ++i) { // more heads than are remembered, and some of them again
    const uid = `server ${i % 1500}`;
    const opts = { rooms: [i % 2 ? `room ${i}"` : i], except: ['x'], flags: { volatile: true, more: 1 } };
    const data = ['event', { i, text: ',"packet":{"type":2,"data":}}}' }];
    const read = reader.read(encodeBroadcast(bodyStart(uid, '/'), { packet: { type: 2, data }, opts }));
    assert.deepEqual(read, {
      uid, nsp: '/', args: data, json: JSON.stringify(data),
      opts: { rooms: new Set(opts.rooms), except: new Set(['x']), flags: { volatile: true } },
    });
  }
  const long = ['x'.repeat(20_000)];
  const body = encodeBroadcast(bodyStart('a', '/'), { packet: { type: 2, data: long }, opts: { rooms: [], except: [] } });
  assert.deepEqual([reader.read(body).args, reader.read(body).json], [long, undefined]);
  for (const other of ['', '{}', body.slice(0, -1), body.slice(1), `${body}}`]) assert.equal(reader.read(other), undefined);
});

test('text is handed on for the packet that it is of, by the standard encoder alone', () => {
  const packet = { type: 2, data: ['a'], nsp: '/' };
  const standard = { encode: ({ type, nsp, data }) => [type + (nsp === '/' ? '' : `${nsp},`) + JSON.stringify(data)] };
  const encoder = readyEncoder(standard);
  encoder.offer(packet, ' ["a"]');
  assert.deepEqual(encoder.encode({ ...packet }), ['2["a"]']);
  assert.deepEqual(encoder.encode(packet), ['2 ["a"]']);
  assert.deepEqual(encoder.encode(packet), ['2["a"]']);
  encoder.offer({ ...packet, nsp: '/x' }, '["b"]');
  assert.deepEqual(encoder.encode(packet), ['2["a"]']);
  for (const other of [{ ...standard, replacer() {} }, { encode: () => [Buffer.alloc(1)] }, { encode() { throw new Error('no'); } }]) {
    const given = readyEncoder(other);
    given.offer(packet, 'never');
    try {
      assert.notEqual(given.encode(packet)[0], '2never');
    } catch (error) {
      assert.equal(error.message, 'no');
    }
  }
});
