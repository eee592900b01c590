// health(), stats(), latency(), metrics(), and the gap whose reason is Redis's output buffer.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';

import { connect } from './support/fanwire.mjs';

import { startScript } from './support/child.mjs';
import { parsePrometheus } from './support/prometheus.mjs';
import { RedisServer } from './support/redis.mjs';
import { RespClient } from './support/resp.mjs';
import { event, until } from './support/wait.mjs';

let server;
before(async () => (server = await RedisServer.start()));
after(() => server.stop());

const quick = { reconnectDelayMs: 10, maxReconnectDelayMs: 50 };
const snakeCase = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

test('health: ok, and what there is to say about it', async () => {
  for (const url of [server.url, 'memory://health']) {
    const bus = await connect(url);
    await bus.subscribe('c', () => {}).ready;
    await until(() => bus.health().ok);
    const { text, silenceMs, publishLink, subscribeLink, ...rest } = bus.health();
    assert.deepEqual(rest, {
      ok: true, verdict: 'ok', code: 'OK', status: 0, unconfirmed: 0, refused: 0, probeAgeMs: null, probeUs: null,
    });
    assert.ok(text.length > 0);
    if (url === server.url) {
      assert.deepEqual([publishLink, subscribeLink], [true, true]);
      assert.ok(silenceMs >= 0 && silenceMs < 60_000);
    }
    await bus.close();
    const { ok, verdict, code } = bus.health();
    assert.deepEqual({ ok, verdict, code }, { ok: false, verdict: 'down', code: 'CLOSED' });
  }
});

test('health: degraded while Redis refuses a channel, ok when it no longer does', async () => {
  const own = await RedisServer.start('--user', 'bob', 'on', '>pw', '~*', '&ws:open', '+@all');
  const bus = await connect(`redis://bob:pw@127.0.0.1:${own.port}`, quick);
  const sub = bus.subscribe('closed', () => {});
  await Promise.all([bus.subscribe('open', () => {}).ready, event(sub, 'failed')]);
  await until(() => bus.health().refused === 1);
  const { ok, verdict, code, status, text, unconfirmed, publishLink, subscribeLink } = bus.health();
  assert.deepEqual({ ok, verdict, code, status, unconfirmed, publishLink, subscribeLink }, {
    ok: false, verdict: 'degraded', code: 'NO_PERMISSION', status: 19, unconfirmed: 1, publishLink: true, subscribeLink: true,
  });
  assert.match(text, /refused/);
  assert.equal(bus.stats().subscriptionsRefused, 1);
  const active = event(sub, 'active');
  const admin = await RespClient.connect(own.port);
  await admin.command('ACL', 'SETUSER', 'bob', '&ws:closed');
  await active;
  await until(() => bus.health().ok);
  assert.equal(bus.stats().subscriptionsRefused, 0);
  admin.close();
  await bus.close();
  await own.stop();
});

test('health: down without a server, and ok again', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, quick);
  const sub = bus.subscribe('c', () => {});
  await sub.ready;
  const failed = event(bus, 'error');
  await own.kill();
  await failed;
  const { ok, verdict, code, text, publishLink, subscribeLink } = bus.health();
  assert.deepEqual({ ok, verdict, publishLink, subscribeLink },
    { ok: false, verdict: 'down', publishLink: false, subscribeLink: false });
  assert.match(code, /^(CONNECT_FAILED|CONNECTION_LOST)$/);
  assert.ok(text.length > 0);
  const resumed = event(sub, 'resumed');
  await own.restart();
  await resumed;
  await until(() => bus.health().ok);
  await bus.close();
  await own.stop();
});

test('the probe comes back, and says so when it may not be made', async () => {
  const own = await RedisServer.start('--user', 'bob', 'on', '>pw', '~*', '&ws:*', '+@all');
  const bus = await connect(own.url, { probeIntervalMs: 20 });
  await until(() => bus.health().probeAgeMs !== null);
  const { ok, probeAgeMs, probeUs } = bus.health();
  assert.equal(ok, true);
  assert.ok(probeAgeMs >= 0 && probeUs > 0);
  await until(() => bus.stats().probes > 3);
  assert.equal(bus.stats().probeFailures, 0);
  const limited = await connect(`redis://bob:pw@127.0.0.1:${own.port}`, { probeIntervalMs: 20 });
  await until(() => limited.health().code === 'NO_PERMISSION');
  assert.equal(limited.health().verdict, 'degraded');
  await Promise.all([bus.close(), limited.close()]);
  await own.stop();
});

test('stats: publishes that were refused, that wait, and that came too late', async () => {
  const own = await RedisServer.start();
  const bus = await connect(own.url, { ...quick, offlineCount: 2, publishTimeoutMs: 100 });
  const gone = event(bus, 'disconnect');
  await own.kill();
  await gone;
  await until(() => !bus.stats().publishLink && !bus.stats().subscribeLink);
  const late = [bus.publish('c', 'x'), bus.publish('c', 'y')];
  await assert.rejects(bus.publish('c', 'z'), { code: 'QUEUE_FULL' });
  assert.throws(() => bus.publishNoWait('c', 'z'), { code: 'QUEUE_FULL' });
  const { publishRejected, publishUnsent, publishUnsentBytes, publishQueued } = bus.stats();
  assert.deepEqual({ publishRejected, publishUnsent, publishQueued }, { publishRejected: 2, publishUnsent: 2, publishQueued: 2 });
  assert.ok(publishUnsentBytes > 2 * 'PUBLISH ws:c x'.length);
  for (const each of late) await assert.rejects(each, { code: 'TIMEOUT' });
  const after = bus.stats();
  assert.deepEqual([after.publishTimeouts, after.publishFailed, after.publishUnsent, after.publishUnsentBytes], [2, 2, 0, 0]);
  await bus.close();
  assert.equal(bus.stats().publishTimeouts, 2);
  await own.stop();
});

test('latency: every publish and every delivery is in it', async () => {
  const bus = await connect(server.url);
  assert.deepEqual([bus.latency().publish.count, bus.latency().publish.percentile(50)], [0, null]);
  const stream = bus.subscribe('c');
  await Promise.all([bus.subscribe('c', () => {}).ready, stream.ready]);
  for (let i = 0; i < 100; ++i) {
    await bus.publish('c', 'x');
    await stream.next();
  }
  await until(() => bus.latency().delivery.count === 200);
  const { publish, delivery } = bus.latency();
  assert.equal(publish.count, 100);
  for (const histogram of [publish, delivery]) {
    const { count, sumUs, maxUs, buckets } = histogram;
    assert.equal(buckets.length, 28);
    assert.equal(buckets.reduce((sum, each) => sum + each, 0), count);
    assert.ok(maxUs > 0 && sumUs >= maxUs && sumUs <= count * maxUs);
    const percentiles = [0, 50, 90, 99, 99.9, 100].map((percent) => histogram.percentile(percent));
    assert.deepEqual(percentiles, [...percentiles].sort((a, b) => a - b));
    assert.equal(percentiles.at(-1), maxUs);
    for (const wrong of [-1, 101, NaN, '50', undefined]) {
      assert.throws(() => histogram.percentile(wrong), { code: 'INVALID_ARGUMENT' });
    }
  }
  // The first bucket that holds half of them ends at or above that percentile.
  let below = 0;
  const half = publish.buckets.findIndex((each) => (below += each) >= 50);
  assert.equal(publish.percentile(50), Math.min(2 ** half, publish.maxUs));
  await bus.close();
  assert.equal(bus.latency().publish.count, 100);
});

test('metrics: Prometheus takes it, and its numbers are those of stats()', async () => {
  const clientName = 'a"b\\c';
  const namespace = 'odd "name"\\';
  const bus = await connect(server.url, { clientName, namespace });
  const stream = bus.subscribe('c');
  await stream.ready;
  for (let i = 0; i < 10; ++i) {
    await bus.publish('c', 'x');
    await stream.next();
  }
  await bus.close(); // nothing changes any more
  const families = parsePrometheus(bus.metrics('prometheus'));
  assert.equal(bus.metrics(), bus.metrics('prometheus'));
  for (const { name, help, type, samples } of families.values()) {
    assert.ok(help?.length > 0, name);
    assert.notEqual(type, 'untyped', name);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    for (const { labels } of samples) assert.deepEqual([labels.client, labels.namespace], [clientName, namespace]);
  }
  for (const [key, value] of Object.entries(bus.stats())) {
    const name = `fanwire_${snakeCase(key)}`;
    const family = families.get(name) ?? families.get(`${name}_total`);
    assert.equal(family?.samples[0].value, Number(value), name);
  }
  const verdicts = families.get('fanwire_health').samples.map(({ labels, value }) => [labels.verdict, value]);
  assert.deepEqual(verdicts, [['ok', 0], ['degraded', 0], ['down', 1]]);
  const { publish, delivery } = bus.latency();
  for (const [name, { count, sumUs }] of [['publish', publish], ['delivery', delivery]]) {
    const { type, samples } = families.get(`fanwire_${name}_latency_seconds`);
    assert.equal(type, 'histogram');
    assert.equal(count, 10);
    assert.equal(samples.find((sample) => sample.name.endsWith('_count')).value, count);
    assert.ok(Math.abs(samples.find((sample) => sample.name.endsWith('_sum')).value - sumUs / 1e6) < 1e-5);
  }
});

test('metrics: the JSON has the same', async () => {
  const bus = await connect(server.url);
  await bus.publish('c', 'x');
  await bus.close();
  const parsed = JSON.parse(bus.metrics('json'));
  for (const [key, value] of Object.entries(bus.stats())) assert.equal(Number(parsed[snakeCase(key)]), Number(value), key);
  assert.equal(parsed.health.verdict, 'down');
  const { publish } = bus.latency();
  assert.equal(parsed.publish_latency.count, publish.count);
  assert.equal(parsed.publish_latency.p99_us, publish.percentile(99));
  for (const format of ['xml', 42, {}]) {
    assert.throws(() => bus.metrics(format), { code: 'INVALID_ARGUMENT', message: /"prometheus" or "json"/ });
  }
});

test('the parser of these tests refuses what Prometheus would', () => {
  const good = '# HELP a_total b\n# TYPE a_total counter\na_total{x="1"} 2\n';
  assert.equal(parsePrometheus(good).get('a_total').samples[0].value, 2);
  const histogram = (lines) => `# TYPE h histogram\n${lines}`;
  for (const bad of [
    good.trimEnd(), good.replace('} 2', '} two'), good.replace('"1"', '"1'), good.replace('x=', '1x='), good + good,
    good.replace('counter', 'count'), `${good}a_total{x="1"} 3\n`, good.replace(' 2', ' -2'), good.replace('"1"', '"\\x"'), `${good}b 1\n`,
    histogram('h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'), histogram('h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n'),
    histogram('h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'), histogram('h_bucket{le="+Inf"} 1\nh_count 1\n'),
  ]) {
    assert.throws(() => parsePrometheus(bad), undefined, bad);
  }
});

test('overflow=conflate: the last message of each channel arrives, and the gaps count the others', async () => {
  const bus = await connect('memory://conflate', { overflow: 'conflate', inboxCount: 10 });
  const channels = ['a', 'b', 'c'];
  const last = new Map();
  let received = 0;
  let missing = 0;
  const sub = bus.psubscribe('*', ({ channel, text }) => {
    ++received;
    last.set(channel, text);
  });
  sub.on('gap', ({ reason, count }) => {
    assert.equal(reason, 'overflow');
    missing += count;
  });
  await sub.ready;
  const total = 3000;
  for (let i = 0; i < total; ++i) bus.publishNoWait(channels[i % 3], String(i)); // no turn of the loop in between
  await until(() => received + missing === total);
  assert.ok(missing > 0);
  assert.deepEqual(Object.fromEntries(last), { a: String(total - 3), b: String(total - 2), c: String(total - 1) });
  await bus.close();
});

// Later Redis servers count the clients they close for their output buffers; 7.0 does not.
const kKills = 'client_output_buffer_limit_disconnections';

test('a process that was stopped until Redis closed its link for the output buffer: a gap, and why if Redis tells', async () => {
  const own = await RedisServer.start('--client-output-buffer-limit', 'pubsub', '65536', '0', '0');
  const client = await RespClient.connect(own.port);
  const { child, ended, saw } = startScript(`
    const heartbeats = { heartbeatIntervalMs: 600000, heartbeatTimeoutMs: 1200000 };
    const bus = (await connect('${own.url}', { reconnectDelayMs: 10, ...heartbeats })).ref();
    const sub = bus.subscribe('c', () => {});
    sub.on('gap', async ({ reason, count }) => {
      console.log(reason, count, bus.stats().outputBufferKills);
      await bus.close();
    });
    await sub.ready;
    console.log('ready');
  `);
  await saw('ready');
  child.kill('SIGSTOP');
  const payload = Buffer.alloc(1 << 20);
  await until(async () => (await client.command('PUBLISH', 'ws:c', payload)) === 0); // until Redis has had enough
  child.kill('SIGCONT');
  const { code, stdout, stderr } = await ended;
  const counted = (await client.command('INFO', 'stats')).toString().includes(kKills);
  const told = counted ? 'output_buffer null 1' : 'reconnect null 0';
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `ready\n${told}\n`, stderr: '' });
  client.close();
  await own.stop();
});

// A Redis that counts them, whatever the one behind it does: a proxy that adds the line to INFO.
async function countingProxy(port) {
  const sockets = new Set();
  const proxy = { kills: 0 };
  const listener = net.createServer((socket) => {
    const upstream = net.connect(port, '127.0.0.1');
    let rest = Buffer.alloc(0);
    upstream.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      const text = rest.toString('latin1');
      const head = /\$(\d+)\r\n# Stats\r\n/.exec(text);
      if (head !== null) {
        const start = head.index + head[1].length + 3;
        const size = Number(head[1]);
        if (text.length < start + size + 2) return; // the rest is under way
        const info = text.slice(start, start + size).replace(new RegExp(`${kKills}:.*\\r\\n`), '') + `${kKills}:${proxy.kills}\r\n`;
        rest = Buffer.from(`${text.slice(0, head.index)}$${info.length}\r\n${info}${text.slice(start + size)}`, 'latin1');
      }
      socket.write(rest);
      rest = Buffer.alloc(0);
    });
    socket.on('data', (chunk) => upstream.write(chunk));
    for (const [one, other] of [[socket, upstream], [upstream, socket]]) {
      one.on('close', () => other.destroy()).on('error', () => {});
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  proxy.url = `redis://127.0.0.1:${listener.address().port}`;
  proxy.breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  proxy.close = () => {
    listener.close();
    proxy.breakAll();
  };
  return proxy;
}

test("a gap has the reason 'output_buffer' when Redis has counted such a client, and only then", async () => {
  const proxy = await countingProxy(server.port);
  const bus = await connect(proxy.url, quick);
  const sub = bus.subscribe('c', () => {});
  await sub.ready;
  for (const [kills, reason, total] of [[0, 'reconnect', 0], [1, 'output_buffer', 1], [0, 'reconnect', 1]]) {
    const gap = event(sub, 'gap');
    const resumed = event(sub, 'resumed');
    proxy.kills += kills;
    proxy.breakAll();
    assert.deepEqual(await gap, [{ reason, count: null }]);
    await resumed;
    await until(() => bus.connected);
    assert.equal(bus.stats().outputBufferKills, total);
  }
  await bus.close();
  proxy.close();
});
