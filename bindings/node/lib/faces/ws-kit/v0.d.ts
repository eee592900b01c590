/** The options of @ws-kit/redis-pubsub 0.1. */
export interface RedisPubSubOptions {
  /** Also redis-cluster:// and redis-sentinel://, which the engine reads. */
  url?: string;
  /** Default "localhost" */
  host?: string;
  /** Default 6379 */
  port?: number;
  password?: string;
  db?: number;
  tls?: boolean;
  /** node-redis, ioredis or Bun's RedisClient: publishes, and is duplicated to subscribe. It is never closed. */
  client?: unknown;
  /** Channels are {namespace}:{channel}; default "ws" */
  namespace?: string;
  onConnect?: () => void;
  onError?: (error: Error) => void;
  onDisconnect?: () => void;
  /** Milliseconds; default 2000 */
  maxReconnectDelay?: number;
  serializeMessage?: (message: unknown) => string;
  deserializeMessage?: (text: string) => unknown;
}

export type MessageHandler = (message: unknown) => void | Promise<void>;

export class RedisPubSub {
  constructor(options?: RedisPubSubOptions);
  /** Rejects at once while the connection is down; the first one is waited for. */
  publish(channel: string, message: unknown): Promise<void>;
  subscribe(channel: string, handler: MessageHandler): void;
  unsubscribe(channel: string, handler: MessageHandler): void;
  isConnected(): boolean;
  destroy(): Promise<void>;
}

export function createRedisPubSub(options?: RedisPubSubOptions): RedisPubSub;
