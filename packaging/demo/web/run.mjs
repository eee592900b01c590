// Starts a Redis and the three chat servers, a process each, and starts again what dies: run.mjs FOLDER [FIRST_PORT]
//
// Redis listens on a socket in FOLDER, so no other program can take its address while it is down. The servers listen on
// FIRST_PORT and the two after it, or, where one is taken, three further and so on.
import { fork, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const kRedisDownMs = 4000; // long enough to write something meanwhile
const kServerDownMs = 1000;
const kStopMs = 5000;
const names = ['A', 'B', 'C'];

const [folder, firstPort = '8081'] = process.argv.slice(2);
if (folder === undefined || !/^[1-9]\d{0,4}$/.test(firstPort) || Number(firstPort) > 65_000) {
  console.error('usage: run.mjs FOLDER [FIRST_PORT]');
  process.exit(2);
}

const redisSocket = path.resolve(folder, 'redis.sock');
if (Buffer.byteLength(redisSocket) > 107) {
  console.error(`run.mjs: ${redisSocket} is too long for a socket: 107 bytes at most`);
  process.exit(2);
}

const servers = new Map(); // name -> {child, port}
let redis; // the process
let redisState = { up: false };
let killedBy;
let stopping = false;

const say = (text) => console.log(text);

function tellServers(told) {
  for (const { child } of servers.values()) if (child?.connected) child.send(told, () => {});
}

function setRedis(state) {
  redisState = state;
  tellServers({ redis: state });
}

// Resolves when it is ready, or false when it has ended before.
function startRedis() {
  const started = spawn(
    'redis-server',
    ['--port', '0', '--unixsocket', redisSocket, '--save', '', '--appendonly', 'no', '--dir', path.resolve(folder)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  redis = started;
  const said = [];
  return new Promise((resolve) => {
    createInterface({ input: started.stdout }).on('line', (line) => {
      if (said.length < 50) said.push(line);
      if (!/ready to accept connections/i.test(line)) return; // Redis 7 has other words for a socket alone
      setRedis({ up: true });
      resolve(true);
    });
    started.on('error', (error) => {
      console.error(`redis-server cannot be started: ${error.message}`);
      resolve(false);
    });
    started.on('exit', (code, signal) => {
      if (stopping || redis !== started) return;
      if (!redisState.up && killedBy === undefined) console.error(said.join('\n'));
      say(`Redis has ended (${signal ?? `exit code ${code}`}); the next one starts in ${kRedisDownMs / 1000} s`);
      setRedis({ up: false, by: killedBy, backInMs: kRedisDownMs, at: Date.now() });
      killedBy = undefined;
      resolve(false);
      setTimeout(() => {
        if (!stopping) startRedis().then((ready) => ready && say(`Redis is back as process ${redis.pid}`));
      }, kRedisDownMs);
    });
  });
}

function killRedis(by) {
  if (!redisState.up) return;
  killedBy = by;
  redis.kill('SIGKILL');
}

// Resolves when it listens. A server that is started again insists on its port, because that is where its people are.
function startServer(name, port, insists) {
  const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'server.mjs');
  const child = fork(program, [name, port, `unix://${redisSocket}`, insists ? 'insist' : 'search']);
  servers.set(name, { child, port: servers.get(name)?.port });
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (message.killRedis !== undefined) killRedis(message.killRedis);
      if (message.listening === undefined) return;
      servers.get(name).port = message.listening;
      child.send({ redis: redisState }, () => {});
      resolve();
    });
    child.on('exit', (code, signal) => {
      if (stopping) return;
      const known = servers.get(name).port;
      if (known === undefined) return reject(new Error(`server ${name} does not start`));
      say(
        `server ${name} has ended (${signal ?? `exit code ${code}`}); it is started again in ${kServerDownMs / 1000} s`,
      );
      setTimeout(() => {
        if (stopping) return;
        startServer(name, String(known), true).then(() =>
          say(`server ${name} is back as process ${servers.get(name).child.pid}`),
        );
      }, kServerDownMs);
    });
  });
}

const hasEnded = (child) =>
  child === undefined || child.exitCode !== null || child.signalCode !== null || child.pid === undefined;

async function stop(code) {
  if (stopping) return;
  stopping = true;
  const children = [...[...servers.values()].map(({ child }) => child), redis].filter((child) => !hasEnded(child));
  const deadline = setTimeout(() => children.forEach((child) => child.kill('SIGKILL')), kStopMs);
  await Promise.all(
    children.map(
      (child) =>
        new Promise((resolve) => {
          child.once('exit', resolve);
          child.kill('SIGTERM');
        }),
    ),
  );
  clearTimeout(deadline);
  process.exit(code);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(0));

try {
  if (!(await startRedis())) throw new Error('there is no Redis');
  await Promise.all(names.map((name, i) => startServer(name, String(Number(firstPort) + i), false)));
  const title = 'Open these side by side:';
  say(`\n  ${title}\n`);
  for (const [name, { port, child }] of servers)
    say(`    server ${name}   http://127.0.0.1:${port}   process ${child.pid}`);
  say(`    Redis      redis-cli -s ${redisSocket}   process ${redis.pid}\n`);
  say('  Ctrl-C stops everything.\n');
} catch (error) {
  console.error(`run.mjs: ${error.message}`);
  await stop(1);
}
