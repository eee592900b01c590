// Handlers that throw, reject, and do things in the middle of a batch.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { runScript } from './support/child.mjs';
import { until } from './support/wait.mjs';

const unexpected = (error) => assert.fail(error); // 'error' is of connections

let bus;
before(async () => (bus = await connect('memory://handlers')));
after(() => bus.close());

for (const [how, handler] of [
  ['throws', () => { throw new Error('from the handler'); }],
  ['rejects', async () => { throw new Error('from the handler'); }],
]) {
  test(`a handler that ${how}: 'handlerError' is emitted for each message, and delivery goes on`, async () => {
    const errors = [];
    const listener = (error, { subscription, message }) => errors.push([error.message, subscription, message.text]);
    bus.on('handlerError', listener);
    bus.on('error', unexpected);
    let delivered = 0;
    const bad = bus.subscribe(how, handler);
    const good = bus.subscribe(how, () => ++delivered);
    await Promise.all([bad.ready, good.ready]);
    for (const text of 'abc') bus.publishNoWait(how, text);
    await until(() => errors.length === 3 && delivered === 3);
    assert.deepEqual(errors, [...'abc'].map((text) => ['from the handler', bad, text]));
    bad.unsubscribe();
    good.unsubscribe();
    bus.off('handlerError', listener).off('error', unexpected);
  });

  test(`a handler that ${how} and nobody listens: an uncaught exception, and delivery goes on`, async () => {
    const { code, stdout, stderr } = await runScript(`
      const caught = [];
      process.on('uncaughtException', (error, origin) => caught.push(error.message));
      const bus = await connect('memory://x');
      bus.on('error', () => console.log('error'));
      let delivered = 0;
      const bad = bus.subscribe('c', ${how === 'rejects' ? 'async' : ''} () => { throw new Error('mine'); });
      const good = bus.subscribe('c', () => ++delivered);
      await Promise.all([bad.ready, good.ready]);
      for (let i = 0; i < 3; ++i) await bus.publish('c', 'x');
      await bus.close();
      console.log(delivered, caught.join());
    `);
    assert.equal(stdout, '3 mine,mine,mine\n', stderr);
    assert.equal(code, 0);
  });
}

test('without an uncaughtException handler the process ends with the error shown', async () => {
  const { code, stderr } = await runScript(`
    const bus = await connect('memory://x');
    await bus.subscribe('c', () => { throw new Error('mine'); }).ready;
    await bus.publish('c', 'x');
    bus.ref();
  `);
  assert.equal(code, 1);
  assert.match(stderr, /Error: mine/);
});

test("listeners that throw do not stop delivery, either", async () => {
  const { stdout, stderr } = await runScript(`
    process.on('uncaughtException', (error) => console.log(error.message));
    const bus = await connect('memory://x');
    const sub = bus.subscribe('c', ({ text }) => console.log(text));
    sub.on('active', () => { throw new Error('listener'); });
    await sub.ready;
    await bus.publish('c', 'still here');
    await bus.close();
  `);
  assert.deepEqual(stdout.trim().split('\n').sort(), ['listener', 'still here'], stderr);
});

test('a handler may publish, subscribe and unsubscribe', async () => {
  const seen = [];
  const done = new Promise((resolve) => {
    const first = bus.subscribe('re', (message) => {
      first.unsubscribe();
      const second = bus.subscribe('entrant', ({ text }) => {
        seen.push(text);
        second.unsubscribe();
        resolve();
      });
      second.ready.then(() => bus.publish('entrant', message.text + '!'));
    });
    first.ready.then(() => bus.publish('re', 'hello'));
  });
  bus.ref(); // an outcome may be there before the message is
  await done;
  bus.unref();
  assert.deepEqual(seen, ['hello!']);
});

test('a handler may close the bus', async () => {
  const other = await connect('memory://handler-close');
  const closed = new Promise((resolve, reject) => {
    other.subscribe('c', () => other.close().then(resolve, reject)).ready.then(() => other.publish('c', 'x'));
  });
  other.ref();
  await closed;
  await assert.rejects(other.publish('c', 'y'), { code: 'CLOSED' });
});

test('nobody looks at ready: no unhandled rejection', async () => {
  const { code, stdout, stderr } = await runScript(`
    const bus = await connect('memory://x');
    bus.subscribe('c', () => {}).unsubscribe();
    bus.subscribe('c');
    await bus.close();
    console.log('fine');
  `);
  assert.equal(stdout, 'fine\n', stderr);
  assert.equal(code, 0);
});

test('an inbox that was full: the gaps count what is missing', async () => {
  const other = await connect('memory://handler-gap', { inboxCount: 10 });
  let received = 0;
  let missing = 0;
  const sub = other.subscribe('c', () => ++received);
  sub.on('gap', ({ reason, count }) => {
    assert.equal(reason, 'overflow');
    missing += count;
  });
  await sub.ready;
  const total = 5000;
  for (let i = 0; i < total; ++i) other.publishNoWait('c', 'x'); // no turn of the loop in between
  await until(() => received + missing === total);
  assert.ok(missing > 0);
  await other.close();
});
