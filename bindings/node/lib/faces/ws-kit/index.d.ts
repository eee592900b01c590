export type PubSubErrorCode =
  | 'PUBLISH_FAILED'
  | 'SUBSCRIBE_FAILED'
  | 'SERIALIZATION_ERROR'
  | 'DESERIALIZATION_ERROR'
  | 'DISCONNECTED'
  | 'CONFIGURATION_ERROR'
  | 'MAX_SUBSCRIPTIONS_EXCEEDED';

export interface PubSubErrorOptions {
  /** Whether the same call may succeed later. */
  retryable?: boolean;
  cause?: unknown;
  channel?: string;
}

export class PubSubError extends Error {
  constructor(message: string, options?: PubSubErrorOptions & { code?: PubSubErrorCode });
  readonly code: PubSubErrorCode;
  retryable: boolean;
  cause?: unknown;
  channel?: string | undefined;
}
export class PublishError extends PubSubError {
  constructor(message: string, options?: PubSubErrorOptions);
  readonly code: 'PUBLISH_FAILED';
}
export class SubscribeError extends PubSubError {
  constructor(message: string, options?: PubSubErrorOptions);
  readonly code: 'SUBSCRIBE_FAILED';
}
export class SerializationError extends PubSubError {
  constructor(message: string, options?: { cause?: unknown; channel?: string });
  readonly code: 'SERIALIZATION_ERROR';
}
export class DeserializationError extends PubSubError {
  constructor(message: string, options?: { cause?: unknown; channel?: string });
  readonly code: 'DESERIALIZATION_ERROR';
}
/** Retryable unless it says otherwise. */
export class DisconnectedError extends PubSubError {
  constructor(message: string, options?: PubSubErrorOptions);
  readonly code: 'DISCONNECTED';
}
export class ConfigurationError extends PubSubError {
  constructor(message: string, options?: { cause?: unknown });
  readonly code: 'CONFIGURATION_ERROR';
}
export class MaxSubscriptionsExceededError extends PubSubError {
  constructor(message: string, limit: number);
  readonly code: 'MAX_SUBSCRIPTIONS_EXCEEDED';
  readonly limit: number;
}

/** node-redis, ioredis or Bun's RedisClient: publishes, and is duplicated to subscribe. It is never closed. */
export interface RedisClient {
  publish?(...args: any[]): Promise<unknown>;
  duplicate?(...args: any[]): any;
}

export interface RedisPubSubOptions {
  /** Default redis://localhost:6379. Not with `client`. */
  url?: string;
  client?: RedisClient;
  /** Channels are {namespace}:{channel}; default none */
  namespace?: string;
  /** Default "json" */
  serializer?: 'json' | 'text' | 'binary' | { encode: (message: unknown) => string; decode: (text: string) => unknown };
  retry?: {
    /** Default 100 */
    initialMs?: number;
    /** Default 2 */
    factor?: number;
    /** Default 2000 */
    maxMs?: number;
    /** Default "full" */
    jitter?: 'full' | 'none' | 'decorrelated';
    /** Default "infinite" */
    maxAttempts?: number | 'infinite';
  };
  /** Most different channels and patterns. */
  maxSubscriptions?: number;
  logger?: {
    info?: (...args: unknown[]) => void;
    warn?: (...args: unknown[]) => void;
    error?: (...args: unknown[]) => void;
  };
  /** Decides `retryable` of errors; undefined: as it would be without. */
  isRetryable?: (error: unknown) => boolean | undefined;
}

export interface Subscription {
  readonly channel: string;
  /** Resolves when Redis has confirmed it. Rejects with a SubscribeError at the first failure; it is wanted all the same. */
  readonly ready: Promise<void>;
  unsubscribe(): void;
}

export type MessageHandler = (message: unknown, meta: { channel: string }) => void;
export type EventHandler = (...args: unknown[]) => void;
export type Unsubscribe = () => void;

export interface PublishResult {
  capability: 'unknown' | 'estimate' | 'exact';
  matched?: number;
  attempts: number;
  durationMs: number;
}

export interface PubSubStatus {
  connected: boolean;
  inflightPublishes: number;
  /** Without the namespace. */
  channels: { exact: string[]; patterns: string[] };
  lastError?: { code: string; message: string; at: number };
}

export interface Events {
  connect: undefined;
  disconnect: { willReconnect: boolean };
  reconnecting: { attempt: number; delayMs: number };
  /** Connected again, and everything that is wanted is subscribed again. */
  reconnected: undefined;
  error: PubSubError;
}

export type PubSubEvent =
  | { type: 'connect' }
  | { type: 'reconnecting'; attempt: number; delayMs: number }
  | { type: 'reconnected' }
  | { type: 'disconnect'; willReconnect: boolean }
  | { type: 'error'; error: PubSubError };

export interface PublishOpts {}
export interface SubscribeOpts {}
export interface OnceOpts {
  timeoutMs?: number;
}
export interface PonceOpts {
  timeoutMs?: number;
}

export interface RetryPolicy {
  /** Default 3 */
  maxAttempts?: number;
  /** Default 100 */
  initialDelayMs?: number;
  /** Default 10000 */
  maxDelayMs?: number;
  /** Default "full" */
  jitter?: 'full' | 'none' | 'decorrelated';
  onAttempt?(attempt: number, delayMs: number, error: Error): void;
}

type Handler<T> = (message: T, meta: { channel: string }) => void;

/** Opens nothing until it is used. */
export class RedisPubSub {
  constructor(options?: RedisPubSubOptions);
  readonly options: RedisPubSubOptions;
  /** The first one connects. Rejects at once while the connection is down. */
  publish<T = unknown>(channel: string, message: T, options?: unknown): Promise<void>;
  publishWithRetry<T = unknown>(channel: string, message: T, policy?: RetryPolicy): Promise<PublishResult>;
  subscribe<T = unknown>(channel: string, handler: Handler<T>): Subscription;
  psubscribe<T = unknown>(pattern: string, handler: Handler<T>): Subscription;
  unsubscribe(channel: string, handler: MessageHandler): void;
  /** The next message. Rejects after timeoutMs, and when it is closed. */
  once<T = unknown>(channel: string, options?: OnceOpts): Promise<T>;
  ponce<T = unknown>(pattern: string, options?: PonceOpts): Promise<T>;
  ready(): Promise<void>;
  connect(): Promise<void>;
  status(): PubSubStatus;
  isConnected(): boolean;
  isSubscribed(channel: string): boolean;
  isDestroyed(): boolean;
  /** The same for channels that begin with "{prefix}:". */
  ns(prefix: string): RedisPubSub;
  close(): Promise<void>;
  on<K extends keyof Events>(event: K, handler: (payload: Events[K]) => void): () => void;
  off<K extends keyof Events>(event: K, handler: (payload: Events[K]) => void): void;
}

export function createRedisPubSub(options?: RedisPubSubOptions): RedisPubSub;
