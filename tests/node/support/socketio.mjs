// Socket.IO servers and clients of a test, which are closed when it ends.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { afterEach } from 'node:test';

import { createAdapter as createRedisAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { io as connectClient } from 'socket.io-client';

import { createAdapter } from 'fanwire/socket.io';

import { event, until } from './wait.mjs';

export const { Server: Server47 } = createRequire(import.meta.url)('socket.io-4.7');

const opened = []; // functions that close

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

export const closeAtEnd = (close) => opened.push(close);

/** {io, port, adapter, bus, connect(nsp)} of a server with this adapter. */
export async function serve(adapter, Class = Server, options = {}) {
  const http = createServer();
  const io = new Class(http, { adapter, ...options });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address();
  closeAtEnd(async () => {
    io.close();
    if (http.listening) await once(http, 'close');
  });
  const { adapter: made } = io.of('/');
  return { io, port, adapter: made, bus: made.bus, connect: (nsp) => connect(io, port, nsp) };
}

/** One with fanwire's, once its subscriptions are confirmed. */
export async function serveFanwire(url, options, Class, serverOptions) {
  const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };
  const server = await serve(createAdapter(url, { ...quick, ...options }), Class, serverOptions);
  await settled(server.bus);
  return server;
}

/** All that the bus wants is confirmed. */
export const settled = (bus) => until(() => bus.health().ok && bus.stats().subscriptionsConfirmed > 0, 'a healthy bus');

/** One with @socket.io/redis-adapter. */
export async function serveOriginal(url, options, Class) {
  const clients = [createClient({ url }), createClient({ url })];
  for (const client of clients) client.on('error', () => {});
  await Promise.all(clients.map((client) => client.connect()));
  closeAtEnd(() => Promise.all(clients.map((client) => client.quit()))); // after the server, which unsubscribes
  const server = await serve(createRedisAdapter(...clients, options), Class);
  await until(() => clients[1].pSubscribe !== undefined && server.adapter.serverCount().then((count) => count > 0));
  return server;
}

/** {client, socket, got}: a client, its socket at the server and all events it got: [name, ...arguments]. */
async function connect(io, port, nsp = '/') {
  const arrived = event(io.of(nsp), 'connection');
  const client = connectClient(`http://127.0.0.1:${port}${nsp}`, { transports: ['websocket'], forceNew: true });
  closeAtEnd(() => client.close());
  const got = [];
  client.onAny((...args) => got.push(args.filter((arg) => typeof arg !== 'function')));
  const [socket] = await arrived;
  await until(() => client.connected, 'a client that is connected');
  return { client, socket, got };
}
