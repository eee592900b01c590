// What the drivers share, so that they differ only in the library: arguments, the checks on what is received, the loops
// that publish, and the measuring. A driver gives drive() its receive and publish.
import { parseArgs } from 'node:util';

const kDigits = 16;
const kSilenceMs = 10_000; // a message that has not come by then is missing

const { positionals, values: given } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string' },
    channels: { type: 'string', default: '1' },
    size: { type: 'string', default: '128' },
    count: { type: 'string' },
    outcomes: { type: 'boolean', default: false },
    'in-flight': { type: 'string', default: '1000' },
    threads: { type: 'string', default: '1' },
    'auto-pipelining': { type: 'boolean', default: false },
    original: { type: 'boolean', default: false },
    'broken-once': { type: 'boolean', default: false },
    ca: { type: 'string' },
  },
});

const number = (name) => {
  const value = Number(given[name]);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a positive number`);
  return value;
};

export const args = {
  mode: positionals[0],
  url: given.url,
  ca: given.ca,
  channels: number('channels'),
  size: number('size'),
  count: number('count'),
  outcomes: given.outcomes,
  inFlight: number('in-flight'),
  autoPipelining: given['auto-pipelining'],
  isOriginal: given.original,
  brokenOnce: given['broken-once'],
};
if (args.size < kDigits) throw new Error(`--size must be at least ${kDigits}`);
if (number('threads') !== 1) throw new Error('--threads: JavaScript publishes from one');

/** The path of the unix socket in the URL; undefined when it is another URL. */
export const unixPath = args.url.startsWith('unix://') ? args.url.slice('unix://'.length) : undefined;

export { load } from './packages.mjs';

const say = (line) => new Promise((resolve) => process.stdout.write(`${line}\n`, resolve));

export function fail(reason) {
  console.error(reason);
  process.exit(1);
}

/** For what a library reports of a link that broke, which is the end, unless the runner breaks it (--broken-once). */
export function onBreak(reason) {
  if (!args.brokenOnce) fail(reason);
}

function startClock() {
  const wall = performance.now();
  const cpu = process.cpuUsage(); // of the whole process, all its threads
  return (wrong) => {
    const seconds = (performance.now() - wall) / 1000;
    const used = process.cpuUsage(cpu);
    return { seconds, cpu_seconds: (used.user + used.system) / 1e6, wrong };
  };
}

async function report(result) {
  await say(JSON.stringify({ messages: args.count, ...result }));
  process.exit(0);
}

// ---- Receiving

function numberOf(text) {
  let value = 0;
  for (let i = 0; i < kDigits; ++i) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

// subscribe(names, onMessage) resolves when all are confirmed; onMessage(text) is for each message. Message i belongs to
// channel i mod C, so a channel's numbers go up by C from its first on.
async function receive(namespace, subscribe) {
  const { channels, size, count } = args;
  const next = new Array(channels).fill(-1);
  let received = 0;
  let wrong = 0;
  let clock; // from ready on
  let first; // when the first message came
  let seenInTime = -1;

  const onMessage = (text) => {
    const value = numberOf(text);
    const channel = value % channels;
    if (value < 0 || text.length !== size) {
      ++wrong;
    } else {
      if (value !== next[channel] && next[channel] !== -1) ++wrong;
      next[channel] = value + channels;
    }
    if (received++ === 0) first = performance.now();
    if (received === count) finish();
  };

  const finish = () => {
    const result = clock(wrong);
    report({ ...result, seconds: (performance.now() - first) / 1000 });
  };

  await subscribe(Array.from({ length: channels }, (_, i) => `${namespace}bench:${i}`), onMessage);
  setInterval(() => {
    if (received === seenInTime && received > 0) fail(`${count - received} of ${count} messages are missing`);
    seenInTime = received;
  }, kSilenceMs);
  clock = startClock();
  await say('ready');
}

// ---- Publishing

const payload = '0'.repeat(kDigits) + 'x'.repeat(args.size - kDigits);

// Every outcome is awaited, --in-flight of them at once: by Promise.all(), as the peers' documentation has it.
async function publishAndAwait(channel, publish) {
  for (let left = args.count; left > 0; left -= args.inFlight) {
    const calls = new Array(Math.min(args.inFlight, left));
    for (let i = 0; i < calls.length; ++i) calls[i] = publish(channel, payload);
    await Promise.all(calls);
  }
}

// Nobody looks at the outcomes but for one in `kStride`: two strides are under way at most, so that no library has to hold
// more than those. The last one awaited is the last one published: Redis has executed all.
async function publishOnly(channel, publishNoWait, publish) {
  const kStride = 2000;
  let before;
  for (let at = 0; at < args.count;) {
    const end = Math.min(at + kStride, args.count);
    for (; at < end - 1; ++at) publishNoWait(channel, payload);
    const last = publish(channel, payload);
    ++at;
    await before;
    before = last;
  }
  await before;
}

async function measurePublishing(channel, { publish, publishNoWait = publish }) {
  await say('ready');
  const clock = startClock();
  await (args.outcomes ? publishAndAwait(channel, publish) : publishOnly(channel, publishNoWait, publish));
  await report(clock(0));
}

/**
 * `connect` resolves to {subscribe(channels, onMessage), publish(channel, text), publishNoWait?}. The names they are given
 * begin with `namespace`: that of the channels in Redis, which only fanwire adds by itself.
 */
export async function drive(connect, { namespace = 'ws:' } = {}) {
  try {
    const client = await connect();
    if (args.mode === 'receive') await receive(namespace, client.subscribe);
    else if (args.mode === 'publish') await measurePublishing(`${namespace}bench:publish`, client);
    else throw new Error('usage: DRIVER receive|publish --url URL ...');
  } catch (error) {
    fail(error);
  }
}
