// One of the three chat servers: server.mjs NAME PORT REDIS_URL search|insist. run.mjs starts it and is told its port.
import { createServer } from 'node:http';

import { createAdapter } from 'fanwire/socket.io';
import { Server } from 'socket.io';

import { Chat } from './chat.mjs';
import { isOurs, servePage } from './files.mjs';
import { Fleet } from './fleet.mjs';

const kNextPort = 3; // there are three servers
const kHighestPort = 65_535;
const kAgainMs = 500;
const kMostClients = 1000;

const [name, firstPort, redisUrl, how] = process.argv.slice(2);

const http = createServer(servePage);
const io = new Server(http, {
  adapter: createAdapter(redisUrl, {
    notifyClients: 'gap', // the event that clients get where messages are missing
    requestsTimeout: 2000,
    reconnectDelayMs: 50,
    maxReconnectDelayMs: 250,
  }),
  maxHttpBufferSize: 16 * 1024,
  // Any page that is open in the browser can reach this address.
  allowRequest: (request, answer) => answer(null, isOurs(request) && io.engine.clientsCount < kMostClients),
});

const fleet = new Fleet(io, name, (told) => process.send?.(told));
const chat = new Chat(io, fleet);
io.on('connection', (socket) => chat.welcome(socket));

// Clients get what happens to their own rooms; null stands for what goes to all servers.
const { adapter } = io.of('/');
for (const event of ['lost', 'resumed', 'gap', 'failed']) {
  adapter.on(event, (room, detail) => {
    fleet.noteLoss(event, room);
    if (event === 'gap') return; // clients have it by notifyClients
    const to = room === null ? io.local : io.local.to(room);
    to.emit(event, { room, ...(detail?.code !== undefined && { code: detail.code }) });
  });
}

process.on('message', ({ redis }) => redis && fleet.setRedis(redis));
process.on('disconnect', () => process.exit(1)); // nobody would end it
process.on('SIGINT', () => {}); // of a terminal; run.mjs gets it too
process.on('SIGTERM', () => {
  fleet.close();
  io.close(() => process.exit(0));
  http.closeAllConnections(); // browsers keep some
});

let hasSaid = false;
function listen(port) {
  http.once('error', (error) => {
    if (error.code !== 'EADDRINUSE') {
      console.error(`server ${name}: ${error.message}`);
      process.exit(1);
    }
    if (how === 'search') return listen(port + kNextPort <= kHighestPort ? port + kNextPort : 0);
    if (!hasSaid) console.error(`server ${name} waits for port ${port}, which another program has taken`);
    hasSaid = true;
    setTimeout(listen, kAgainMs, port);
  });
  http.listen(port, '127.0.0.1');
}

http.once('listening', () => {
  const { port } = http.address();
  http.removeAllListeners('error');
  fleet.open(port);
  process.send?.({ listening: port });
});
listen(Number(firstPort));
