// setCredentials(): who we are at Redis changes while the bus is open.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { event, until } from './support/wait.mjs';

let server;
let admin; // the default user
before(async () => {
  server = await RedisServer.start();
  admin = await RespClient.connect(server.port);
});
after(async () => {
  admin.close();
  await server.stop();
});

const setUser = async (name, ...rules) => assert.equal(await admin.command('ACL', 'SETUSER', name, ...rules), 'OK');
const newUser = (name, password) => setUser(name, 'reset', 'on', `>${password}`, '~*', '&*', '+@all');
const urlOf = (user) => `redis://${user}@127.0.0.1:${server.port}`;
const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };

// Our connections as Redis lists them: [{user, type}, ...]
async function links(name) {
  const lines = (await admin.command('CLIENT', 'LIST')).toString().split('\n').filter((line) => line.includes(` name=${name} `));
  return lines.map((line) => ({
    id: / ?id=(\d+)/.exec(line)[1],
    user: / user=(\S+)/.exec(line)[1],
    subscribed: !/ sub=0 psub=0 /.test(line),
  }));
}

const callsOf = async (command) =>
  Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec((await admin.command('INFO', 'commandstats')).toString())?.[1] ?? 0);

// Publishes without a pause until stop(), which resolves to what became of each.
function keepPublishing(bus, channel) {
  let going = true;
  const outcomes = (async () => {
    const all = [];
    for (let i = 0; going; ++i) all.push(await bus.publish(channel, String(i)).catch((error) => error));
    return all;
  })();
  return () => {
    going = false;
    return outcomes;
  };
}

test('a password that changes: publishing goes on without a break, and the next connection uses it', async () => {
  await newUser('bob', 'one');
  const bus = await connect(urlOf('bob:one'), { ...quick, clientName: 'rotating' });
  const events = [];
  const texts = [];
  const sub = bus.subscribe('c', ({ text }) => texts.push(text));
  for (const name of ['lost', 'gap', 'resumed']) sub.on(name, () => events.push(name));
  bus.on('error', (error) => events.push(error.code));
  await sub.ready;
  const stop = keepPublishing(bus, 'c');
  await until(() => texts.length > 100);

  await setUser('bob', '>two', '<one');
  const logins = await callsOf('auth');
  bus.setCredentials('bob', 'two');
  await until(async () => (await callsOf('auth')) > logins);
  const seen = texts.length;
  await until(() => texts.length > seen + 100);
  const outcomes = await stop();
  await until(() => texts.length === outcomes.length);
  assert.deepEqual(new Set(outcomes), new Set([1]));
  assert.deepEqual(texts, outcomes.map((_, i) => String(i)));
  assert.deepEqual(events, []);
  assert.equal(bus.stats().disconnects, 0);

  const connected = event(bus, 'connect');
  for (const { id } of await links('rotating')) await admin.command('CLIENT', 'KILL', 'ID', id);
  await connected;
  assert.equal(await bus.publish('c', 'with the new password'), 1);
  assert.ok(!events.includes('AUTH_FAILED'), events.join());
  await bus.close();
});

test("another username: the subscribing link is made anew with 'lost', 'gap', 'resumed'; no publish fails", async () => {
  await newUser('bob', 'pw');
  await newUser('carol', 'pw');
  const bus = await connect(urlOf('bob:pw'), { ...quick, clientName: 'renamed' });
  const events = [];
  const sub = bus.subscribe('c', () => {});
  sub.on('lost', () => events.push('lost'));
  sub.on('gap', (gap) => events.push(gap));
  await sub.ready;
  assert.deepEqual((await links('renamed')).map(({ user }) => user), ['bob', 'bob']);
  const stop = keepPublishing(bus, 'elsewhere');
  const resumed = event(sub, 'resumed');
  bus.setCredentials('carol', 'pw');
  await resumed;
  await until(async () => (await links('renamed')).map(({ user }) => user).join() === 'carol,carol');
  const outcomes = await stop();
  assert.deepEqual(outcomes.filter((outcome) => outcome !== 0), []);
  assert.deepEqual(events, ['lost', { reason: 'reconnect', count: null }]);
  assert.equal(await bus.publish('c', 'x'), 1);
  await bus.close();
});

test("a wrong password: an 'error', and the link stays who it was", async () => {
  await newUser('bob', 'pw');
  const bus = await connect(urlOf('bob:pw'), { ...quick, clientName: 'mistaken' });
  const stream = bus.subscribe('c');
  await stream.ready;
  const failed = event(bus, 'error');
  bus.setCredentials('bob', 'a wrong secret');
  const [error] = await failed;
  assert.equal(error.code, 'AUTH_FAILED');
  assert.doesNotMatch(error.message, /secret/);
  assert.equal(await bus.publish('c', 'still bob'), 1);
  assert.equal((await stream.next()).value.text, 'still bob');
  assert.deepEqual((await links('mistaken')).map(({ user }) => user), ['bob', 'bob']);
  assert.equal(bus.stats().disconnects, 0);
  await bus.close();
});

test('an attempt that waits is made at once with the new credentials', async () => {
  await newUser('bob', 'pw');
  const long = { reconnectDelayMs: 600_000, maxReconnectDelayMs: 600_000 };
  const bus = await connect(urlOf('bob:pw'), { ...long, clientName: 'waiting' });
  const sub = bus.subscribe('c', () => {});
  await sub.ready;
  const waiting = event(bus, 'reconnecting');
  for (const { id } of await links('waiting')) await admin.command('CLIENT', 'KILL', 'ID', id);
  await waiting;
  await until(() => !bus.stats().publishLink && !bus.stats().subscribeLink);
  const back = Promise.all([event(bus, 'connect'), event(sub, 'resumed')]);
  bus.setCredentials('bob', 'pw');
  await back;
  assert.equal(await bus.publish('c', 'x'), 1);
  await bus.close();
});

test('no username: the default user, with and without a password', async () => {
  const own = await RedisServer.start('--requirepass', 'secret', '--user', 'bob', 'on', '>pw', '~*', '&*', '+@all');
  const bus = await connect(`redis://bob:pw@127.0.0.1:${own.port}`, quick);
  const sub = bus.subscribe('c', () => {});
  await sub.ready;
  const resumed = event(sub, 'resumed');
  bus.setCredentials(null, 'secret');
  await resumed;
  const client = await RespClient.connect(own.port);
  await client.command('AUTH', 'secret');
  await until(async () => (await client.command('CLIENT', 'LIST')).toString().match(/name=fanwire .*user=default/g)?.length === 2);
  assert.equal(await bus.publish('c', 'x'), 1);
  client.close();
  await bus.close();
  await own.stop();
});

test('what is no credential is refused, and its text stays out of the error', async () => {
  const bus = await connect('memory://credentials');
  for (const [username, password, code] of [
    [42, 'secret', 'INVALID_ARGUMENT'], ['bob', { secret: 1 }, 'INVALID_ARGUMENT'], ['bob', Buffer.from('secret'), 'INVALID_ARGUMENT'],
    ['bob\0', 'secret', 'INVALID_OPTION'], ['bob', 'sec\0ret', 'INVALID_OPTION'],
    ['b'.repeat(513), 'secret', 'INVALID_OPTION'], ['bob', 'secret'.repeat(1000), 'INVALID_OPTION'],
  ]) {
    assert.throws(() => bus.setCredentials(username, password), (error) => {
      assert.equal(error.code, code);
      assert.doesNotMatch(error.message, /secret|sec\0ret/);
      return true;
    });
  }
  assert.equal(bus.setCredentials('bob', 'secret'), undefined); // nothing happens on memory://
  assert.equal(bus.setCredentials(undefined), undefined);
  assert.equal(await bus.publish('c', 'x'), 0);
  await bus.close();
  assert.throws(() => bus.setCredentials('bob', 'secret'), { code: 'CLOSED' });
});
