// fanwire/orijs as an application of OriJS uses it. The original's own types are not on npm.
import { createInProcWsProvider, createRedisWsProvider, InProcWsProvider, RedisWsProvider } from 'fanwire/orijs';
import type { Logger, WebSocketProvider } from 'fanwire/orijs';

declare const logger: Logger & { child(name: string): Logger };
declare const server: { publish(topic: string, data: string | ArrayBufferView | ArrayBuffer, compress?: boolean): number };

export const providers: WebSocketProvider[] = [
  new RedisWsProvider({ connection: { host: 'localhost', port: 6379 }, keyPrefix: 'ws', connectTimeout: 2000, logger }),
  createRedisWsProvider({ connection: { host: 'localhost', port: 6379, password: 'x', tls: true } }),
  new InProcWsProvider(),
  createInProcWsProvider({ logger }),
];
for (const provider of providers) {
  provider.setServer(server);
  provider.start() satisfies Promise<void>;
  provider.publish('room', new Uint8Array(1)) satisfies Promise<void>;
  provider.emit({ name: 'm', dataSchema: () => 1 }, 'room', { a: 1 }) satisfies Promise<void>;
  provider.send('id', 'text') satisfies void;
  provider.getConnectionCount() satisfies number;
}
declare const redis: RedisWsProvider;
void redis.whenSubscribed('room');
redis.subscriber?.on('ready', () => {});
// @ts-expect-error: neither text nor bytes
void redis.publish('room', { a: 1 });
// @ts-expect-error: it has no options without a connection
new RedisWsProvider({ keyPrefix: 'ws' });
// @ts-expect-error: no such setting
new RedisWsProvider({ connection: { hots: 'localhost' } });
