'use strict';
// The bus of one createAdapter(): one that was passed in, or one of our own, which is open while an adapter uses it, maybe
// over a client that was passed in.

const { open } = require('../../index.js');
const { ClientBus, isClient } = require('../client.js');

// A message of a while ago is worth nothing, and local clients do not wait for Redis.
const defaults = { namespace: '', offline: 'fail', unsubscribeLingerMs: 0, maxReconnectDelayMs: 2000 };

const isBus = (value) => typeof value?.publishNoWait === 'function' && typeof value.subscribe === 'function';
const snakeCase = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const counts = new WeakMap(); // bus -> Map: channel -> adapters of this process that count as one subscriber

class Link {
  #given;
  #own;
  #users = 0;
  #open;

  /** `more`: defaults of the settings. */
  constructor(busOrUrl, { client, ...settings }, { isSharded = false, ...more }) {
    const given = client ?? busOrUrl;
    if (isBus(given) || isClient(given)) {
      const [name] = Object.keys(settings);
      if (name !== undefined) throw new TypeError(`the option ${name} is a setting, and what connects was passed in`);
    }
    if (isClient(given)) {
      this.#open = () => new ClientBus(given, { binary: true, isSharded, connects: false });
      return;
    }
    if (client !== undefined) throw new TypeError('client must be one of ioredis or redis, or Bun\'s RedisClient');
    if (isSharded) throw new TypeError('the sharded wire needs a client of ioredis or redis, in place of the URL');
    if (isBus(busOrUrl)) {
      this.#given = busOrUrl;
      return;
    }
    if (typeof busOrUrl === 'object' && busOrUrl !== null && typeof busOrUrl.href !== 'string') {
      throw new TypeError('the first argument is a URL, a bus or a client; settings are in the second');
    }
    const all = { ...settings };
    for (const [key, value] of Object.entries({ ...defaults, ...more })) {
      if (all[key] === undefined && all[snakeCase(key)] === undefined) all[key] = value;
    }
    this.#open = () => open(busOrUrl, all);
  }

  acquire() {
    ++this.#users;
    return this.#given ?? (this.#own ??= this.#open());
  }

  /** Resolves when a bus that nobody uses any more is closed. */
  async release() {
    if (--this.#users === 0) await this.end();
  }

  /** The same, whoever uses it. */
  async end() {
    this.#users = 0;
    const bus = this.#own;
    this.#own = undefined;
    await bus?.close().catch(() => {}); // what had no outcome by then was published, or is lost because Redis is away
  }
}

/** Another adapter of this process subscribes to the channel; `by` is 1 or -1. Returns how many there are now. */
function countHere(bus, channel, by = 0) {
  let channels = counts.get(bus);
  if (channels === undefined) counts.set(bus, (channels = new Map()));
  const count = (channels.get(channel) ?? 0) + by;
  channels.set(channel, count);
  return count;
}

module.exports = { Link, countHere };
