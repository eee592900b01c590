// A WebSocket provider of OriJS: fanwire's, or with --original a stand-in for the one of @orijs/websocket-redis, which is on no
// registry. The stand-in is its hot path as its documentation has it (two connections of ioredis, topics that are validated,
// an envelope in JSON that is cleaned), in the fewest lines, and none of its retries and logs: it costs no more than the
// original would.
import { args, drive, load, onBreak } from './driver.mjs';

const kSocket = '3f0c1e6a-8d4b-4c2a-9b1e-5a7d9c0e2f41';
const kPrefix = 'ws';

class StandIn {
  #local = new Map(); // topic -> its sockets

  constructor(Redis, { host, port }) {
    const options = { host, port, maxRetriesPerRequest: 1, enableOfflineQueue: false, lazyConnect: true };
    this.publisher = new Redis(options);
    this.subscriber = new Redis(options);
    for (const client of [this.publisher, this.subscriber]) client.on('error', onBreak).on('close', () => onBreak('closed'));
    this.subscriber.on('message', (channel, raw) => this.#receive(raw));
  }

  setServer(server) {
    this.server = server;
  }

  async start() {
    await Promise.all([this.publisher.connect(), this.subscriber.connect()]);
  }

  subscribe(socketId, topic) {
    this.#local.set(topic, new Set([socketId]));
    return this.subscriber.subscribe(`${kPrefix}:${topic}`);
  }

  async publish(topic, message) {
    if (!/^[A-Za-z0-9_:.-]{1,256}$/.test(topic)) throw new Error('invalid topic');
    const isBinary = typeof message !== 'string';
    const envelope = { topic, message: isBinary ? Buffer.from(message).toString('base64') : message, isBinary };
    await this.publisher.publish(`${kPrefix}:${topic}`, JSON.stringify(envelope));
  }

  // Objects lose the keys that could change what others inherit. The envelope has no other object in it.
  #receive(raw) {
    const { topic, message, isBinary } = JSON.parse(raw);
    if (typeof topic !== 'string' || typeof message !== 'string' || typeof isBinary !== 'boolean') return;
    if (this.#local.has(topic)) this.server.publish(topic, isBinary ? Buffer.from(message, 'base64') : message);
  }
}

await drive(async () => {
  const { hostname: host, port } = new URL(args.url);
  const connection = { host, port: Number(port) };
  let provider;
  if (args.isOriginal) {
    provider = new StandIn(await load('ioredis'), connection);
  } else {
    const { RedisWsProvider } = await load('fanwire/orijs', '../../../bindings/node/lib/faces/orijs/index.js');
    // The load may be far ahead: nothing may be dropped.
    provider = new RedisWsProvider({
      connection: { ...connection, inboxCount: 100_000_000, inboxBytes: '64GiB' },
      logger: { debug() {}, info() {}, warn: (...of) => onBreak(of.map(String).join(' ')), error: (...of) => onBreak(of.map(String).join(' ')) },
    });
  }
  if (args.mode === 'publish') {
    provider.setServer({ publish() {} });
    await provider.start();
  }
  return {
    async subscribe(topics, onMessage) {
      provider.setServer({ publish: (_topic, message) => onMessage(message) });
      await provider.start();
      for (const topic of topics) {
        await provider.subscribe(kSocket, topic);
        await provider.whenSubscribed?.(topic);
      }
    },
    publish: (topic, text) => provider.publish(topic, text),
  };
}, { namespace: '' });
