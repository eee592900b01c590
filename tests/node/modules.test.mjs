// The package as ES module and as CommonJS.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import fanwireDefault, * as fanwire from 'fanwire';

const required = createRequire(import.meta.url)('fanwire');

test('import and require give the same things', () => {
  assert.equal(fanwireDefault, required);
  const { default: _, ...named } = fanwire;
  assert.deepEqual(Object.keys(named).sort(), Object.keys(required).sort());
  for (const [name, value] of Object.entries(named)) assert.equal(value, required[name], name);
});

test('CommonJS: connect, publish, receive', async () => {
  const bus = await required.connect('memory://commonjs');
  const stream = bus.subscribe('c');
  await stream.ready;
  await bus.publish('c', 'hello');
  assert.equal((await stream.next()).value.text, 'hello');
  await assert.rejects(bus.publish('', 'x'), fanwire.FanwireError); // one class, whichever way it was loaded
  await bus.close();
});
