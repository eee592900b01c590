// The declarations of the faces, which tsc checks here.
export type * from 'fanwire/ws-kit';
export type { RedisPubSub as OldRedisPubSub } from 'fanwire/ws-kit/v0';
export type { RedisAdapter } from 'fanwire/ws-kit/adapter';
export type * as orijs from 'fanwire/orijs';
export type * as pondsocket from 'fanwire/pondsocket';

import { loadScalingConfig, RedisClientFactory, RedisConnectionException, RedisPubSubProvider } from 'fanwire/reverb';
import type { IPubSubProvider, ReverbMessage } from 'fanwire/reverb';
import { Redis } from 'ioredis';
import { createClient } from 'redis';

class Handler {
  handle(payload: string): void {
    payload.length;
  }
}
const logger = { info: (title: string, message?: string | null) => void [title, message], error: (text: string) => void text };
const message: ReverbMessage = { type: 'message', application: 'O:1:', payload: { event: 'e', channels: ['c'] }, socket_id: '1.2' };
class Factory extends RedisClientFactory {
  protected override async createClient() {
    return new Redis();
  }
}
const providers: IPubSubProvider[] = [
  new RedisPubSubProvider(logger, new Handler(), 'reverb', { url: 'redis://localhost', timeout: 5 }),
  new RedisPubSubProvider(logger, new Handler(), 'reverb', {}, new Factory()),
  new RedisPubSubProvider(new Factory(), new Handler(), 'reverb', { host: 'localhost', port: '6379', driver: 'tls' }),
  new RedisPubSubProvider({ ...loadScalingConfig(), messageHandler: new Handler(), client: createClient() }),
  new RedisPubSubProvider({ server: 'redis://localhost', clientFactory: { make: () => new Redis() }, enabled: false }),
];
export const counts: Promise<number>[] = providers.map((provider) => provider.publish(message));
const provider = new RedisPubSubProvider();
const off: () => void = provider.on('metrics', async ({ payload }) => payload);
provider.stopListening('metrics');
export const text: string = RedisConnectionException.failedAfter('publisher', 60).message;
// @ts-expect-error: a handler has handle()
new RedisPubSubProvider(logger, {}, 'reverb');
// @ts-expect-error: an object
void provider.publish('text');
export { off };
