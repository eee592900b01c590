/** Laravel's configuration of a Redis connection. What `url` says has precedence over the other fields. */
export interface RedisServerConfig {
  /** redis://, rediss://, tcp:// or tls://, where username, password, database and timeout (milliseconds) may stand in the query. */
  url?: string | undefined;
  host?: string | undefined;
  port?: number | string | undefined;
  username?: string | undefined;
  password?: string | undefined;
  database?: number | string | undefined;
  /** "tls": TLS; so is the same in `scheme` */
  driver?: string | undefined;
  scheme?: string | undefined;
  /** Seconds for which a publish waits for Redis; default 60 */
  timeout?: number | string | undefined;
  /** false: no Redis; this server is alone */
  enabled?: boolean | undefined;
  /** As the settings of a bus. */
  tlsCaFile?: string | undefined;
  tlsCertFile?: string | undefined;
  tlsKeyFile?: string | undefined;
  tlsServerName?: string | undefined;
  tlsVerify?: boolean | 'ca' | undefined;
}

export interface ScalingConfig {
  enabled: boolean;
  /** Default "reverb" */
  channel?: string | undefined;
  server?: RedisServerConfig | undefined;
}

/** What REVERB_SCALING_ENABLED, REVERB_SCALING_CHANNEL, REDIS_URL, REDIS_HOST, REDIS_PORT and the like say. */
export function loadScalingConfig(env?: { [name: string]: string | undefined }): ScalingConfig & { channel: string; server: RedisServerConfig };

export interface IPubSubIncomingMessageHandler {
  /** Gets each message as it is on the wire: JSON. */
  handle(payload: string): void | Promise<void>;
}

/** What it throws is ignored. */
export interface ILogger {
  info?(title: string, message?: string | null): void;
  error?(message: string): void;
}

export interface IPubSubProvider {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  subscribe(): Promise<void>;
  on(event: string, callback: (data: any) => void): void;
  publish(payload: Record<string, unknown>): Promise<number>;
}

/** What Reverb's servers say to each other. `application` is opaque: text that the server serialized, NULs included. */
export type ReverbMessage =
  | {
      type: 'message';
      application: string;
      payload: { event: string; channel?: string; channels?: string | string[]; data?: unknown };
      /** The connection that is to get nothing. */
      socket_id?: string;
    }
  | { type: 'terminate'; application: string; payload: { user_id: string } }
  | { type: 'metrics'; application?: string; key?: string; payload: unknown };

/** A client as ioredis has it. */
export interface RedisClient {
  publish(channel: string, message: string): Promise<number>;
  subscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: any[]) => void): unknown;
  quit(): unknown;
}

export class RedisClientFactory {
  /** `redisUrl`: as Laravel writes it, redis://host:port?username=...&password=...&db=... */
  make(redisUrl: string): Promise<RedisClient>;
  /** `options`: ioredis's, which has to be installed. */
  protected createClient(options: Record<string, unknown>): Promise<RedisClient>;
}

/** Its make() is called for a client that publishes and for one that subscribes, and for others when these have ended. */
export interface ClientFactory {
  make(redisUrl: string): RedisClient | Promise<RedisClient>;
}

/** node-redis 4 or later, ioredis 5 or later, or Bun's RedisClient: publishes, and is duplicated to subscribe. It is never closed. */
export interface PassedClient {
  publish?(...args: any[]): Promise<unknown>;
  duplicate?(...args: any[]): any;
}

export interface ProviderOptions {
  logger?: ILogger | null | undefined;
  messageHandler?: IPubSubIncomingMessageHandler | null | undefined;
  /** Default "reverb" */
  channel?: string | undefined;
  /** Or its URL. Empty: as the environment says. */
  server?: RedisServerConfig | string | null | undefined;
  /** false: no Redis; this server is alone */
  enabled?: boolean | undefined;
  client?: PassedClient | undefined;
  clientFactory?: ClientFactory | undefined;
}

export class RedisConnectionException extends Error {
  static failedAfter(name: string, timeout: number, options?: { cause?: unknown }): RedisConnectionException;
  /** Of a publish: TIMEOUT or NOT_CONNECTED; it was not sent, and the same may succeed later. */
  readonly code?: string;
  readonly retryable?: boolean;
}

export class RedisPubSubProvider implements IPubSubProvider {
  /** Opens nothing. */
  constructor(options?: ProviderOptions);
  constructor(
    logger: ILogger | null | undefined,
    messageHandler: IPubSubIncomingMessageHandler | null | undefined,
    channel?: string,
    server?: RedisServerConfig | string,
    clientFactory?: ClientFactory,
  );
  /** The order of Laravel. */
  constructor(
    clientFactory: ClientFactory,
    messageHandler: IPubSubIncomingMessageHandler | null | undefined,
    channel?: string,
    server?: RedisServerConfig | string,
  );
  /**
   * Connects and subscribes. Resolves when messages arrive, or when the first attempt has failed: others follow by themselves.
   * Rejects when the configuration is wrong.
   */
  connect(): Promise<void>;
  /** What was published is sent, if that takes not more than half a second. The listeners stay; connect() connects again. */
  disconnect(): Promise<void>;
  /** Waits for what connect() began. Rejects before connect(). */
  subscribe(): Promise<void>;
  /** Messages of this type, parsed. Returns what takes this callback away. */
  on(event: string, callback: (message: any) => void | Promise<void>): () => void;
  /** Takes all callbacks of the event away. */
  stopListening(event: string): void;
  /**
   * Resolves to the number of receivers, this server among them. While Redis is away it waits, in order, for up to the seconds
   * of `timeout`, and then rejects with a RedisConnectionException. A rejection that nobody waits for ends no process; the
   * logger hears of it.
   */
  publish(payload: ReverbMessage | Record<string, unknown>): Promise<number>;
  /** Whether Redis is there and messages arrive. */
  isConnected(): boolean;
}
