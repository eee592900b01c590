/// <reference types="node" />
import type { OpenOptions } from '../../../index.js';

/** ioredis, redis or Bun's RedisClient: publishes, and is duplicated to subscribe. It is never closed. */
export interface RedisClient {
  publish(...args: any[]): Promise<unknown>;
  duplicate(...args: any[]): any;
}

export interface Hooks {
  /** Hears what handlers throw or reject with, and of each failed attempt to connect. */
  onError?: ((error: any) => void) | undefined;
}

/** The settings of fanwire, `url` and the like. */
export type RedisPubSubOptions = OpenOptions & Hooks;

/** `data` is shared by all handlers of a message. */
export type PubSubHandler = (topic: string, data: Buffer) => unknown;

export type PubSubData = string | ArrayBufferView | ArrayBufferLike;

/** Messages of topics in bytes, also our own. Connects at the first use, and again by itself. */
export class RedisPubSub {
  constructor(url?: string | URL, options?: RedisPubSubOptions);
  constructor(client: RedisClient, options?: Hooks);
  constructor(options: RedisPubSubOptions | (Hooks & { client: RedisClient }));
  /**
   * A pattern is a topic, or what topics begin with and ".*". Resolves, when Redis has confirmed it, to a function that takes
   * the handler away again. Rejects with a PondError of code 503 when the attempt to connect fails: then it is not subscribed.
   */
  subscribe(pattern: string, handler: PubSubHandler): Promise<() => void>;
  /** Takes a handler away, or all of the pattern. Rejects with a PondError of code 404 when there is none. */
  unsubscribe(pattern: string, handler?: PubSubHandler): Promise<void>;
  /** Waits for the first connection; rejects with a PondError of code 503 at once while it is down later. */
  publish(topic: string, data: PubSubData): Promise<void>;
  /** Afterwards all else rejects with a PubSubClosedError. */
  close(): Promise<void>;
}

export function createRedisPubSub(url?: string | URL, options?: RedisPubSubOptions): RedisPubSub;
export function createRedisPubSub(client: RedisClient, options?: Hooks): RedisPubSub;
export function createRedisPubSub(options: RedisPubSubOptions | (Hooks & { client: RedisClient })): RedisPubSub;

export type DistributedMessageType =
  | 'STATE_REQUEST'
  | 'STATE_RESPONSE'
  | 'USER_JOINED'
  | 'USER_LEFT'
  | 'USER_MESSAGE'
  | 'PRESENCE_UPDATE'
  | 'PRESENCE_REMOVED'
  | 'ASSIGNS_UPDATE'
  | 'EVICT_USER'
  | 'USER_REMOVE'
  | 'USER_GET_REQUEST'
  | 'USER_GET_RESPONSE'
  | 'NODE_HEARTBEAT';
export const DistributedMessageType: { readonly [Type in DistributedMessageType]: Type };

/** What the type needs stands in it, too. `broadcast()` adds what is missing here. */
export interface DistributedMessage {
  protocol?: 'pondsocket.distributed';
  version?: 1;
  type: DistributedMessageType;
  messageId?: string;
  endpointName: string;
  channelName: string;
  timestamp?: number;
  sourceNodeId?: string;
  [key: string]: unknown;
}

export type RedisDistributedBackendOptions = Omit<OpenOptions, 'namespace'> & {
  host?: string | undefined;
  /** Default 6379 */
  port?: number | undefined;
  password?: string | undefined;
  database?: number | undefined;
  url?: string | undefined;
  /** Instead of all these. */
  client?: RedisClient | undefined;
  /** Topics are {keyPrefix}:v1:{namespace}:{endpoint}:{channel}; default "pondsocket" */
  keyPrefix?: string | undefined;
  /** Default "default" */
  namespace?: string | undefined;
  /** Milliseconds; default 30000 */
  heartbeatIntervalMs?: number | undefined;
  /** Milliseconds after which the server takes a node for dead; default 90000 */
  heartbeatTimeoutMs?: number | undefined;
  onError?: ((error: Error) => void) | undefined;
};

/** The backend of a PondSocket: new PondSocket({ distributedBackend }). Its own messages do not come back. */
export class RedisDistributedBackend {
  constructor(options?: RedisDistributedBackendOptions);
  readonly nodeId: string;
  readonly heartbeatTimeoutMs: number;
  /** Resolves when it is connected, however long that takes; rejects when trying again is in vain. */
  initialize(): Promise<void>;
  /** Rejects while it is not connected. */
  broadcast(endpointName: string, channelName: string, message: DistributedMessage): Promise<void>;
  /** Resolves, when Redis has confirmed it, to a function that takes this handler away again. */
  subscribeToChannel(endpointName: string, channelName: string, handler: (message: any) => void): Promise<() => void>;
  subscribeToHeartbeats(handler: (nodeId: string) => void): () => void;
  cleanup(): Promise<void>;
}

export class PondError extends Error {
  constructor(text: string, code: number, options?: { channelName?: string; temporary?: boolean; cause?: unknown });
  /** A status of HTTP. */
  readonly code: number;
  readonly channelName: string;
  /** Whether the same call may succeed later. */
  readonly temporary: boolean;
  cause?: unknown;
}

/** "pubsub: closed" */
export class PubSubClosedError extends Error {
  constructor();
}

/** pondsocket:{endpoint}:{channel}:{event} */
export function formatTopic(endpoint: string, channel: string, event: string): string;

export interface TopicNames {
  /** Default "default" */
  namespace?: string | undefined;
  /** Default "pondsocket" */
  prefix?: string | undefined;
}

/** {prefix}:v1:{namespace}:{endpoint}:{channel}, of version 1 of the protocol. The endpoint loses its first slash. */
export function formatChannelTopic(endpoint: string, channel: string, names?: TopicNames): string;
export function formatHeartbeatTopic(names?: TopicNames): string;

/** Whether a topic is one of the pattern. */
export function matchTopic(pattern: string, topic: string): boolean;
