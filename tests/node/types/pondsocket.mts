// fanwire/pondsocket as an application uses it.
import { createRedisPubSub, DistributedMessageType, PondError, RedisDistributedBackend, RedisPubSub } from 'fanwire/pondsocket';
import { Redis } from 'ioredis';
import { createClient } from 'redis';

export const all: RedisPubSub[] = [
  new RedisPubSub(),
  new RedisPubSub('redis://localhost', { password: 'x', onError: (error) => void error }),
  new RedisPubSub(new URL('redis://localhost')),
  new RedisPubSub({ host: 'localhost', port: 6379 }),
  new RedisPubSub(new Redis()),
  createRedisPubSub({ client: createClient(), onError: () => {} }),
];
const off: Promise<() => void> = all[0]!.subscribe('a.*', async (topic: string, data: Buffer) => [topic, data]);
void off;
void all[0]!.publish('a', new ArrayBuffer(1));
// @ts-expect-error: neither text nor bytes
void all[0]!.publish('a', { a: 1 });
// @ts-expect-error: what connects was passed in
new RedisPubSub(new Redis(), { host: 'localhost' });

export const backend = new RedisDistributedBackend({ url: 'redis://localhost', namespace: 'n', database: 1, heartbeatIntervalMs: 5 });
void backend.broadcast('e', 'c', { type: DistributedMessageType.USER_LEFT, endpointName: 'e', channelName: 'c', userId: 'u' });
// @ts-expect-error: no such type
void backend.broadcast('e', 'c', { type: 'NONE', endpointName: 'e', channelName: 'c' });
backend.subscribeToHeartbeats((nodeId: string) => void nodeId)();
export const code: number = new PondError('x', 404).code;
