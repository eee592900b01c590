import type { Bus, OpenOptions } from '../../../index.js';
import type { AdapterOptions, RedisClient } from './index.js';

export type EmitterOptions = Pick<AdapterOptions, 'wire' | 'key' | 'parser' | 'subscriptionMode'>;
type Rooms = string | number | (string | number)[];

/** To whom, and how. Each call gives another one and leaves this as it is. */
export class BroadcastOperator {
  protected constructor();
  to(room: Rooms): BroadcastOperator;
  in(room: Rooms): BroadcastOperator;
  except(room: Rooms): BroadcastOperator;
  compress(compress: boolean): BroadcastOperator;
  get volatile(): BroadcastOperator;
  /** Throws for the names of Socket.IO's own events, and the bus's error for what is not accepted. */
  emit(event: string, ...args: any[]): true;
  socketsJoin(rooms: Rooms): void;
  socketsLeave(rooms: Rooms): void;
  disconnectSockets(close?: boolean): void;
}

/**
 * Sends to the clients of Socket.IO servers whose adapter has the same wire and key. With a URL it opens a bus, in
 * which messages wait until it is connected; further options are settings of it. A bus that is passed in is as it is.
 */
export class Emitter extends BroadcastOperator {
  constructor(url?: string | URL | null, options?: (EmitterOptions & OpenOptions) | null, nsp?: string);
  constructor(bus: Bus | RedisClient, options?: EmitterOptions | null, nsp?: string);
  readonly bus: Bus;
  /** For another namespace, over the same bus. */
  of(nsp: string): Emitter;
  /** To the servers: listeners of the namespace. No acknowledgements. */
  serverSideEmit(event: string, ...args: any[]): void;
  /** Sends what was accepted and closes the bus, unless it was passed in. */
  close(): Promise<void>;
}
