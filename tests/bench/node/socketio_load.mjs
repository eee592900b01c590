// What a measured Socket.IO server gets to do, in a process of its own, so that its CPU time is not in the figures: a
// client of the server, and a publisher that sends what another server of the fleet would. socketio_load.mjs PORT URL WIRE
// COUNT SIZE WHAT WINDOW LOSE. WHAT: member: the client is in the room, checks each message, and WINDOW messages are under
// way at most; apart: it is in another, and must get but the last message, which is for all. LOSE: a number that is left
// out, to show that it is noticed.
import net from 'node:net';
import { createInterface } from 'node:readline';

import { load } from './packages.mjs';

const [port, url, wire, ...rest] = process.argv.slice(2);
const [count, size, window, lose] = [rest[0], rest[1], rest[3], rest[4]].map(Number);
const isMember = rest[2] === 'member';
const kDigits = 16;
const kRoom = 'room';
const kSilenceMs = 20_000;

// fanwire, being linked, looks for the application's packages where it runs.
if (process.env.FANWIRE_BENCH_PACKAGES !== undefined) process.chdir(process.env.FANWIRE_BENCH_PACKAGES);
const WebSocket = await load('ws');
const digits = (number) => String(number).padStart(kDigits, '0');

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

// ---- The bodies: made once, by the emitter of either side, and then only the number changes.

async function messageOf(emit) {
  let made;
  const bus = {
    publish: (channel, body) => (made = { channel, body: Buffer.from(body) }),
    publishNoWait: (channel, body) => (made = { channel, body: Buffer.from(body) }),
    subscribe() {},
  };
  if (wire === 'classic') {
    const { Emitter } = await load('@socket.io/redis-emitter');
    emit(new Emitter(bus));
  } else {
    const { Emitter } = await load('fanwire/socket.io/emitter', '../../../bindings/node/lib/faces/socket.io/emitter.js');
    emit(new Emitter(bus));
  }
  return made;
}

const text = digits(0) + 'x'.repeat(size - kDigits);
const { channel, body } = await messageOf((emitter) => emitter.to(kRoom).emit('m', text));
const end = await messageOf((emitter) => emitter.emit('end'));
const command = ({ channel: name, body: payload }) => Buffer.concat([
  Buffer.from(`*3\r\n$7\r\nPUBLISH\r\n$${Buffer.byteLength(name)}\r\n${name}\r\n$${payload.length}\r\n`),
  payload,
  Buffer.from('\r\n'),
]);
const one = command({ channel, body });
const at = one.indexOf(digits(0));

// ---- The publisher

const redis = net.connect(new URL(url).port, new URL(url).hostname);
redis.setNoDelay(true);
redis.on('error', fail);
redis.resume();
let published = 0;

function publish(many) {
  const chunk = Buffer.allocUnsafe(one.length * many);
  for (let i = 0; i < many; ++i) {
    one.copy(chunk, i * one.length);
    if (published === lose) ++published;
    chunk.write(digits(published++), i * one.length + at, 'latin1');
  }
  return redis.write(chunk);
}

// ---- The client: Socket.IO's protocol over a bare WebSocket, which is the least work.

let received = 0;
let heardOf = 0;
const client = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, { perMessageDeflate: false });
client.on('error', fail);
client.on('message', (data) => {
  const packet = String(data);
  if (packet.startsWith('42["m","')) return onMessage(packet);
  if (packet.startsWith('42["end"')) return onEnd();
  if (packet === '2') return client.send('3');
  if (packet.startsWith('0{')) return client.send('40');
  if (packet.startsWith('40{')) return client.send(JSON.stringify(['join', isMember ? kRoom : 'another']).replace(/^/, '420'));
  if (packet.startsWith('430')) return console.log('joined');
  fail(`it got ${packet}`);
});
client.on('close', () => fail('the connection to the server was closed'));

function onMessage(packet) {
  const number = Number(packet.slice(8, 8 + kDigits));
  if (number !== received || packet.length !== size + 10) fail(`message ${number} came where ${received} was due`);
  ++received;
  if (received === count) return finish();
  const underWay = published - received;
  if (published < count && underWay <= window / 2) publish(Math.min(window - underWay, count - published));
}

function onEnd() {
  if (received !== 0 || isMember) fail('a message came to one who is not in its room');
  finish();
}

function finish() {
  clearInterval(silence);
  console.log(JSON.stringify({ messages: isMember ? received : published, wrong: 0 }));
}

const silence = setInterval(() => {
  if (heardOf === received && published > 0) fail(`${count - received} of ${count} messages are missing`);
  heardOf = received;
}, kSilenceMs);

async function flood() {
  while (published < count) {
    if (!publish(Math.min(window, count - published))) await new Promise((resolve) => redis.once('drain', resolve));
    else await new Promise(setImmediate);
  }
  redis.write(command(end));
}

for await (const line of createInterface(process.stdin)) {
  if (line === 'go') isMember ? publish(Math.min(window, count)) : flood();
  else process.exit(0);
}
