// TLS: it works inside of Node, whose executable has an OpenSSL of its own, and what goes wrong has a code.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

import { connect } from './support/fanwire.mjs';
import { RedisPubSubProvider } from 'fanwire/reverb';

import { fixture, run } from './support/child.mjs';
import { freePort, RedisServer } from './support/redis.mjs';

const make = fileURLToPath(new URL('../support/certificates.sh', import.meta.url));
let folder, server, url;
const file = (name) => path.join(folder, name);

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'fanwire-certificates-'));
  const { code, stderr } = await run('sh', [make, folder]);
  assert.equal(code, 0, stderr);
  const port = await freePort();
  server = await RedisServer.start('--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-cert-file',
    file('server.pem'), '--tls-key-file', file('server.key'), '--tls-ca-cert-file', file('ca.pem'));
  url = `rediss://127.0.0.1:${port}`;
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a round trip, beside TLS of Node itself', async () => {
  tls.createSecureContext();
  const bus = await connect(url, { tlsCaFile: file('ca.pem') });
  const messages = bus.subscribe('chat');
  await messages.ready;
  const payload = Buffer.alloc(300_000, 'fanwire');
  assert.equal(await bus.publish('chat', payload), 1);
  for await (const message of messages) {
    assert.ok(payload.equals(message.data));
    break;
  }
  await bus.close();
  tls.createSecureContext();
});

test('refusals have codes', async () => {
  const refused = (settings, code, said) =>
    assert.rejects(connect(url, { maxReconnectAttempts: 1, ...settings }), (error) => {
      assert.equal(error.code, code);
      assert.match(error.message, said);
      return true;
    });
  await refused({ tlsCaFile: file('other-ca.pem') }, 'TLS_UNTRUSTED', /CN=ca/);
  await refused({ tlsCaFile: file('ca.pem'), tlsServerName: 'elsewhere' }, 'TLS_WRONG_NAME', /redis\.test/);
  await refused({ tlsCaFile: file('garbage.pem') }, 'INVALID_OPTION', /tls_ca_file.*garbage\.pem/);
});

test('verification can be turned off', async () => {
  const bus = await connect(url, { tlsVerify: false });
  assert.equal(await bus.publish('nobody', ''), 0);
  await bus.close();
});

test('the provider of fanwire/reverb: TLS by the scheme of its URL, by driver or by scheme', async () => {
  const { port } = new URL(url);
  const at = { host: '127.0.0.1', port, tlsCaFile: file('ca.pem') };
  const own = { ...at, url: `tls://127.0.0.1:${port}` };
  const inUrl = { url: `${url}?tls_ca_file=${encodeURIComponent(file('ca.pem'))}` };
  for (const config of [{ ...at, driver: 'tls' }, { ...at, scheme: 'TLS' }, { ...at, driver: 'rediss' }, { ...at, url }, own, inUrl]) {
    const provider = new RedisPubSubProvider({ server: config });
    await provider.connect();
    assert.equal(await provider.publish({ type: 'x' }), 1, JSON.stringify(config));
    await provider.disconnect();
  }
  const errors = [];
  const provider = new RedisPubSubProvider({ error: (text) => errors.push(text) }, null, 'reverb', { url });
  await provider.connect();
  assert.match(errors[0], /certificate/);
  await provider.disconnect();
});

for (const first of ['node', 'fanwire']) {
  test(`TLS of Node and ours in one process, ${first} first`, async () => {
    const { code, stdout, stderr } = await run(process.execPath, [fixture('openssl.mjs'), url, folder, first]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'done\n');
  });
}

// Bound to Node's copy it would run one version's headers against another's code.
test('the addon has an OpenSSL inside, or Node loads the one it uses', async (t) => {
  const addon = path.join(path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json')),
    'build/fanwire.node');
  const { code, stdout } = await run('nm', ['-D', addon]);
  if (code !== 0) return t.skip('there is no nm');
  assert.equal(stdout.match(/ [TWVi] (SSL_|BIO_|X509_)\w+/g), null, 'its symbols are hidden');
  if (process.config.variables.node_shared_openssl) return;
  const wanted = stdout.match(/ U SSL_\w+/g);
  const { stdout: archives } = await run('sh', ['-c', 'c++ -print-file-name=libssl.a']);
  if (wanted && !path.isAbsolute(archives.trim())) return t.skip('there is no static OpenSSL here');
  assert.equal(wanted, null, 'nothing of OpenSSL is looked up outside');
});
