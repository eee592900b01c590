// A small server of the Pusher protocol, with public and private channels, that is one of many: node server.mjs [PORT]. Where
// Redis is comes from REDIS_URL, the application from REVERB_APP_ID, REVERB_APP_KEY and REVERB_APP_SECRET. Prints its address.
import { createServer } from 'node:http';

import { RedisPubSubProvider } from 'fanwire/reverb';
import { WebSocketServer } from 'ws';

import { app, channelSignature, isSame, requestSignature } from './app.mjs';

const kActivityTimeoutS = 30;
const kLongestRequest = 10_000; // bytes, as Reverb's max_request_size

// ---- Sockets of this server, and the channels they are in

const channels = new Map(); // name -> Set of sockets

const send = (socket, event, data, channel) =>
  socket.send(JSON.stringify({ event, ...(channel && { channel }), data: typeof data === 'string' ? data : JSON.stringify(data ?? {}) }));

function subscribe(socket, { channel, auth }) {
  if (typeof channel !== 'string' || channel === '') return fail(socket, 4009, 'Invalid channel');
  const isAllowed = !channel.startsWith('private-') || isSame(auth, `${app.key}:${channelSignature(socket.id, channel)}`);
  if (!isAllowed || channel.startsWith('presence-')) return fail(socket, 4009, 'Connection is unauthorized');
  if (!channels.has(channel)) channels.set(channel, new Set());
  channels.get(channel).add(socket);
  send(socket, 'pusher_internal:subscription_succeeded', {}, channel);
}

function unsubscribe(socket, channel) {
  const members = channels.get(channel);
  if (members?.delete(socket) && members.size === 0) channels.delete(channel);
}

const fail = (socket, code, message) => send(socket, 'pusher:error', { code, message });

function hear(socket, text) {
  let event, data, channel;
  try {
    ({ event, data = {}, channel } = JSON.parse(text));
    if (event.startsWith('pusher:') && typeof data === 'string') data = JSON.parse(data);
  } catch {
    return fail(socket, 4200, 'Invalid message format');
  }
  if (event === 'pusher:ping') send(socket, 'pusher:pong');
  else if (event === 'pusher:subscribe') subscribe(socket, data ?? {});
  else if (event === 'pusher:unsubscribe') unsubscribe(socket, data?.channel);
  else if (event.startsWith('client-') && String(channel).startsWith('private-') && channels.get(channel)?.has(socket)) {
    publish({ event, channel, data }, socket.id);
  }
}

// ---- What the servers say to each other

const provider = new RedisPubSubProvider({
  logger: { error: (text) => console.error(text) },
  messageHandler: {
    handle(text) {
      const { type, application, payload, socket_id: except } = JSON.parse(text);
      if (type !== 'message' || application !== app.id) return;
      for (const channel of [payload.channels ?? payload.channel ?? []].flat()) {
        for (const socket of channels.get(channel) ?? []) {
          if (socket.id !== except) send(socket, payload.event, payload.data, channel);
        }
      }
    },
  },
});

// While Redis is away it waits, in order. Nobody waits for the outcome: when it fails the logger hears of it.
const publish = (payload, except) =>
  void provider.publish({ type: 'message', application: app.id, payload, ...(except && { socket_id: except }) });

// ---- HTTP

const answer = (response, status, body) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > kLongestRequest) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  if (pathname === '/up') return answer(response, 200, { health: 'OK', redis: provider.isConnected() });
  if (request.method !== 'POST' || pathname !== `/apps/${app.id}/events`) return answer(response, 404, 'Not found.');
  const body = await bodyOf(request);
  if (body === undefined) return answer(response, 413, 'Payload too large.');
  if (!isSame(searchParams.get('auth_signature'), requestSignature('POST', pathname, searchParams, body))) {
    return answer(response, 401, 'Authentication signature invalid.');
  }
  let event;
  try {
    event = JSON.parse(body);
  } catch {}
  const { name, channel, channels: several = channel, data, socket_id: except } = event ?? {};
  const names = [several ?? []].flat();
  if (typeof name !== 'string' || names.length === 0 || names.some((one) => typeof one !== 'string')) {
    return answer(response, 422, 'An event has a name and channels.');
  }
  publish({ event: name, channels: names, data }, except);
  answer(response, 200, {});
}

const server = createServer((request, response) =>
  serve(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) answer(response, 500, 'Internal server error.');
  }),
);
const sockets = new WebSocketServer({ server, maxPayload: kLongestRequest });

sockets.on('connection', (socket, request) => {
  socket.on('error', () => {}); // it is closed then
  if (new URL(request.url, 'http://x').pathname !== `/app/${app.key}`) {
    fail(socket, 4001, 'Application does not exist');
    return socket.close(4001);
  }
  socket.id = `${Math.floor(Math.random() * 1e9)}.${Math.floor(Math.random() * 1e9)}`;
  socket.on('message', (data) => hear(socket, data));
  socket.on('close', () => [...channels.keys()].forEach((channel) => unsubscribe(socket, channel)));
  send(socket, 'pusher:connection_established', { socket_id: socket.id, activity_timeout: kActivityTimeoutS });
});

await provider.connect();
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

process.once('SIGTERM', async () => {
  for (const socket of sockets.clients) socket.terminate();
  server.close();
  await provider.disconnect();
  process.exit(0);
});
