// What is replaced or comes from elsewhere: fake timers, and values of another realm, as of node:vm and Jest.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, mock, test } from 'node:test';
import vm from 'node:vm';

import { runScript } from './support/child.mjs';
import { cleanJson, connect, open } from './support/fanwire.mjs';
import { until } from './support/wait.mjs';

// Buses that are used up keep nothing alive, and the runner takes an idle event loop for the end before it has finished.
const alive = setInterval(() => {}, 1 << 30);
after(() => clearInterval(alive));

const traffic = `
  // Until real time has run out: nothing here uses a timer.
  async function traffic(bus) {
    let received = 0;
    const failures = [];
    bus.on('handlerError', (error) => failures.push(error.message));
    const sub = bus.subscribe('c', () => { if (++received === 10) throw new Error('of a handler'); });
    const stream = bus.subscribe('c');
    await Promise.all([sub.ready, stream.ready]);
    const total = 3000; // more than some batches
    for (let i = 0; i < total / 3; ++i) await bus.publish('c', 'x');
    for (let i = 0; i < total / 3; ++i) bus.publishNoWait('c', 'x');
    await Promise.all(Array.from({ length: total / 3 }, () => bus.publish('c', 'x')));
    for (let i = 0; i < total; ++i) await stream.next();
    while (received < total) await bus.publish('elsewhere', 'x');
    console.log(received, failures.join());
    await bus.close();
    console.log('closed');
  }
`;
const expected = '3000 of a handler\nclosed\n';

const noMock = mock?.timers === undefined && 'this Node has no mock timers';
test('mock timers of node:test do not stop a bus', { skip: noMock }, async () => {
  const { code, stdout, stderr } = await runScript(`
    import { mock } from 'node:test';
    ${traffic}
    const bus = await connect('memory://fake');
    mock.timers.enable(process.versions.node.startsWith('18.') || process.versions.node.startsWith('20.0')
      ? ['setTimeout', 'setInterval', 'setImmediate'] : { apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] });
    let real = true;
    setImmediate(() => (real = false));
    await traffic(bus);
    if (!real) throw new Error('setImmediate is not mocked');
    await traffic(await connect('memory://fake'));
    mock.timers.reset();
  `);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: expected + expected }, stderr); // which warns that this is experimental
});

test('a bus opened, used and closed while all that can be faked is', async () => {
  const { code, stdout, stderr } = await runScript(`
    import timers from 'node:timers';
    ${traffic}
    const never = () => ({ ref() {}, unref() {} });
    const names = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'];
    for (const name of [...names, 'queueMicrotask']) globalThis[name] = never;
    for (const name of names) timers[name] = never;
    process.nextTick = never;
    Date.now = performance.now = () => 0;
    await traffic(await connect('memory://fake'));
    const bus = open('memory://fake', { log() { throw new Error('of the log'); }, logLevel: 'debug' });
    process.once('uncaughtException', ({ message }) => console.log(message));
    bus.subscribe('d', () => bus.close());
    await bus.publish('d', 'x');
  `);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout);
  assert.equal(stdout, `${expected}of the log\n`);
});

// The values in an expression, of a realm of their own.
const foreign = (source) => vm.runInNewContext(source, { URL, AbortController });

test('bytes of another realm are bytes', async () => {
  const bus = await connect('memory://realms');
  const seen = [];
  await bus.subscribe('c', ({ data }) => seen.push(data)).ready;
  const values = foreign(`
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const shared = new SharedArrayBuffer(4);
    new Uint8Array(shared).set(bytes);
    [bytes, bytes.buffer, new DataView(bytes.buffer), new Uint16Array(bytes.buffer), new Float32Array(bytes.buffer),
      new Int8Array(bytes.buffer), new Uint8ClampedArray(bytes.buffer), shared, new Uint8Array(shared), new DataView(shared)]`);
  assert.ok(!(values[0] instanceof Uint8Array));
  for (const value of values) assert.equal(await bus.publish('c', value), 1);
  for (const value of values) bus.publishNoWait('c', value);
  await until(() => seen.length === 2 * values.length);
  for (const data of seen) assert.deepEqual(data, Buffer.from([1, 2, 3, 4]));
  for (const codec of ['bytes', 'base64']) {
    const other = await connect('memory://realms', { codec });
    const stream = other.subscribe('d');
    await stream.ready;
    for (const value of values) other.publishNoWait('d', value);
    for (let i = 0; i < values.length; ++i) assert.deepEqual((await stream.next()).value.value, Buffer.from([1, 2, 3, 4]));
  }
});

test('names, JSON, dates and errors of another realm', async () => {
  const bus = await connect('memory://realms');
  const stream = bus.subscribe(foreign(`new Uint8Array([0x6e])`));
  await stream.ready;
  assert.equal(await bus.publish('n', foreign(`({ at: new Date(0), list: [1], error: null })`)), 1);
  assert.equal((await stream.next()).value.text, '{"at":"1970-01-01T00:00:00.000Z","list":[1],"error":null}');
  const json = foreign(`Uint8Array.from('{"__proto__":1,"a":2}', (c) => c.charCodeAt(0))`);
  assert.equal(cleanJson(json).toString(), '{"a":2}');
  const shared = foreign(`const bytes = new Uint8Array(new SharedArrayBuffer(19)); bytes.set(${JSON.stringify([...Buffer.from('{"__proto__":1,"a":2}')].slice(0, 19))}); bytes`);
  assert.ok(cleanJson(shared).length > 0);

  const failures = [];
  bus.on('handlerError', (error) => failures.push(error));
  const handlers = foreign(`[() => { throw new Error('thrown') }, async () => { throw new Error('rejected') },
    () => ({ then(_, reject) { reject(new Error('thenable')); } })]`);
  await Promise.all(handlers.map((handler) => bus.subscribe('failing', handler).ready));
  await bus.publish('failing', 'x');
  await until(() => failures.length === 3);
  assert.deepEqual(failures.map(({ message }) => message).sort(), ['rejected', 'thenable', 'thrown']);
});

test('settings, URLs, codecs and signals of another realm', async () => {
  const bus = open(foreign(`({ url: 'memory://realms', maxMessageBytes: 1024 })`));
  await bus.opened;
  for (const url of [foreign(`new URL('memory://realms')`), { href: 'memory://realms' }]) {
    const codec = foreign(`({ encode: (value) => new Uint8Array([value]), decode: (data) => data[0] })`);
    const other = await connect(url, { signal: foreign('new AbortController().signal'), codec });
    const stream = other.subscribe('c');
    await stream.ready;
    await other.publish('c', 7);
    assert.equal((await stream.next()).value.value, 7);
  }
  const failing = await connect('memory://realms', {
    codec: foreign(`({ encode() { throw new Error('of another realm') }, decode() { throw null } })`),
  });
  await assert.rejects(failing.publish('c', 1), { code: 'INVALID_ARGUMENT', message: /of another realm/ });
  const stream = failing.subscribe('c');
  await stream.ready;
  const told = once(stream, 'decodeError');
  await bus.publish('c', 'x');
  assert.equal((await told)[0].cause, null);
});
