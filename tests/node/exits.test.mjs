// How a process ends with buses open: process.exit() anywhere, exceptions, signals.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { runScript, startScript } from './support/child.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const killSubscribers = `await bus.subscribe('any', () => {}).ready; await (await RespClient.connect(port)).command('CLIENT', 'KILL', 'TYPE', 'pubsub');`;

// Where process.exit(7) is called: [where, source with `bus`, whether it takes a server]
const places = [
  ['a handler', `await bus.subscribe('c', () => process.exit(7)).ready; bus.publishNoWait('c', 'x'); bus.ref();`],
  ["an 'active' listener", `bus.subscribe('c', () => {}).on('active', () => process.exit(7)); bus.ref();`],
  ["an 'ended' listener",
    `const sub = bus.subscribe('c', () => {}); await sub.ready; sub.on('ended', () => process.exit(7)); sub.unsubscribe(); bus.ref();`],
  ["an 'ended' listener, in close()",
    `const sub = bus.subscribe('c', () => {}); await sub.ready; sub.on('ended', () => process.exit(7)); await bus.close();`],
  ["what follows a publish", `bus.publish('c', 'x').then(() => process.exit(7));`],
  ["what follows a publish that fails", `bus.publish('', 'x').catch(() => process.exit(7));`],
  ["what follows one publish, with many pending",
    `for (let i = 0; i < 1000; ++i) bus.publish('c', 'x').then(() => i === 10 && process.exit(7));`],
  ["what follows ready", `bus.subscribe('c', () => {}).ready.then(() => process.exit(7));`],
  ["a for await loop",
    `const stream = bus.subscribe('c'); await stream.ready; bus.publishNoWait('c', 'x'); for await (const m of stream) process.exit(7);`],
  ["a loop over events()", `for await (const { kind } of bus.subscribe('c').events()) if (kind === 'active') process.exit(7);`],
  ["what runs beside close()", `bus.publishNoWait('c', 'x'); bus.close(); process.exit(7);`],
  ["what follows close()", `await bus.close(); process.exit(7);`],
  ["what runs beside connect()", `connect(url); process.exit(7);`],
  ["an uncaughtException listener",
    `process.on('uncaughtException', () => process.exit(7));
     await bus.subscribe('c', () => { throw new Error('x'); }).ready; bus.publishNoWait('c', 'x'); bus.ref();`],
  ["an 'exit' listener that uses the bus",
    `process.on('exit', () => { bus.publishNoWait('c', 'x'); bus.stats(); bus.close(); process.exitCode = 7; });
     await bus.subscribe('c', () => {}).ready; process.exit(7);`],
  ["a 'disconnect' listener", `bus.on('disconnect', () => process.exit(7)).ref(); ${killSubscribers}`, true],
  ["a 'lost' listener",
    `const sub = bus.subscribe('c', () => {}); await sub.ready; sub.on('lost', () => process.exit(7)); bus.ref(); ${killSubscribers}`, true],
  ["a 'gap' listener",
    `const sub = bus.subscribe('c', () => {}); await sub.ready; sub.on('gap', () => process.exit(7)); bus.ref(); ${killSubscribers}`, true],
  ["a 'connect' listener, after a break", `bus.on('connect', () => process.exit(7)).ref(); ${killSubscribers}`, true],
];

for (const [where, source, takesServer] of places) {
  test(`process.exit() in ${where}`, async () => {
    for (const url of takesServer ? [server.url] : ['memory://exit', server.url]) {
      const { code, signal, stderr } = await runScript(`
        import { RespClient } from './support/resp.mjs';
        const url = '${url}';
        const port = ${server.port};
        const bus = await connect(url, { reconnectDelayMs: 1 });
        ${source}
      `);
      assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' }, url);
    }
  });
}

test('process.exit() in a handler while three workers are in the middle of traffic', async () => {
  const { code, signal, stderr } = await runScript(`
    import { startWorker } from './support/worker.mjs';
    const workers = [1, 2, 3].map(() => startWorker({ role: 'flood', url: '${server.url}' }));
    await Promise.all(workers.map(({ saw }) => saw('flowing')));
    const bus = await connect('${server.url}');
    bus.ref().subscribe('c', () => process.exit(7));
  `);
  assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: '' });
});

for (const [where, source] of [
  ['a handler', `await bus.subscribe('c', () => { throw new Error('as planned'); }).ready; bus.publishNoWait('c', 'x');`],
  ['an async handler', `await bus.subscribe('c', async () => { throw new Error('as planned'); }).ready; bus.publishNoWait('c', 'x');`],
  ["an 'active' listener", `bus.subscribe('c', () => {}).on('active', () => { throw new Error('as planned'); });`],
  ['what follows a publish', `bus.publish('c', 'x').then(() => { throw new Error('as planned'); });`],
  ['a loop', `for await (const event of bus.subscribe('c').events()) throw new Error('as planned');`],
]) {
  test(`an error nobody catches, of ${where}, ends the process as any would`, async () => {
    for (const url of ['memory://exit', server.url]) {
      const { code, signal, stderr } = await runScript(`const bus = (await connect('${url}')).ref(); ${source}`);
      assert.deepEqual({ code, signal }, { code: 1, signal: null }, stderr);
      assert.match(stderr, /Error: as planned/);
    }
  });
}

for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL']) {
  test(`${name} with an open bus in the middle of traffic: its default action ends the process`, async () => {
    const { child, ended, saw } = startScript(`
      const bus = await connect('${server.url}', { clientName: '${name}' });
      let count = 0;
      await bus.subscribe('c', () => { if (++count === 500) console.log('flowing'); }).ready;
      for (;;) {
        for (let i = 0; i < 100; ++i) bus.publishNoWait('c', 'x');
        await bus.publish('c', 'x');
      }
    `);
    await saw('flowing');
    child.kill(name);
    const { code, signal, stderr } = await ended;
    assert.deepEqual({ code, signal, stderr }, { code: null, signal: name, stderr: '' });
    const client = await RespClient.connect(server.port);
    await until(async () => !(await client.command('CLIENT', 'LIST')).toString().includes(`name=${name} `));
    client.close();
  });
}

for (const name of ['SIGTERM', 'SIGINT']) {
  test(`a ${name} handler that closes the bus: everything accepted is sent, and the process ends by itself`, async () => {
    const bus = await connect(server.url);
    const texts = [];
    await bus.subscribe(name, ({ text }) => texts.push(text)).ready;
    const { child, ended, saw } = startScript(`
      const bus = (await connect('${server.url}')).ref();
      await bus.subscribe('c', () => {}).ready;
      process.once('${name}', async () => {
        for (let i = 0; i < 1000; ++i) bus.publishNoWait('${name}', String(i));
        await bus.close();
        console.log('closed');
      });
      console.log('ready');
    `);
    await saw('ready');
    child.kill(name);
    const { code, signal, stdout, stderr } = await ended;
    assert.deepEqual({ code, signal, stdout, stderr }, { code: 0, signal: null, stdout: 'ready\nclosed\n', stderr: '' });
    await until(() => texts.length === 1000);
    assert.deepEqual(texts, Array.from({ length: 1000 }, (_, i) => String(i)));
    await bus.close();
  });
}

test("closing in 'beforeExit': what was accepted is sent", async () => {
  const bus = await connect(server.url);
  const stream = bus.subscribe('before');
  await stream.ready;
  const { code, stderr } = await runScript(`
    const bus = await connect('${server.url}');
    process.once('beforeExit', () => bus.close());
    bus.publishNoWait('before', 'exit');
  `);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.equal((await stream.next()).value.text, 'exit');
  await bus.close();
});
