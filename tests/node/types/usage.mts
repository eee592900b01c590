// Compiled, never run: what users write must be accepted, and what is wrong must not be.
import fanwire, {
  AbortError, cleanJson, connect, decodeEnvelope, DecodeError, encodeEnvelope, errors, FanwireError, open, settings, statuses,
  version,
} from 'fanwire';
import type {
  Bus, BusState, Codec, Envelope, EnvelopeFields, Gap, Health, OpenOptions, LatencyHistogram, Message, MessageStream, Request, Stats, Subscription, SubscriptionEvent, SubscriptionState,
} from 'fanwire';

const bus: Bus = await connect('redis://127.0.0.1', {
  connectTimeoutMs: 100,
  max_message_bytes: '1MiB',
  overflow: 'conflate',
  probeIntervalMs: 1000,
});
await connect();
await connect({ url: new URL('memory://x'), unixPath: '/run/redis.sock', unix_path: '/run/redis.sock' });
await fanwire.connect('memory://x');
// What is not set may be undefined or null.
const unset: { password: string | undefined; tls: boolean | undefined } = { password: process.env.PW, tls: undefined };
await connect('memory://x', unset);
const settingsToCome: OpenOptions = { ...unset, client_name: undefined, port: null, codec: undefined, log: null };
await connect(undefined, { ...settingsToCome, signal: undefined });
await connect(null, null);

const opening: Bus = open('redis://127.0.0.1', { codec: 'json', log: (level, text) => level === 'error' && text.length });
opening.opened.then((opened: Bus) => opened.state === 'connected', (error: FanwireError) => error.mayHaveHappened);
const busState: BusState = opening.state;
opening.reconnect();
const codec: Codec = { encode: (value: number) => String(value), decode: (data) => data.length };
open({ codec });
// @ts-expect-error: no such codec
open({ codec: 'yaml' });
// @ts-expect-error: an option of connect()
open({ signal: AbortSignal.timeout(1) });
await connect({ signal: AbortSignal.timeout(1) });
// @ts-expect-error: not one of the states
opening.state === 'open';

// @ts-expect-error: no such setting
await connect('memory://x', { conectTimeoutMs: 1 });
// @ts-expect-error: not one of the words
await connect('memory://x', { overflow: 'explode' });
// @ts-expect-error: not a URL
await connect(42);

const cleanText: string = cleanJson('{}');
const cleanBytes: Uint8Array = cleanJson(new Uint8Array(2));
const cleanBuffer: Buffer = cleanJson(Buffer.from('{}'));
// @ts-expect-error: text or bytes
cleanJson({});

const enveloped: Buffer = encodeEnvelope({ payload: 'x', type: 'text', publisher: crypto.randomUUID(), sequence: 1 });
const envelope: Envelope = decodeEnvelope(enveloped);
if (envelope.kind === 'envelope' && envelope.type === 'json') JSON.parse(envelope.payload.toString());
const fields: EnvelopeFields = { timestampMs: Date.now(), excluded: envelope.publisher, dedupeId: envelope.dedupeId };
await bus.publish('chat', encodeEnvelope(fields));
// @ts-expect-error: no such type
encodeEnvelope({ type: 'xml' });
// @ts-expect-error: only bytes
decodeEnvelope('text');

const subscribers: number[] = await bus.numsub(['chat', Buffer.from('news')]);
const asking: Request = bus.request('chat', { any: ['value'] }, { expect: 2, timeout: Infinity, signal: undefined });
for await (const reply of asking) reply satisfies Message;
const { replies, missing }: { replies: Message[]; missing: number | null } = await bus.request('chat', 'x').all();
const ended: 'OK' | 'TIMEOUT' | 'LIMIT_REACHED' | 'UNSUBSCRIBED' = (await asking.done).status;
bus.subscribe('chat', (message) => message.isRequest && message.reply(new Uint8Array(1)));
// @ts-expect-error: no such option
bus.request('chat', 'x', { expects: 1 });
// @ts-expect-error: several channels
await bus.numsub(5);

const receivers: number = await bus.publish('chat', { any: ['value'] });
await bus.publish(Buffer.from('chat'), new Uint8Array(1));
await bus.publish('chat', 'x', { timeout: 100, signal: AbortSignal.timeout(1) });
await bus.publish('chat', 'x', { timeout: undefined, signal: undefined });
await bus.publish('chat', 'x', null);
// @ts-expect-error: no such option
await bus.publish('chat', 'x', { timout: 100 });
// @ts-expect-error: one too many
await bus.publish('chat', 'x', {}, 1);
const nothing: void = bus.publishNoWait('chat', 'x');
// @ts-expect-error: a channel is a string or bytes
await bus.publish(42, 'x');

const sub: Subscription = bus.subscribe('chat', (message) => {
  const channel: string = message.channel;
  const pattern: string | null = message.pattern;
  const data: Buffer = message.data;
  const text: string = message.text;
  const decoded: string = message.value;
  const value: { id: number } = message.json();
  // @ts-expect-error: read-only
  message.text = 'other';
});
bus.psubscribe('room:*', async ({ channelBytes }: Message) => channelBytes.length);
const same: Subscription = await sub.ready;
const state: SubscriptionState = sub.state;
// @ts-expect-error: iterating needs a subscription without a handler
for await (const message of sub) break;

const stream: MessageStream = bus.subscribe('chat');
for await (const message of stream) {
  const text: string = message.text;
  break;
}
for await (const { pattern } of bus.psubscribe('room:*')) if (pattern === null) break;

for await (const item of bus.subscribe('chat').events()) {
  if (item.kind === 'message') {
    const message: Message = item;
    continue;
  }
  const event: SubscriptionEvent = item;
  if (item.kind === 'gap') {
    const gap: Gap = item;
    const why: 'reconnect' | 'overflow' | 'output_buffer' | 'failover' = item.reason;
  } else if (item.kind === 'lost' || item.kind === 'failed') {
    item.error.code === 'NO_PERMISSION';
  } else if (item.kind === 'decodeError') {
    const error: DecodeError = item.error;
    const text: string = item.message.text;
  } else {
    const rest: 'active' | 'resumed' = item.kind;
    // @ts-expect-error: these have none
    item.error;
  }
}
// @ts-expect-error: a subscription with a handler has no loop
sub.events();

sub.on('gap', (gap: Gap) => gap.count === null || gap.count > 0)
  .on('lost', (error) => error.retryable)
  .on('resumed', () => {})
  .once('active', () => {})
  .on('failed', ({ code }) => code === 'NO_PERMISSION')
  .on('decodeError', (error, message) => console.error(error.cause, message.data.length));
const none: MessageStream = bus.subscribe('chat', null);
// @ts-expect-error: no such event
sub.on('gaps', () => {});
bus.on('connect', () => {})
  .on('disconnect', (error, { willReconnect }) => willReconnect && error.code === 'CONNECTION_LOST')
  .on('reconnecting', ({ attempt, delayMs }) => attempt + delayMs)
  .on('error', (error, { willReconnect }) => willReconnect && error.code === 'CONNECT_FAILED')
  .on('handlerError', (error, { subscription, message }) => console.error(error, subscription.channel, message.text))
  .on('gaveUp', (error, { attempts }) => console.error(error.code, attempts));
sub.unsubscribe();

const stats: Stats = bus.stats();
const published: number = stats.published;
const up: boolean = bus.connected;
bus.setCredentials('bob', 'secret');
bus.setCredentials(null);
// @ts-expect-error: a password is text
bus.setCredentials('bob', Buffer.from('secret'));
const { ok, verdict, code, probeAgeMs }: Health = bus.health();
if (!ok && verdict === 'degraded' && code === 'NO_PERMISSION' && probeAgeMs !== null) probeAgeMs.toFixed();
const latency: LatencyHistogram = bus.latency().delivery;
const p99: number | null = latency.percentile(99);
const page: string = bus.metrics() + bus.metrics('json');
// @ts-expect-error: no such format
bus.metrics('xml');
bus.ref().unref();
await bus.close({ timeout: 100 });
await bus.close({ timeout: undefined });
await bus.close(null);

try {
  await connect();
} catch (error) {
  if (error instanceof errors.ConnectFailedError || error instanceof errors.RedisError) error.retryable;
  if (error instanceof FanwireError) {
    const status: number = error.status;
    const again: boolean = error.mayHaveHappened;
    if (error instanceof AbortError) error.code === 'ABORT_ERR';
    // @ts-expect-error: no such code
    error.code === 'NO_SUCH_CODE';
  }
}
const text: string = version + settings[0]?.name + statuses[0]?.code;
