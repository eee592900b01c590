/// <reference types="node" />
import type { EventEmitter } from 'node:events';
import type { Settings } from '../../../index.js';

/** A Logger of @orijs/logging, or the like. */
export interface Logger {
  debug(text: string, data?: Record<string, unknown>): void;
  info(text: string, data?: Record<string, unknown>): void;
  warn(text: string, data?: Record<string, unknown>): void;
  error(text: string, data?: Record<string, unknown>): void;
}

/** What delivers to the sockets of this process: a server of Bun, or anything with its publish(). */
export interface WsServer {
  publish(topic: string, data: any): unknown;
}

/** Text or bytes. */
export type WsMessage = string | ArrayBufferLike | ArrayBufferView;

/** As SocketMessage.define() of OriJS makes them. The schema: a function, a Standard Schema, or a schema of TypeBox. */
export interface SocketMessage<Data = any> {
  readonly name: string;
  readonly dataSchema: unknown;
  readonly _data?: Data;
}

export interface WebSocketProviderOptions {
  /** None: silence. */
  logger?: Logger | undefined;
}

/**
 * What both providers have. A topic has 1 to 256 characters of a-z A-Z 0-9 _ : . -, a socket's id is a UUID v4; anything else
 * is thrown as an Error, at once. A socket is connected from its first topic, or trackConnection(), until it has none left and
 * is not tracked.
 */
export interface WebSocketProvider {
  start(): Promise<void>;
  /** Forgets all sockets, topics and the server. start() may be called again. */
  stop(): Promise<void>;
  setServer(server: WsServer): void;
  /** What it rejects with is logged, too, and ends no process when nobody waits for it. */
  publish(topic: string, message: WsMessage): Promise<void>;
  /** To the topic __socket__:{socketId}. */
  send(socketId: string, message: WsMessage): void;
  /** To the topic __broadcast__. */
  broadcast(message: WsMessage): void;
  /** Publishes {"name","data","timestamp"} when the data is what the message's schema says, or rejects. */
  emit<Data>(message: SocketMessage<Data>, topic: string, data: Data): Promise<void>;
  subscribe(socketId: string, topic: string): void;
  unsubscribe(socketId: string, topic: string): void;
  unsubscribeAll(socketId: string): void;
  /** unsubscribeAll() and untrackConnection(). */
  disconnect(socketId: string): void;
  trackConnection(socketId: string): void;
  /** The same as disconnect(). */
  untrackConnection(socketId: string): void;
  /** Of this process, as are the following. */
  isConnected(socketId: string): boolean;
  getConnectionCount(): number;
  getTopicSubscriberCount(topic: string): number;
}

export class InProcWsProvider implements WebSocketProvider {
  constructor(options?: WebSocketProviderOptions);
  start(): Promise<void>;
  stop(): Promise<void>;
  setServer(server: WsServer): void;
  publish(topic: string, message: WsMessage): Promise<void>;
  send(socketId: string, message: WsMessage): void;
  broadcast(message: WsMessage): void;
  emit<Data>(message: SocketMessage<Data>, topic: string, data: Data): Promise<void>;
  subscribe(socketId: string, topic: string): void;
  unsubscribe(socketId: string, topic: string): void;
  unsubscribeAll(socketId: string): void;
  disconnect(socketId: string): void;
  trackConnection(socketId: string): void;
  untrackConnection(socketId: string): void;
  isConnected(socketId: string): boolean;
  getConnectionCount(): number;
  getTopicSubscriberCount(topic: string): number;
}

export interface RedisConnectionOptions extends Settings {
  /** Default "localhost" */
  host?: string;
  /** Default 6379 */
  port?: number;
}

export interface RedisWsProviderOptions extends WebSocketProviderOptions {
  /** The server; any other setting of fanwire may stand there, too. */
  connection: RedisConnectionOptions;
  /** Channels are {keyPrefix}:{topic}; default "ws" */
  keyPrefix?: string | undefined;
  /** Milliseconds; default 2000 */
  connectTimeout?: number | undefined;
}

/** One of the two connections, as far as others may look at it: 'ready', 'error', 'end'. */
export interface RedisConnection extends EventEmitter {
  readonly status: 'connecting' | 'ready' | 'end';
}

export class RedisWsProvider implements WebSocketProvider {
  constructor(options: RedisWsProviderOptions);
  /** null unless it is started. */
  readonly publisher: RedisConnection | null;
  readonly subscriber: RedisConnection | null;
  getKeyPrefix(): string;
  getConnectTimeout(): number;
  /** Resolves at once, and connects in the background until stop(). */
  start(): Promise<void>;
  stop(): Promise<void>;
  setServer(server: WsServer): void;
  /** Waits for the first connection, at most connectTimeout; rejects at once while it is down later. */
  publish(topic: string, message: WsMessage): Promise<void>;
  send(socketId: string, message: WsMessage): void;
  broadcast(message: WsMessage): void;
  emit<Data>(message: SocketMessage<Data>, topic: string, data: Data): Promise<void>;
  subscribe(socketId: string, topic: string): void;
  /** Resolves when Redis has confirmed a topic that a socket is subscribed to; rejects when none is. */
  whenSubscribed(topic: string): Promise<void>;
  unsubscribe(socketId: string, topic: string): void;
  unsubscribeAll(socketId: string): void;
  disconnect(socketId: string): void;
  trackConnection(socketId: string): void;
  untrackConnection(socketId: string): void;
  isConnected(socketId: string): boolean;
  getConnectionCount(): number;
  getTopicSubscriberCount(topic: string): number;
}

export function createRedisWsProvider(options: RedisWsProviderOptions): RedisWsProvider;
export function createInProcWsProvider(options?: WebSocketProviderOptions): InProcWsProvider;

/** Throws what the providers throw. */
export function validateTopic(topic: string): void;
export function validateSocketId(socketId: string): void;
export const MAX_TOPIC_LENGTH: number;
export const UUID_V4_REGEX: RegExp;
