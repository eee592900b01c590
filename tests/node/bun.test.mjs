// The same addon and the same package, loaded by Bun.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bun, skip } from './support/bun.mjs';
import { run } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';

async function smoke(url) {
  const { code, signal, stdout, stderr } = await run(bun, ['fixtures/bun-smoke.mjs', url]);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  const refused = 'InvalidChannelError INVALID_CHANNEL';
  const copy = { channel: 'coded', pattern: null, text: '{"n":1}', value: { n: 1 } };
  assert.deepEqual(JSON.parse(stdout), {
    receivers: 2, count: 2001, seen: 2001, refused, kinds: ['active', 'message'], verdict: 'ok', measured: true,
    events: ['connect', 'DECODE_FAILED', copy, copy, 'AbortError', false, 'closed', true],
  });
}

test('Bun, in memory', { skip }, () => smoke('memory://bun'));

test('Bun, on Redis', { skip }, async () => {
  const server = await RedisServer.start();
  await smoke(server.url);
  await server.stop();
});
