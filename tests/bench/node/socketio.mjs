// A Socket.IO server with the adapter that is measured: socketio.mjs ADAPTER WHAT --url URL --count N. ADAPTER: ours,
// ours-classic, redis-adapter. WHAT: socketio-member or socketio-apart, see socketio_load.mjs, which publishes and is the
// client. The CPU time is this process's, from the first publish to the client's last message.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { load } from './packages.mjs';

const { positionals: [kind, what], values: { url, count, size, window, lose } } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string' },
    count: { type: 'string' },
    channels: { type: 'string' }, // every driver has it
    size: { type: 'string', default: '128' },
    window: { type: 'string', default: '256' },
    lose: { type: 'string', default: '-1' },
  },
});

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

// fanwire, being linked, looks for the application's packages where it runs.
if (process.env.FANWIRE_BENCH_PACKAGES !== undefined) process.chdir(process.env.FANWIRE_BENCH_PACKAGES);
const { Server } = await load('socket.io');

async function makeAdapter() {
  if (kind === 'redis-adapter') {
    const { createClient } = await load('redis');
    const { createAdapter } = await load('@socket.io/redis-adapter');
    const clients = [createClient({ url }), createClient({ url })];
    for (const client of clients) client.on('error', fail);
    await Promise.all(clients.map((client) => client.connect()));
    return createAdapter(...clients);
  }
  const { createAdapter } = await load('fanwire/socket.io', '../../../bindings/node/lib/faces/socket.io/index.js');
  return createAdapter(url, { wire: kind === 'ours-classic' ? 'classic' : 'interest', inboxCount: 1_000_000 });
}

const http = createServer();
const io = new Server(http, { adapter: await makeAdapter() });
io.on('connection', (socket) => socket.on('join', async (room, joined) => {
  await socket.join(room);
  joined();
}));
const { adapter } = io.of('/');
for (const event of ['gap', 'failed', 'invalid']) adapter.on(event, (_room, detail) => fail(detail));
while (!((await adapter.serverCount()) >= 1)) await new Promise((resolve) => setTimeout(resolve, 5));
http.listen(0, '127.0.0.1');
await once(http, 'listening');

const wire = kind === 'ours' ? 'interest' : 'classic';
const args = [http.address().port, url, wire, count, size, what.replace('socketio-', ''), window, lose];
const script = fileURLToPath(new URL('socketio_load.mjs', import.meta.url));
const helper = spawn('node', [script, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
helper.on('exit', (code) => code === 0 || fail('the other side has failed'));
process.once('exit', () => helper.kill('SIGKILL'));
let clock;
for await (const line of createInterface(helper.stdout)) {
  if (line === 'joined') {
    await new Promise((resolve) => setTimeout(resolve, 100)); // what connecting costs is over
    clock = { wall: performance.now(), cpu: process.cpuUsage() };
    helper.stdin.write('go\n');
    continue;
  }
  const { user, system } = process.cpuUsage(clock.cpu);
  const seconds = (performance.now() - clock.wall) / 1000;
  console.log(JSON.stringify({ ...JSON.parse(line), seconds, cpu_seconds: (user + system) / 1e6 }));
  process.exit(0);
}
