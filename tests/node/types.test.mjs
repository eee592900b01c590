// index.d.ts: it compiles as users use it, and the lists in it are the engine's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { connect, errors, settings, statuses } from './support/fanwire.mjs';

import { run, testDir } from './support/child.mjs';

const packageDir = path.dirname(createRequire(import.meta.url).resolve('fanwire/package.json'));
const declarations = readFileSync(path.join(packageDir, 'index.d.ts'), 'utf8');

// The body of `interface name`, without its comments.
function interfaceBody(name) {
  const start = declarations.indexOf(`interface ${name} `);
  assert.ok(start >= 0, name);
  return declarations.slice(start, declarations.indexOf('\n}\n', start)).replace(/\/\*[^]*?\*\//g, '');
}

test('tsc --strict accepts what is right and refuses what is wrong', async () => {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  for (const project of ['types', 'types/ws-kit']) {
    const args = [tsc, '--project', path.join(testDir, project)];
    const { code, stdout } = await run(process.execPath, args, { timeout: 120_000 });
    assert.equal(stdout, '');
    assert.equal(code, 0);
  }
});

test('the settings', () => {
  const camelCase = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
  const body = interfaceBody('SettingValues');
  const declared = [...body.matchAll(/^ {2}(\w+)\?: (.+);$/gm)].map(([, name, type]) => [name, type]);
  assert.deepEqual(declared.map(([name]) => name).sort(), settings.map(({ name }) => camelCase(name)).sort());
  const types = new Map(declared);
  for (const { name, type, range } of settings) {
    const expected =
      name === 'tls_verify' ? "boolean | 'ca'"
      : type === 'enum' ? range.split('|').map((word) => `'${word}'`).join(' | ')
      : ['integer', 'number', 'size'].includes(type) ? 'number | string'
      : type === 'boolean' ? 'boolean'
      : name === 'url' ? 'string | URL'
      : 'string';
    assert.equal(types.get(camelCase(name)), expected, name);
  }
});

test('what is said about the settings', () => {
  for (const { name, help } of settings) {
    if (help.includes('_')) continue; // names another setting, which is spelled otherwise here
    const said = help.replace('engine', 'bus').replace('a GAP event', "a 'gap' event");
    assert.ok(declarations.includes(`/** ${said} */`), `${name}: ${help}`);
  }
});

test('the words of events, states and health', () => {
  const { gapReasons, states, verdicts, logLevels } = createRequire(import.meta.url)(path.join(packageDir, 'lib/addon.js')).constants();
  const union = (words) => Object.values(words).map((word) => `'${word}'`).join(' | ');
  assert.ok(declarations.includes(`  reason: ${union(gapReasons)};`), union(gapReasons));
  assert.ok(declarations.includes(`type BusState = ${union(states)};`), union(states));
  assert.ok(declarations.includes(`  verdict: ${union(verdicts)};`), union(verdicts));
  assert.ok(declarations.includes(`  logLevel?: 'off' | ${union(logLevels)};`), union(logLevels));
});

test('the codes and classes of errors', () => {
  const [, union] = /type ErrorCode =([^;]+);/.exec(declarations);
  const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code);
  assert.deepEqual(codes, statuses.filter(({ status }) => status !== 0).map(({ code }) => code));
  assert.equal(Object.keys(errors).length, codes.length);
});

test('the members of Bus, Subscription, Message, Stats, Health and LatencyHistogram', async () => {
  const bus = await connect('memory://types');
  const stream = bus.subscribe('c');
  const sub = bus.subscribe('c', () => {});
  await Promise.all([stream.ready, sub.ready]);
  await bus.publish('c', 'x');
  const { value: message } = await stream.next();
  const objects = { Bus: bus, Subscription: sub, MessageStream: stream, Message: message };
  for (const [name, object] of Object.entries(objects)) {
    const members = [...interfaceBody(name).matchAll(/^ {2}(?:readonly )?(\w+)\b/gm)].map(([, member]) => member);
    assert.ok(members.length >= 2);
    for (const member of members) assert.ok(member in object, `${name}.${member}`);
  }
  const health = [...interfaceBody('Health').matchAll(/^ {2}(\w+): /gm)].map(([, member]) => member);
  assert.deepEqual(health.sort(), Object.keys(bus.health()).sort());
  const { publish } = bus.latency();
  const histogram = [...interfaceBody('LatencyHistogram').matchAll(/^ {2}(?:readonly )?(\w+)[:(]/gm)].map(([, member]) => member);
  for (const member of histogram) assert.ok(member in publish, member);
  assert.deepEqual(histogram.filter((member) => member !== 'percentile'), Object.keys(publish));
  const counters = [...interfaceBody('Stats').matchAll(/^ {2}(\w+): (\w+);/gm)].map(([, ...found]) => found);
  assert.deepEqual(counters, Object.entries(bus.stats()).map(([counter, value]) => [counter, typeof value]));
  await bus.close();
});
