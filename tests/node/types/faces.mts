// The declarations of the faces, which tsc checks here.
export type * from 'fanwire/ws-kit';
export type { RedisPubSub as OldRedisPubSub } from 'fanwire/ws-kit/v0';
export type { RedisAdapter } from 'fanwire/ws-kit/adapter';
