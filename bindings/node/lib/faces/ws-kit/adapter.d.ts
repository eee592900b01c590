/** What is published, as in @ws-kit/core. */
export interface PublishEnvelope {
  topic: string;
  payload: unknown;
  type?: string;
  meta?: Record<string, unknown>;
}

export interface PublishOptions {
  partitionKey?: string;
  excludeSelf?: boolean;
  signal?: AbortSignal;
  meta?: Record<string, unknown>;
}

export type PublishResult =
  | { ok: true; capability: 'exact' | 'estimate' | 'unknown'; matched?: number }
  | {
      ok: false;
      error: 'BACKPRESSURE' | 'PAYLOAD_TOO_LARGE' | 'ADAPTER_ERROR';
      retryable: boolean;
      adapter?: string;
      details?: Record<string, unknown>;
      cause?: unknown;
    };

/** A PubSubAdapter of @ws-kit/core: the index of this process. Counts are exact. */
export interface LocalAdapter {
  publish(envelope: PublishEnvelope, options?: PublishOptions): Promise<PublishResult>;
  subscribe(clientId: string, topic: string): Promise<void>;
  unsubscribe(clientId: string, topic: string): Promise<void>;
  getSubscribers(topic: string): AsyncIterable<string>;
  replace(clientId: string, topics: Iterable<string>): Promise<{ added: number; removed: number; total: number }>;
  listTopics(): Promise<readonly string[]>;
  hasTopic(topic: string): Promise<boolean>;
  close(): Promise<void>;
}

/** ... over Redis. publish() never rejects: { ok: false } says what failed. */
export interface RedisAdapter extends LocalAdapter {
  /**
   * Delivers what is published anywhere to onRemote(), of topics that have clients here. Resolves also while Redis is away, and
   * goes on trying; rejects when it is started already. The result stops it.
   */
  start(onRemote: (envelope: PublishEnvelope) => void | Promise<void>): Promise<() => void>;
}

export interface AdapterOptions {
  /** Where Redis is; without it and `client` the adapter is of this process alone. */
  url?: string | URL;
  /** node-redis, ioredis or Bun's RedisClient: publishes, and is duplicated to subscribe. It is never closed. */
  client?: AdapterClient;
  /** Comes before the topic in the names of channels; default "". */
  channelPrefix?: string;
  /** Default JSON. */
  encode?: (envelope: PublishEnvelope) => string;
  decode?: (text: string) => PublishEnvelope;
  /** Hears of failures to connect and of messages that are dropped. Without it that is silent. */
  logger?: { error?: (...args: unknown[]) => void };
}

export interface AdapterClient {
  publish(channel: string, message: string): unknown;
  duplicate(): unknown;
}

export function createAdapter(url: string | URL, options?: AdapterOptions): RedisAdapter;
export function createAdapter(client: AdapterClient, options?: AdapterOptions): RedisAdapter;
export function createAdapter(options: AdapterOptions & ({ url: string | URL } | { client: AdapterClient })): RedisAdapter;
export function createAdapter(options?: AdapterOptions): LocalAdapter;
/** The same by the name that ws-kit's own adapter has. */
export const redisPubSub: typeof createAdapter;
