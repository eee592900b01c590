// How processes and workers end, with buses open and work under way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { connect } from './support/fanwire.mjs';

import { runScript, startScript } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

// The same for both backends: [what, url as source text]
const backends = [['memory', () => 'memory://lifetime'], ['Redis', () => server.url]];

for (const [backend, url] of backends) {
  test(`${backend}: the process exits by itself with an open bus that publishes, and with a stream nobody iterates`, async () => {
    const { code, signal, stdout, stderr } = await runScript(`
      const bus = await connect('${url()}');
      bus.subscribe('d');
      await bus.publish('c', 'x');
      console.log('end of script');
    `);
    assert.equal(stdout, 'end of script\n');
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  });

  test(`${backend}: pending promises keep the process alive until they are settled`, async () => {
    const { code, stdout, stderr } = await runScript(`
      const bus = await connect('${url()}'); // nothing else is open, so each await stands on its own
      const stream = bus.subscribe('c');
      await stream.ready;
      for (let i = 0; i < 100; ++i) await bus.publish('c', String(i));
      const other = await connect('${url()}');
      await other.publish('elsewhere', 'x');
      await bus.publish('c', 'last');
      let count = 0;
      for await (const { text } of stream) { ++count; if (text === 'last') break; }
      await bus.close();
      console.log('all', count);
    `);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: 'all 101\n' }, stderr);
  });

  for (const [how, end] of [['unsubscribe()', 'sub.unsubscribe()'], ['close()', 'bus.close()'], ['unref()', 'bus.unref()']]) {
    test(`${backend}: a subscription with a handler keeps the process alive until ${how}`, async () => {
      const { ended, saw, child } = startScript(`
        import { once } from 'node:events';
        const bus = await connect('${url()}');
        const sub = bus.subscribe('c', ({ text }) => {
          console.log(text);
          if (text === 'second') ${end};
        });
        sub.on('active', () => bus.publishNoWait('c', 'first')); // no promise is pending
        process.once('SIGUSR2', () => bus.publishNoWait('c', 'second')); // which keeps nothing alive either
      `);
      await saw('first');
      child.kill('SIGUSR2');
      const { code, stdout, stderr } = await ended;
      assert.deepEqual({ code, stdout }, { code: 0, stdout: 'first\nsecond\n' }, stderr);
    });
  }

  test(`${backend}: unref() lets the process go with a subscription; ref() keeps it alive without one`, async () => {
    const { code, stdout, stderr } = await runScript(`
      const unreferenced = (await connect('${url()}')).unref();
      await unreferenced.subscribe('c', () => {}).ready;
      const bus = (await connect('${url()}')).unref().ref().ref();
      setTimeout(() => {
        console.log('kept alive');
        bus.unref();
      }, 20).unref();
    `);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: 'kept alive\n' }, stderr);
  });

  test(`${backend}: process.exit() in a handler, in the middle of a flood`, async () => {
    const { code, signal, stderr } = await runScript(`
      const bus = await connect('${url()}');
      let count = 0;
      await bus.subscribe('c', () => { if (++count === 700) process.exit(7); }).ready;
      for (;;) {
        for (let i = 0; i < 1000; ++i) bus.publishNoWait('c', 'x');
        await bus.publish('c', 'x');
      }
    `);
    assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' });
  });

  test(`${backend}: an uncaught exception with an open bus`, async () => {
    const { code, signal, stderr } = await runScript(`
      const bus = await connect('${url()}');
      await bus.subscribe('c', () => {}).ready;
      bus.publishNoWait('c', 'x');
      throw new Error('as planned');
    `);
    assert.deepEqual({ code, signal }, { code: 1, signal: null });
    assert.match(stderr, /as planned/);
  });

  test(`${backend}: buses that were forgotten are collected or not, but nothing crashes`, async () => {
    const { code, signal, stdout, stderr } = await runScript(`
      import { setFlagsFromString } from 'node:v8';
      import { runInNewContext } from 'node:vm';
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc');
      let received = 0;
      for (let i = 0; i < 20; ++i) {
        const bus = await connect('${url()}');
        const sub = bus.subscribe('c', () => ++received);
        const stream = bus.subscribe('c');
        await sub.ready;
        await bus.publish('c', 'x');
        if (i % 2) await bus.close();
        if (i % 3) stream.return();
        gc();
        await new Promise(setImmediate);
      }
      gc();
      console.log(received > 0);
      process.exit(); // forgotten or not, a subscription with a handler is one
    `);
    assert.deepEqual({ code, signal, stdout, stderr }, { code: 0, signal: null, stdout: 'true\n', stderr: '' });
  });
}

test('a failed connect() leaves nothing open', async () => {
  const { code, stdout, stderr } = await runScript(`
    const error = await connect('redis://127.0.0.1:1').catch((caught) => caught);
    console.log(error.code);
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'CONNECT_FAILED\n', stderr: '' });
});

const workerSource = `
  const { connect } = require('fanwire');
  const { parentPort, workerData } = require('node:worker_threads');
  (async () => {
    const bus = await connect(workerData.url);
    let count = 0;
    const sub = bus.subscribe(workerData.channel, ({ text }) => {
      if (++count !== 1000) return;
      parentPort.postMessage('received');
      bus.unref();
    });
    await sub.ready;
    parentPort.postMessage('ready');
    for (let i = 0; i < 1000; ++i) await bus.publish(workerData.channel, 'x');
    if (workerData.flood) for (;;) {
      for (let i = 0; i < 100; ++i) bus.publishNoWait(workerData.channel, 'x');
      await bus.publish(workerData.channel, 'x');
    }
    if (workerData.close) await bus.close();
  })();
`;

function startWorker(workerData) {
  const worker = new Worker(workerSource, { eval: true, workerData });
  const messages = [];
  let failure;
  worker.on('message', (message) => messages.push(message));
  worker.on('error', (error) => (failure = error));
  const saw = (message) =>
    until(() => {
      if (failure !== undefined) throw failure;
      return messages.includes(message);
    }, `"${message}" of a worker`);
  return { worker, saw };
}

for (const [backend, url] of backends) {
  test(`${backend}: two workers at once, beside the main thread`, async () => {
    const bus = await connect(url());
    const workers = ['one', 'two'].map((channel) => startWorker({ url: url(), channel, close: true }));
    const exits = workers.map(({ worker }) => once(worker, 'exit'));
    await Promise.all(workers.map(({ saw }) => saw('received')));
    assert.deepEqual((await Promise.all(exits)).map(([code]) => code), [0, 0]);
    assert.equal(typeof (await bus.publish('still', 'here')), 'number');
    await bus.close();
  });

  test(`${backend}: a worker ends by itself with an open bus`, async () => {
    const { worker, saw } = startWorker({ url: url(), channel: 'open' });
    const exit = once(worker, 'exit');
    await saw('received');
    assert.deepEqual(await exit, [0]);
  });

  test(`${backend}: worker.terminate() with an open bus, in the middle of a flood`, async () => {
    for (let i = 0; i < 5; ++i) {
      const { worker, saw } = startWorker({ url: url(), channel: `flood${i}`, flood: true });
      await saw('received');
      assert.equal(await worker.terminate(), 1);
    }
  });
}
