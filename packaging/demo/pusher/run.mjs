// Two servers of the Pusher protocol, a process each, on one Redis, and a client of pusher-js at each of them: node run.mjs.
// Events are triggered over HTTP on one server, and the clients of both receive them, also when Redis is away meanwhile.
// Starts all that it needs, redis-server included, and ends with 0 when everything has arrived in order.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

import PusherModule from 'pusher-js';

import { app, channelSignature, trigger } from './app.mjs';

const Pusher = PusherModule.Pusher ?? PusherModule.default ?? PusherModule;
const kDeadlineMs = 30_000;
const children = new Set();

const deadline = setTimeout(() => end(`not done after ${kDeadlineMs / 1000} s`), kDeadlineMs);

function end(failure) {
  clearTimeout(deadline);
  for (const child of children) child.kill('SIGKILL');
  if (failure) console.error(`failed: ${failure}`);
  process.exit(failure ? 1 : 0);
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end(signal));
process.on('uncaughtException', (error) => end(error.stack));

// Starts a program and resolves to the first of its lines that matches.
async function start(command, args, pattern, env) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.once('error', (error) => end(`${command}: ${error.message}`));
  const output = await new Promise((resolve) => {
    let text = '';
    child.stdout.on('data', (chunk) => pattern.test((text += chunk)) && resolve(text));
    child.once('exit', () => {
      children.delete(child);
      if (!pattern.test(text)) end(`${[command, ...args].join(' ')} ended: ${text}`);
    });
  });
  return { child, line: pattern.exec(output)[0] };
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

const redisPort = await freePort();
const startRedis = () =>
  start('redis-server', ['--port', redisPort, '--bind', '127.0.0.1', '--save', ''].map(String), /Ready to accept connections/);

let redis = await startRedis();
const serverFile = fileURLToPath(new URL('server.mjs', import.meta.url));
const isOurs = ([name]) => !/^(REDIS|REVERB_SCALING)_/.test(name); // the servers use the Redis that was started here
const environment = { ...Object.fromEntries(Object.entries(process.env).filter(isOurs)), REDIS_URL: `redis://127.0.0.1:${redisPort}` };
const startServer = () => start(process.execPath, [serverFile], /http:\/\/\S+/, environment);
const addresses = (await Promise.all([startServer(), startServer()])).map(({ line }) => line);
addresses.forEach((address, i) => console.log(`server ${i + 1}: ${address}`));

// One client at each server, in a public and in a private channel.
const clients = addresses.map((address, i) => {
  const client = new Pusher(app.key, {
    cluster: '', wsHost: '127.0.0.1', wsPort: Number(new URL(address).port), forceTLS: false, enabledTransports: ['ws'],
    disableStats: true,
    channelAuthorization: { customHandler: ({ socketId, channelName }, done) =>
      done(null, { auth: `${app.key}:${channelSignature(socketId, channelName)}` }) },
  });
  const got = [];
  const waiting = new Set();
  client.bind_global((event, data) => {
    if (event.startsWith('pusher:')) return;
    got.push(`${event} ${JSON.stringify(data)}`);
    console.log(`the client of server ${i + 1} got ${got.at(-1)}`);
    for (const look of waiting) look();
  });
  const has = (text) =>
    new Promise((resolve) => {
      const look = () => got.includes(text) && (waiting.delete(look), resolve());
      waiting.add(look);
      look();
    });
  const isIn = (name) => {
    const channel = client.channel(name) ?? client.subscribe(name);
    return channel.subscribed ? undefined : new Promise((resolve) => channel.bind('pusher:subscription_succeeded', resolve));
  };
  return { client, got, has, isIn };
});
for (const { isIn } of clients) await Promise.all([isIn('news'), isIn('private-team')]);

async function tell(server, name, data, socketId) {
  console.log(`triggering ${name} on server ${server + 1}`);
  const response = await trigger(addresses[server], { name, channels: ['news'], data: JSON.stringify(data), socket_id: socketId });
  if (response.status !== 200) end(`the answer was ${response.status}: ${await response.text()}`);
}
const allHave = (text) => Promise.all(clients.map(({ has }) => has(text)));

await tell(0, 'greeting', { text: 'to everybody' });
await allHave('greeting {"text":"to everybody"}');
await tell(1, 'answer', { text: 'NUL \0 and 😀' });
await allHave('answer {"text":"NUL \\u0000 and 😀"}');

// Whoever sends gets nothing back: here the client of server 1, by its socket_id, and then again by an event of its own.
await tell(1, 'echo', { but: 'client 1' }, clients[0].client.connection.socket_id);
clients[0].client.channel('private-team').trigger('client-typing', { by: 1 });
await clients[1].has('client-typing {"by":1}');

async function redisIs(there, server) {
  while ((await (await fetch(`${addresses[server]}/up`)).json()).redis !== there) await new Promise((resolve) => setTimeout(resolve, 5));
}

console.log('Redis is killed');
redis.child.kill('SIGKILL');
await redisIs(false, 0);
await tell(0, 'queued', { n: 1 });
await tell(0, 'queued', { n: 2 });
redis = await startRedis();
console.log('Redis is back');
await clients[0].has('queued {"n":2}');
// From when the other server is back, too, its clients get everything.
await redisIs(true, 1);
await tell(0, 'queued', { n: 3 });
await allHave('queued {"n":3}');

const inOrder = clients.every(({ got }) => {
  const numbers = got.filter((text) => text.startsWith('queued')).map((text) => Number(/\d+/.exec(text)[0]));
  return numbers.every((n, i) => i === 0 || n > numbers[i - 1]);
});
if (!inOrder || clients[0].got.some((text) => /^echo|^client-/.test(text)) || !clients[1].got.includes('echo {"but":"client 1"}')) {
  end('something came in another order, or back to its sender');
}
for (const { client } of clients) client.disconnect();
console.log('all of it has arrived');
end();
