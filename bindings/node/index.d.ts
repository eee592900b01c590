/// <reference types="node" />
import { EventEmitter } from 'node:events';

/** A channel name, or a pattern: text is taken as UTF-8. */
export type Name = string | Uint8Array;

/**
 * What can be published: a string is sent as UTF-8; a Buffer, typed array, DataView or ArrayBuffer as its bytes;
 * anything else as JSON.
 */
export type Value = unknown;

/** The settings of a bus, as they are when they are set; capi/docs/settings.md lists them with their ranges. Sizes may have a unit: "8MiB". */
export interface SettingValues {
  /** where Redis is; from REDIS_URL when neither this nor FANWIRE_URL is set */
  url?: string | URL;
  /** name or address of the server; IPv6 addresses without brackets */
  host?: string;
  /** TCP port of the server */
  port?: number | string;
  /** path of the server's unix socket, used instead of host and port */
  unixPath?: string;
  /** ACL user to log in as; empty: the server's default user */
  username?: string;
  /** password to log in with; empty: no login */
  password?: string;
  /** database to SELECT; pub/sub itself is the same in all of them */
  db?: number | string;
  /** the sentinels of redis-sentinel://, as host:port,host:port...; empty: 127.0.0.1:26379 */
  nodes?: string;
  /** name of the Sentinel group whose master is the server */
  master?: string;
  /** ACL user to log in as at the sentinels */
  sentinelUsername?: string;
  /** password to log in with at the sentinels; empty: no login there */
  sentinelPassword?: string;
  /** speak TLS 1.2 or 1.3 to the server; rediss:// sets it */
  tls?: boolean;
  /** PEM file of the authorities to trust; empty: the system's, see fanwire info */
  tlsCaFile?: string;
  /** PEM file of our certificate and its chain, for servers that demand one; needs tlsKeyFile */
  tlsCertFile?: string;
  /** PEM file of our certificate's private key, not encrypted */
  tlsKeyFile?: string;
  /** name or address that the server's certificate must be for, and the SNI; empty: the host */
  tlsServerName?: string;
  /** ca: the authority alone, whatever the name; false: any certificate, so that anybody in between can read all */
  tlsVerify?: boolean | 'ca';
  /** name of our connections in CLIENT LIST; empty: none, and no CLIENT SETNAME */
  clientName?: string;
  /** ask the server by INFO whether it closed a link for its output buffer; false: for proxies without INFO */
  serverInfo?: boolean;
  /** channels are {namespace}:{channel} in Redis; empty: no prefix */
  namespace?: string;
  /** lax: 1 to 1024 bytes of any kind; strict: 1 to 256 of a-z A-Z 0-9 _ : . - */
  channelRules?: 'lax' | 'strict';
  /** longest an attempt to connect may take, login included */
  connectTimeoutMs?: number | string;
  /** wait before the first new attempt after a break; grows by reconnectFactor with each failure */
  reconnectDelayMs?: number | string;
  /** the wait between attempts never grows beyond this */
  maxReconnectDelayMs?: number | string;
  /** by how much the wait grows with each failed attempt */
  reconnectFactor?: number | string;
  /** equal: half of each wait is random; full: all of it; none; decorrelated: random up to three times the last one */
  reconnectJitter?: 'equal' | 'full' | 'none' | 'decorrelated';
  /** failed attempts in a row after which to give up; 0: never */
  maxReconnectAttempts?: number | string;
  /** true: after giving up, the next publish or subscribe tries to connect again */
  reviveOnUse?: boolean;
  /** a link on which nothing came in for this long is sent a PING */
  heartbeatIntervalMs?: number | string;
  /** a link whose PING has no answer for this long is broken, a silent one heartbeatIntervalMs later; above that interval */
  heartbeatTimeoutMs?: number | string;
  /** longest that a publish may go unanswered beyond heartbeatTimeoutMs while the other link is answered, as in a pause of writes */
  writePauseMs?: number | string;
  /** how often to send a message to ourselves through both links; 0: never */
  probeIntervalMs?: number | string;
  /** a publish that could not be sent within this time ends as TIMEOUT */
  publishTimeoutMs?: number | string;
  /** publishes while not connected: queue them, or fail them at once */
  offline?: 'queue' | 'fail';
  /** most bytes of publishes queued while not connected */
  offlineBytes?: number | string;
  /** most publishes queued while not connected */
  offlineCount?: number | string;
  /** most bytes of publishes accepted but not yet written while connected */
  publishBufferBytes?: number | string;
  /** largest payload that may be published */
  maxMessageBytes?: number | string;
  /** after connecting, longest that publishes wait for our own subscriptions to be confirmed; 0: not at all */
  drainWaitMs?: number | string;
  /** in a stream of publishes, longest that one waits for more to be written with it; 0: none */
  maxFlushDelayUs?: number | string;
  /** most messages that wait in one inbox */
  inboxCount?: number | string;
  /** most bytes of messages that wait in one inbox */
  inboxBytes?: number | string;
  /** what a full inbox drops: the oldest, the newest, or (conflate) all but the last of each channel */
  overflow?: 'drop_oldest' | 'drop_newest' | 'conflate';
  /** most open subscriptions of one bus; 0: no limit */
  maxSubscriptions?: number | string;
  /** most requests of one bus that wait for replies, and most questions for numbers of subscribers */
  maxRequests?: number | string;
  /** a channel nobody wants any more stays subscribed in Redis this long, so that churn is free */
  unsubscribeLingerMs?: number | string;
  /** in a stream of more than 64 KiB a millisecond over TCP, longest wait for more before reading on; 0: none */
  maxReadDelayUs?: number | string;
  /** least serious lines that reach the log function */
  logLevel?: 'off' | 'error' | 'warn' | 'info' | 'debug';
}

type SnakeLetter<S extends string> = S extends Lowercase<S> ? S : `_${Lowercase<S>}`;
type SnakeCase<S extends string> = S extends `${infer First}${infer Rest}`
  ? `${SnakeLetter<First>}${SnakeCase<Rest>}`
  : S;

/** The settings; undefined and null are unset. */
export type Settings = { [Key in keyof SettingValues]?: SettingValues[Key] | null | undefined };

/**
 * Between values and payloads. What encode() throws, publish() reports as INVALID_ARGUMENT; what decode() throws is a
 * 'decodeError' of the subscription.
 */
export interface Codec {
  encode(value: any): string | ArrayBufferView | ArrayBufferLike;
  decode(data: Buffer): unknown;
}

/**
 * json: any value that JSON holds, strings in quotes. text: strings only. bytes: Buffers and the like only. base64: bytes, as
 * base64 text. ws-kit: strings as they are, bytes as base64, anything else as JSON; comes back as JSON, or else as text.
 * msgpack: by the package @msgpack/msgpack, which you install. Text is strict UTF-8.
 */
export type CodecName = 'json' | 'text' | 'bytes' | 'base64' | 'ws-kit' | 'msgpack';

/** Settings, each also by its snake_case name, as the other languages spell it, and what only Node has. */
export type OpenOptions = Settings & { [Key in keyof Settings as SnakeCase<Key>]?: Settings[Key] } & {
  /**
   * Called with each line of the engine's log, from logLevel on. Not called from within other calls of this package. Lines
   * that come faster than they are taken are left out, and a line says how many.
   */
  log?: ((level: 'error' | 'warn' | 'info' | 'debug', text: string) => void) | null | undefined;
  /** Makes payloads of values and values of payloads: message.value. */
  codec?: CodecName | Codec | null | undefined;
};

export type ConnectOptions = OpenOptions & {
  /** Ends connect() with an AbortError; the bus itself ends by close(). */
  signal?: AbortSignal | null | undefined;
};

/**
 * Resolves when both links to Redis are ready. Rejects when the first attempt fails (CONNECT_FAILED, AUTH_FAILED,
 * INVALID_URL, ...) and leaves nothing open. Afterwards the bus connects again by itself, for as long as it is open.
 */
export function connect(url?: string | URL | null, options?: ConnectOptions | null): Promise<Bus>;
export function connect(options: ConnectOptions): Promise<Bus>;

/**
 * A bus at once, which connects in the background, again and again until it is closed: for servers that should start while
 * Redis is away. Until it is connected publishes wait as the setting `offline` says, and so do subscriptions. Throws when
 * the settings are wrong.
 */
export function open(url?: string | URL | null, options?: OpenOptions | null): Bus;
export function open(options: OpenOptions): Bus;

/**
 * JSON without the keys "__proto__", "constructor" and "prototype", at any depth and however they are spelled: merged
 * into other objects they change what those inherit. message.json() does it by itself; this is for code that parses
 * message.text. What has no such key, or is not JSON, is returned as it is.
 */
export function cleanJson(json: string): string;
export function cleanJson<Bytes extends Uint8Array>(json: Bytes): Bytes | Buffer;

/** A payload and what stands in front of it. What is undefined or null is not there. */
export interface EnvelopeFields {
  /** A string is sent as UTF-8. */
  payload?: string | Uint8Array | null | undefined;
  /** What the payload is; "binary" unless it is said. */
  type?: 'binary' | 'text' | 'json' | null | undefined;
  /** Who counts `sequence`: a UUID, another one after each start. */
  publisher?: string | null | undefined;
  /** Counted by the publisher for each channel, from 1; 0: not counted. */
  sequence?: number | null | undefined;
  /** The connection that is not to get it: a UUID. */
  excluded?: string | null | undefined;
  /** The channel where an answer goes; at most 1024 bytes. */
  replyTo?: string | null | undefined;
  /** What an answer repeats; at most 255 bytes. */
  correlationId?: string | Uint8Array | null | undefined;
  /** Alike for one message that is published twice; at most 255 bytes. */
  dedupeId?: string | Uint8Array | null | undefined;
  /** When it was published, since 1970 by the publisher's clock, as Date.now() gives it. */
  timestampMs?: number | null | undefined;
}

/** What decodeEnvelope() has found. Buffers are parts of the bytes that were given; 0, '' and empty Buffers mean "none". */
export interface Envelope {
  /**
   * "plain": of somebody who puts nothing in front. "unknown_version": of a later version of this package. "malformed":
   * begins like an envelope and is none. Unless it is "envelope", `payload` is all of it.
   */
  kind: 'plain' | 'envelope' | 'unknown_version' | 'malformed';
  payload: Buffer;
  /** "unknown" is one of a later version: take it as "binary". */
  type: 'binary' | 'text' | 'json' | 'unknown';
  publisher: string | null;
  sequence: number;
  excluded: string | null;
  replyTo: string;
  correlationId: Buffer;
  dedupeId: Buffer;
  timestampMs: number;
}

/**
 * The bytes to publish for a payload in an envelope. Throws INVALID_ARGUMENT for what no envelope can hold. See
 * capi/docs/envelopes.md for the bytes, which every language writes alike.
 */
export function encodeEnvelope(envelope: EnvelopeFields): Buffer;
/** What the payload of a message (message.data) is. Succeeds whatever the bytes are: `kind` says what they turned out to be. */
export function decodeEnvelope(data: Uint8Array): Envelope;

export interface BusEvents {
  /** Connected, for the first time or again. With connect() the first time is over when it resolves. */
  connect: [];
  disconnect: [error: FanwireError, context: { willReconnect: boolean }];
  /** An attempt to connect will be made. */
  reconnecting: [attempt: { attempt: number; delayMs: number }];
  /** An attempt to connect or a login of setCredentials() failed. Without a listener that is silent. */
  error: [error: FanwireError, context: { willReconnect: boolean }];
  /**
   * A handler threw or rejected: without a listener that is an uncaught exception. Or there is a 'decodeError' that no
   * listener of the subscription takes: without a listener the first one is a warning of the process.
   */
  handlerError: [error: any, context: { subscription: Subscription; message: Message }];
  /** The last of maxReconnectAttempts has failed, with this error. See reconnect(). */
  gaveUp: [error: FanwireError, context: { attempts: number }];
}

export type BusState = 'connecting' | 'connected' | 'reconnecting' | 'gave_up' | 'closed';

export interface PublishOptions {
  /**
   * Milliseconds for this one publish, up to an hour, instead of the setting publishTimeoutMs: TIMEOUT when it could not be
   * sent by then (it never will), OUTCOME_UNKNOWN when it was and there is no answer.
   */
  timeout?: number | null | undefined;
  /** Ends the wait for the outcome with an AbortError; the message may be published all the same. */
  signal?: AbortSignal | null | undefined;
}

export interface Bus extends EventEmitter {
  /** Whether both links to Redis are ready, as of the events delivered so far. */
  readonly connected: boolean;
  /** As of now. gave_up: maxReconnectAttempts have failed in a row. */
  readonly state: BusState;
  /**
   * What became of the first attempt to connect: resolves to the bus, or rejects with why it failed or CLOSED. Also after a
   * failure the bus tries again. A rejection nobody waits for ends no process.
   */
  readonly opened: Promise<this>;

  /**
   * Makes the next attempt to connect at once, and revives a bus that gave up: its subscriptions, which are 'failed' and
   * kept, are asked for again. Links that are ready are left alone.
   */
  reconnect(): void;

  /** Resolves to the number of receivers Redis counted; rejects with a FanwireError. */
  publish(channel: Name, value: Value, options?: PublishOptions | null): Promise<number>;
  /** Publishes without asking for the outcome, which is counted in stats(). Throws when it is refused at once. */
  publishNoWait(channel: Name, value: Value): void;

  /**
   * Resolves to how many subscribers Redis counts for each of the channels, in their order; at most 1024 of them. A
   * connection counts once, and patterns do not count. Rejects with TIMEOUT after publishTimeoutMs.
   */
  numsub(channels: Iterable<Name>): Promise<number[]>;
  /**
   * Publishes a request, which subscribers answer by message.reply(). It waits for `expect` replies (0, the default: as many
   * as Redis counts receivers) and at most `timeout` ms (the setting publishTimeoutMs; Infinity: no limit). Throws when it is
   * refused at once. A request under way keeps the process alive.
   */
  request(channel: Name, value: Value, options?: RequestOptions | null): Request;

  subscribe(channel: Name, handler: Handler): Subscription;
  subscribe(channel: Name, handler?: null): MessageStream;
  /** Redis's glob: * ? [a-z] [^a] and \ to escape. */
  psubscribe(pattern: Name, handler: Handler): Subscription;
  psubscribe(pattern: Name, handler?: null): MessageStream;

  /**
   * Logs in as another user, or with another password, from now on, without a break in publishing. With another username
   * the subscribing link is renewed: 'lost', 'gap', 'resumed'. A login that Redis refuses on a live link leaves that
   * link as it was and is told as 'error' (AUTH_FAILED). No username: the server's default user; no password either: then
   * the publishing link is renewed, too, since Redis logs nobody out.
   */
  setCredentials(username: string | null | undefined, password?: string | null): void;

  /** Is delivery working? Asks nobody; see the setting probeIntervalMs. Also after close(). */
  health(): Health;
  /** Counters since connect(), unless marked "now". Also after close(). */
  stats(): Stats;
  /** How long things took since connect(). Also after close(). */
  latency(): { publish: LatencyHistogram; delivery: LatencyHistogram };
  /** Health, stats and latencies in Prometheus's text format 0.0.4 (the default) or as JSON. Also after close(). */
  metrics(format?: 'prometheus' | 'json' | null): string;

  /**
   * Subscriptions with a handler keep the process alive, until they end or the bus gives up; so do pending promises, as that
   * of a `for await` loop. A bus that only publishes does not. After ref() the open bus does, after unref() only pending
   * promises do.
   */
  ref(): this;
  unref(): this;

  /**
   * Sends what was accepted for up to `timeout` ms (5000; Infinity: no limit), ends all subscriptions and disconnects.
   * Rejects with TIMEOUT when some publishes had no outcome by then; the bus is closed all the same.
   */
  close(options?: { timeout?: number | null | undefined } | null): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  on<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this;
  once<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this;
  off<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this;
}

/** May be async: nobody waits for it, but its rejection is reported as what it throws would be. */
export type Handler = (message: Message) => unknown;

/** {...message}, JSON.stringify() and structuredClone() have its channel, pattern and text, and with a codec its value. */
export interface Message {
  /** Tells it from the events of a stream's events(). */
  readonly kind: 'message';
  readonly subscription: Subscription;
  /** Without the namespace. */
  readonly channel: string;
  readonly channelBytes: Buffer;
  /** The pattern it came by; null for exact subscriptions. */
  readonly pattern: string | null;
  /**
   * The payload: a view of memory that may be shared with other messages. The same Buffer each time. Of a message of more
   * than 16 MiB that there is no memory for, this and all that follows throw NO_MEMORY; of one of more than 2 GiB,
   * MESSAGE_TOO_LARGE. `channel` is known all the same.
   */
  readonly data: Buffer;
  /**
   * The payload as UTF-8. While it is kept, so may be a string of up to 4 KB that it is a part of. Throws MESSAGE_TOO_LARGE
   * when it is longer than a string can be: `constants.MAX_STRING_LENGTH` of node:buffer, half a GiB.
   */
  readonly text: string;
  /** What the codec of the bus makes of the payload, the same for all handlers; without a codec `data`. */
  readonly value: any;
  /** Whether it is a request: reply() answers it. */
  readonly isRequest: boolean;
  /**
   * Answers a request, also several times: accepted means queued, as for publishNoWait(). After bus.close() it does nothing.
   * Throws INVALID_ARGUMENT when the message is none.
   */
  reply(value: Value): void;
  /**
   * The payload as JSON; throws SyntaxError when it is not. Without the keys "__proto__", "constructor" and
   * "prototype": see cleanJson().
   */
  json(): any;
  toString(): string;
}

export interface RequestOptions {
  expect?: number | null | undefined;
  timeout?: number | null | undefined;
  /** Ends the request: all that wait for it reject with an AbortError. */
  signal?: AbortSignal | null | undefined;
}

/**
 * The replies to a request, as they come; leaving the loop ends it. The iteration is over when the last expected reply has come
 * or the time is over, and rejects when the request itself failed, as when it could not be published.
 */
export interface Request extends AsyncIterableIterator<Message> {
  readonly channel: string;
  readonly nameBytes: Buffer;
  /**
   * Why and how it ended. `status` is 'OK' when none is missing, 'TIMEOUT', 'LIMIT_REACHED' (replies found the inbox full) or
   * 'UNSUBSCRIBED' (the loop was left); `missing` is null when nobody knows. Rejects when the request itself failed; that is
   * no unhandled rejection when nobody waits for it.
   */
  readonly done: Promise<{ replies: number; missing: number | null; status: 'OK' | 'TIMEOUT' | 'LIMIT_REACHED' | 'UNSUBSCRIBED' }>;
  /** All replies that were not iterated over, when it has ended. */
  all(): Promise<{ replies: Message[]; missing: number | null }>;
  next(): Promise<IteratorResult<Message, undefined>>;
  return(value?: any): Promise<IteratorResult<Message, any>>;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}

export type SubscriptionState = 'pending' | 'active' | 'lost' | 'failed' | 'ended';

/**
 * Messages are missing at this place of the stream: the link was down, an inbox was full, the link was down because
 * Redis closed it for its client-output-buffer-limit, or another server has become the master meanwhile.
 */
export interface Gap {
  reason: 'reconnect' | 'overflow' | 'output_buffer' | 'failover';
  /** How many; null when nobody can know. */
  count: number | null;
}

export interface SubscriptionEvents {
  /** Redis confirmed the subscription for the first time. */
  active: [];
  /** The link broke; the subscription is still wanted. */
  lost: [error: FanwireError];
  /** Redis confirmed it again. */
  resumed: [];
  gap: [gap: Gap];
  /** Redis refused it, as for lack of permission; it is tried again slowly. */
  failed: [error: FanwireError];
  /**
   * A message that the codec cannot decode stood here. Without a listener, and where nobody iterates over events(), it is a
   * 'handlerError' of the bus.
   */
  decodeError: [error: DecodeError, message: Message];
  /** The last event. */
  ended: [];
}

export interface Subscription extends EventEmitter {
  /** null for patterns */
  readonly channel: string | null;
  /** null for channels */
  readonly pattern: string | null;
  /** The channel or pattern, byte for byte. */
  readonly nameBytes: Buffer;
  /** As of the events delivered so far. */
  readonly state: SubscriptionState;
  /** Whether unsubscribe() was called. */
  readonly stopped: boolean;
  /** Resolves once Redis has confirmed it; rejects when Redis refuses it or it ends before. */
  readonly ready: Promise<this>;
  /** Nothing is delivered afterwards. Throws UNSUBSCRIBED the second time, CLOSED after bus.close(). */
  unsubscribe(): void;
  /** unsubscribe() for callers who do not care whether it has ended already. */
  endQuietly(): void;
  [Symbol.dispose](): void;

  on<E extends keyof SubscriptionEvents>(event: E, listener: (...args: SubscriptionEvents[E]) => void): this;
  once<E extends keyof SubscriptionEvents>(event: E, listener: (...args: SubscriptionEvents[E]) => void): this;
  off<E extends keyof SubscriptionEvents>(event: E, listener: (...args: SubscriptionEvents[E]) => void): this;
}

/** What a stream's events() gives besides messages. */
export type SubscriptionEvent =
  | { kind: 'active' | 'resumed' }
  | { kind: 'lost' | 'failed'; error: FanwireError }
  | { kind: 'decodeError'; error: DecodeError; message: Message }
  | ({ kind: 'gap' } & Gap);

/**
 * A subscription to be iterated with for await; leaving the loop ends it. It has a bounded inbox of its own: a loop
 * that is too slow loses messages as the setting `overflow` says, and is told by a 'gap' event. A stream that nothing refers
 * to any more ends when it is collected.
 */
export interface MessageStream extends Subscription, AsyncIterableIterator<Message> {
  /**
   * The same queue with the events in their places, from this call on. When it is over the subscription has ended.
   * While an event waits to be taken, listeners are told of nothing that comes after it.
   */
  events(): EventStream;
  next(): Promise<IteratorResult<Message, undefined>>;
  return(value?: any): Promise<IteratorResult<Message, any>>;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface EventStream extends AsyncIterableIterator<Message | SubscriptionEvent> {
  next(): Promise<IteratorResult<Message | SubscriptionEvent, undefined>>;
  return(value?: any): Promise<IteratorResult<Message | SubscriptionEvent, any>>;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Health {
  /** verdict is 'ok' */
  ok: boolean;
  /**
   * ok: both links work, every channel is confirmed, the probe (if on) comes back. degraded: both links work, but
   * something that is wanted is not delivered, or not known to be. down: a link is down, or the bus is closed.
   */
  verdict: 'ok' | 'degraded' | 'down';
  /** why it is not ok */
  code: 'OK' | ErrorCode;
  /** the number of that code */
  status: number;
  /** the verdict in words */
  text: string;
  publishLink: boolean;
  subscribeLink: boolean;
  /** distinct channels and patterns wanted and not confirmed by Redis, the refused ones included */
  unconfirmed: number;
  /** ... of them refused by it */
  refused: number;
  /** since anything came in on the subscribing link; null: never */
  silenceMs: number | null;
  /** since a probe last came back; null: none has, or probeIntervalMs is 0 */
  probeAgeMs: number | null;
  /** round trip of that probe in microseconds */
  probeUs: number | null;
}

/** Times in microseconds: buckets[i] counts those above 2^(i-1) and up to 2^i, the last also all above. */
export interface LatencyHistogram {
  readonly count: number;
  readonly sumUs: number;
  readonly maxUs: number;
  readonly buckets: readonly number[];
  /** A time that `percent` (0 to 100) of all stayed within, as exact as the buckets are; null when there are none. */
  percentile(percent: number): number | null;
}

export interface Stats {
  /** now: both links are ready */
  connected: boolean;
  connects: number;
  disconnects: number;
  connectErrors: number;
  published: number;
  publishOk: number;
  publishFailed: number;
  publishUnknown: number;
  /** now: accepted and without an outcome */
  publishQueued: number;
  received: number;
  delivered: number;
  dropped: number;
  gaps: number;
  bytesIn: number;
  bytesOut: number;
  /** now */
  subscriptions: number;
  /** now */
  subscriptionsDesired: number;
  /** now */
  subscriptionsConfirmed: number;
  /** now */
  subscriptionsRefused: number;
  /** not accepted: QUEUE_FULL, NOT_CONNECTED */
  publishRejected: number;
  /** of publishFailed: never sent within publishTimeoutMs */
  publishTimeouts: number;
  /** now: of publishQueued, not written yet */
  publishUnsent: number;
  /** now: ... their encoded bytes */
  publishUnsentBytes: number;
  /** now: that link is ready */
  publishLink: boolean;
  /** now: that link is ready */
  subscribeLink: boolean;
  /** sent, as probeIntervalMs says */
  probes: number;
  /** ... and not back in time; the links were renewed */
  probeFailures: number;
  /** breaks put down to Redis's client-output-buffer-limit */
  outputBufferKills: number;
}

export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_URL'
  | 'UNKNOWN_OPTION'
  | 'INVALID_OPTION'
  | 'INVALID_CHANNEL'
  | 'MESSAGE_TOO_LARGE'
  | 'LIMIT_REACHED'
  | 'NO_MEMORY'
  | 'CLOSED'
  | 'UNSUBSCRIBED'
  | 'TIMEOUT'
  | 'NOT_CONNECTED'
  | 'QUEUE_FULL'
  | 'OUTCOME_UNKNOWN'
  | 'RESOLVE_FAILED'
  | 'CONNECT_FAILED'
  | 'CONNECTION_LOST'
  | 'AUTH_FAILED'
  | 'NO_PERMISSION'
  | 'PROTOCOL_ERROR'
  | 'REDIS_ERROR'
  | 'SYSTEM_ERROR'
  | 'VERSION_MISMATCH'
  | 'INTERNAL'
  | 'FORKED'
  | 'TLS_FAILED'
  | 'TLS_UNTRUSTED'
  | 'TLS_WRONG_NAME'
  | 'TLS_EXPIRED'
  | 'TLS_NOT_SPOKEN'
  | 'CONNECT_TIMEOUT'
  | 'WRONG_SERVER'
  | 'NO_MASTER'
  | 'NOT_MASTER';

/** Every failure. Not constructed by users. */
export class FanwireError extends Error {
  protected constructor();
  readonly code: ErrorCode | 'DECODE_FAILED' | 'ABORT_ERR';
  readonly status: number;
  /** The same call may succeed later with nothing changed by the caller. */
  readonly retryable: boolean;
  /**
   * Of a publish: whether the message may have been published all the same, so that to repeat it might publish it twice. True
   * of OUTCOME_UNKNOWN, and when a signal ended the wait.
   */
  readonly mayHaveHappened: boolean;
}

/** The codec cannot decode a message; `cause` is what it threw. */
export class DecodeError extends FanwireError {
  protected constructor();
}

/** A signal ended the call; `cause` is its reason. */
export class AbortError extends FanwireError {
  protected constructor();
}

type PascalCase<S extends string> = S extends `${infer First}_${infer Rest}`
  ? `${Capitalize<Lowercase<First>>}${PascalCase<Rest>}`
  : Capitalize<Lowercase<S>>;
type WithoutError<S extends string> = S extends `${infer Name}_ERROR` ? Name : S;

/** One class for each code: CONNECT_FAILED is errors.ConnectFailedError, REDIS_ERROR is errors.RedisError. */
export const errors: { readonly [Code in ErrorCode as `${PascalCase<WithoutError<Code>>}Error`]: typeof FanwireError };

/** The version of the engine. */
export const version: string;
/** The versions of the libraries underneath. */
export const dependencies: { readonly [name: string]: string };
/** The engine's table of settings, by their snake_case names. */
export const settings: readonly {
  readonly name: string;
  readonly type: string;
  readonly default: string;
  readonly range: string;
  readonly help: string;
  readonly secret: boolean;
}[];
/** The engine's table of status codes. */
export const statuses: readonly {
  readonly status: number;
  readonly code: string;
  readonly text: string;
  readonly retryable: boolean;
}[];
