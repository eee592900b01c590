// Streams that nothing refers to any more: they end when they are collected, and not before.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { run } from './support/child.mjs';

const kPrelude = `
  import { connect, open } from 'fanwire';
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const deadline = Date.now() + 20_000;
  async function until(condition) {
    while (!condition()) {
      if (Date.now() > deadline) throw new Error('waited in vain for ' + condition);
      gc();
      await turn();
    }
  }
`;

async function prints(source, expected) {
  const { code, stdout, stderr } = await run(process.execPath, ['--expose-gc', '--input-type=module', '--eval', kPrelude + source]);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: expected, stderr: '' });
}

test('streams that are dropped end, however far they came', () => prints(`
  const bus = await connect('memory://forgotten');
  async function drop() {
    for (let i = 0; i < 200; ++i) {
      const stream = bus.subscribe('c' + i);
      const kind = i % 5;
      if (kind === 1) await stream.ready;
      if (kind === 2) stream.on('gap', () => stream.state);
      if (kind === 3) stream.events();
      if (kind === 4) {
        await stream.ready;
        bus.publishNoWait('c' + i, 'one');
        bus.publishNoWait('c' + i, 'two');
        await stream.next();
      }
    }
  }
  await drop();
  await until(() => bus.stats().subscriptions === 0);
  console.log(await bus.publish('c0', 'x'));
  await bus.close();
`, '0\n'));

test('40,000 streams dropped take no lasting memory, without a word to the collector', () => prints(`
  const bus = await connect('memory://forgotten');
  let most = 0;
  for (let i = 0; i < 40_000; ++i) {
    bus.subscribe('c');
    if (i % 100 === 0) {
      await turn();
      most = Math.max(most, bus.stats().subscriptions);
    }
  }
  console.log(most < 20_000);
  await bus.close();
`, 'true\n'));

test('what somebody waits for is kept: a loop, a next(), a ready', () => prints(`
  const bus = await connect('memory://kept');
  const seen = [];
  (async () => { for await (const { text } of bus.subscribe('loop')) seen.push('loop ' + text); })();
  (async () => { for await (const item of bus.subscribe('events').events()) if (item.kind === 'message') seen.push('events ' + item.text); })();
  bus.subscribe('next').next().then(({ value }) => seen.push('next ' + value.text));
  bus.subscribe('ready').ready.then(() => seen.push('ready'));
  for (let i = 0; i < 20; ++i) { gc(); await turn(); }
  await until(() => seen.includes('ready'));
  for (const channel of ['loop', 'events', 'next']) await bus.publish(channel, 'x');
  await until(() => seen.length === 4);
  for (const channel of ['loop', 'events']) await bus.publish(channel, 'y');
  await until(() => seen.length === 6);
  console.log(seen.sort().join());
  await until(() => bus.stats().subscriptions === 2); // 'next' and 'ready' are over
  await bus.close();
`, 'events x,events y,loop x,loop y,next x,ready\n'));

test('a handler keeps its subscription, and a message its stream', () => prints(`
  const bus = await connect('memory://kept');
  let received = 0;
  await bus.subscribe('c', () => ++received).ready;
  const { value: message } = await (async () => {
    const stream = bus.subscribe('c');
    await stream.ready;
    bus.publishNoWait('c', 'x');
    return stream.next();
  })();
  for (let i = 0; i < 20; ++i) { gc(); await turn(); }
  console.log(bus.stats().subscriptions, message.text, received);
  await bus.close();
`, '2 x 1\n'));

test('the bus may be closed before or after they are collected', () => prints(`
  for (let i = 0; i < 20; ++i) {
    const bus = await connect('memory://both');
    for (let j = 0; j < 20; ++j) bus.subscribe('c');
    if (i % 2) gc();
    if (i % 3) await turn();
    await bus.close();
    gc();
    await turn();
  }
  console.log('fine');
`, 'fine\n'));
