// The faces of ws-kit against the types of the packages whose place they take.
import * as ours from 'fanwire/ws-kit';
import { createAdapter, redisPubSub } from 'fanwire/ws-kit/adapter';
import * as v0 from 'fanwire/ws-kit/v0';
import type { PubSubAdapter } from '@ws-kit/core/pubsub';
import type * as theirs from '@ws-kit/redis-pubsub';

// Without what is private; ns() gives one of the same kind.
type Public<T> = { [Key in Exclude<keyof T, 'ns'>]: T[Key] };
declare const pubsub: ours.RedisPubSub;
declare const options: theirs.RedisPubSubOptions;

// Whatever took theirs takes ours, and ours takes their options.
export const asTheirs: Public<theirs.RedisPubSub> = pubsub;
export const made: ours.RedisPubSub = ours.createRedisPubSub(options);
export const error: theirs.PubSubError = new ours.PublishError('x', { retryable: true });
export const status: theirs.PubSubStatus = pubsub.status();
export const policy: ours.RetryPolicy = {} as theirs.RetryPolicy;
pubsub.on('disconnect', ({ willReconnect }) => willReconnect satisfies boolean);
export const wait: Promise<{ a: number }> = pubsub.once<{ a: number }>('c', { timeoutMs: 5 });
// @ts-expect-error: an option of 0.1
ours.createRedisPubSub({ host: 'localhost' });
// @ts-expect-error: no such event
pubsub.on('connected', () => {});

export const old: v0.RedisPubSub = v0.createRedisPubSub({ host: 'localhost', port: 6379, serializeMessage: String });
// @ts-expect-error: an option of 1.0
v0.createRedisPubSub({ serializer: 'json' });

export const adapters: PubSubAdapter[] = [createAdapter(), createAdapter('redis://localhost'), redisPubSub({ url: 'redis://localhost' })];
void createAdapter('redis://localhost').start(() => {});
// @ts-expect-error: without Redis there is nothing to start
void createAdapter().start(() => {});
