// The demo of a test, its people, and waiting for what will happen, with a deadline and never for a fixed time.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { io } from 'socket.io-client';

const kDeadlineMs = 20_000;
const kServers = 3;

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const folder = process.env.FANWIRE_WEB ?? path.join(root, 'build/demo/web');

/** Resolves to what `condition` returns once that is truthy. */
export async function until(condition, what = condition.toString()) {
  const deadline = Date.now() + kDeadlineMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/**
 * {ports, pids, said, url(server), pause(), resume(), close()} of a running demo; `said` has the lines that it printed.
 * While it is paused nothing that is down is started again.
 */
export async function startDemo(firstPort = 8081) {
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'fanwire-web.'));
  const said = [];
  const run = spawn(process.execPath, [path.join(folder, 'run.mjs'), scratch, String(firstPort)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const demo = {
    ports: {},
    pids: {},
    said,
    pid: run.pid,
    url: (server) => `http://127.0.0.1:${demo.ports[server]}`,
    pause: () => run.kill('SIGSTOP'),
    resume: () => run.kill('SIGCONT'),
    close,
  };
  const hear = (line) => {
    said.push(line);
    const [, name, pid] = /(\w+) is back as process (\d+)/.exec(line) ?? [];
    if (name !== undefined) demo.pids[name] = Number(pid);
  };
  for (const stream of [run.stdout, run.stderr]) createInterface({ input: stream }).on('line', hear);
  async function close() {
    if (run.exitCode === null && run.signalCode === null) {
      const ended = new Promise((resolve) => run.once('exit', resolve));
      run.kill('SIGCONT');
      run.kill('SIGTERM');
      await ended;
    }
    await rm(scratch, { recursive: true, force: true });
    return run.exitCode;
  }
  try {
    await until(() => said.some((line) => line.includes('Ctrl-C')) || run.exitCode !== null, 'three servers');
    for (const line of said) {
      const [, name, port, pid] = /server ([ABC]) +http:\/\/127\.0\.0\.1:(\d+) +process (\d+)/.exec(line) ?? [];
      if (name !== undefined) Object.assign(demo.ports, { [name]: Number(port) }) && (demo.pids[name] = Number(pid));
      const redis = /redis-cli -s (.*?) +process (\d+)/.exec(line);
      if (redis) Object.assign(demo, { redisSocket: redis[1] }).pids.Redis = Number(redis[2]);
    }
    if (Object.keys(demo.ports).length !== kServers) throw new Error(`the demo does not start:\n${said.join('\n')}`);
    return demo;
  } catch (error) {
    await close();
    throw error;
  }
}

const people = new Set();
let keys = 0;

/** A client of a server: {socket, messages, losses, fleet, ask(event, given), close()}. */
export function connect(demo, server) {
  const socket = io(demo.url(server), {
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
  });
  const person = {
    socket,
    server,
    messages: [],
    losses: [],
    fleet: undefined,
    figures: [],
    ask,
    close: () => socket.close(),
  };
  function ask(event, given) {
    return socket.timeout(kDeadlineMs).emitWithAck(event, given);
  }
  socket.on('message', (message) => person.messages.push(message));
  for (const event of ['lost', 'gap', 'resumed', 'failed'])
    socket.on(event, ({ room }) => person.losses.push([event, room]));
  socket.on('fleet', (fleet) => (person.fleet = fleet));
  socket.on('figures', (figures) => (person.figures = figures));
  people.add(person);
  return person;
}

/** One who has entered. */
export async function enter(demo, server, name, room = 'lobby', key = `key-of-a-test-${process.pid}-${++keys}`) {
  const person = connect(demo, server);
  await until(() => person.socket.connected, `${name} on server ${server}`);
  let answer;
  const hasEntered = async () => {
    answer = await person.ask('enter', { key, name, room });
    if (answer.error !== undefined && !/already/.test(answer.error))
      throw new Error(`${name} cannot enter: ${answer.error}`);
    return answer.error === undefined;
  };
  await until(hasEntered, `${name} to enter, whose namesake of another test has just left`);
  return Object.assign(person, answer, { key });
}

export function closePeople() {
  for (const person of people) person.close();
  people.clear();
}

/** The texts of one sender, in the order in which they came. */
export const textsOf = (person, name) =>
  person.messages.filter(({ from }) => from.name === name).map(({ text }) => text);

/** All servers are in reach, and these people there, by name or by id: that of before may have had the same name. */
export const sees = (person, wanted) => {
  const { servers = [] } = person.fleet ?? {};
  const there = servers.flatMap((server) => server.people.flatMap(({ id, name }) => [id, name]));
  return (
    servers.length === kServers &&
    servers.every(({ isReached }) => isReached) &&
    wanted.every((one) => there.includes(one))
  );
};
