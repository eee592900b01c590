/// <reference types="node" />
import type { Namespace } from 'socket.io';
import type { Bus, FanwireError, Gap, OpenOptions } from '../../../index.js';

// By way of socket.io, which applications have, where packages see only their own, as with pnpm.
type Adapter = Namespace['adapter'];

/** What encodes and decodes msgpack: notepack.io, unless it is given. */
export interface Parser {
  encode(value: any): Uint8Array;
  decode(data: Buffer): any;
}

export interface AdapterOptions {
  /**
   * interest (the default): a server receives only what is for rooms that it has, and for all. classic: that of
   * @socket.io/redis-adapter and @socket.io/redis-emitter, so that servers of both kinds make one fleet. sharded:
   * that of its createShardedAdapter(), which needs a client in place of a URL.
   */
  wire?: 'interest' | 'classic' | 'sharded' | undefined;
  /** How the names of the channels begin: "fanwire:socket.io", with the classic wire "socket.io". */
  key?: string | undefined;
  /** Milliseconds to wait for the answers of other servers: 5000. */
  requestsTimeout?: number | undefined;
  /**
   * Emits an event to the local clients of each room of which messages are missing, with {room, reason, count}; room
   * is null when messages for all may be missing. true: "fanwire:gap"; or the event's name.
   */
  notifyClients?: boolean | string | undefined;
  /** classic: answers go to the server that asked alone. As in the original. */
  publishOnSpecificResponseChannel?: boolean | undefined;
  /** sharded: which rooms have channels of their own. As in the original. */
  subscriptionMode?: 'dynamic' | 'dynamic-private' | 'static' | undefined;
  parser?: Parser | undefined;
  /** The same as a client in place of the URL. */
  client?: RedisClient | undefined;
}

/** A client of ioredis 5 or later, or of redis (node-redis) 4 or later, or Bun's RedisClient. */
export interface RedisClient {
  duplicate(...args: any[]): any;
  publish(...args: any[]): any;
}

/** null: what goes to all servers, as broadcasts without a room, with several, or to one socket. */
export type GapRoom = string | number | null;

export interface FanwireAdapterEvents {
  /** Messages for the room are missing here. */
  gap: [room: GapRoom, gap: Gap];
  /** Redis is away, maybe since before there was the room: what other servers send to the room does not arrive. */
  lost: [room: GapRoom, error: FanwireError];
  /** It arrives again. */
  resumed: [room: GapRoom];
  /** Redis refuses the room's channel, or there are too many; what other servers send to it does not arrive. */
  failed: [room: GapRoom, error: FanwireError];
  /** A message could not be published, because Redis is away or it cannot be encoded. Local clients have it. */
  unsent: [error: Error, context: { type: number }];
  /** A body that is none of Socket.IO's. It is passed over. */
  invalid: [error: Error, context: { channel: string; data: Buffer }];
}

export interface FanwireAdapter extends Adapter {
  /** The bus it uses: its events say whether Redis is there. */
  readonly bus: Bus;
  /** The rooms of all servers. */
  allRooms(): Promise<Set<string>>;
  on<E extends keyof FanwireAdapterEvents>(event: E, listener: (...args: FanwireAdapterEvents[E]) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof FanwireAdapterEvents>(event: E, listener: (...args: FanwireAdapterEvents[E]) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

/**
 * What the option `adapter` of a Socket.IO server takes. With a URL (default: REDIS_URL) it opens a bus, which its
 * namespaces share and which is closed with the last of them; further options are settings of it, whose defaults are
 * namespace '', offline 'fail', unsubscribeLingerMs 0 and maxReconnectDelayMs 2000. A bus that is passed in stays
 * open. For the classic wire it has to be one with namespace ''. Throws when an option is wrong or a package is
 * missing; what is wrong with settings of the bus is thrown when the server is made.
 */
export function createAdapter(
  url?: string | URL | null,
  options?: (AdapterOptions & OpenOptions) | null,
): (nsp: any) => FanwireAdapter;
export function createAdapter(bus: Bus, options?: AdapterOptions | null): (nsp: any) => FanwireAdapter;
/**
 * Over a client of the application's, which stays open, and a duplicate of it that subscribes. `bus` of the adapter is then
 * only what the adapter uses of one.
 */
export function createAdapter(client: RedisClient, options?: AdapterOptions | null): (nsp: any) => FanwireAdapter;
